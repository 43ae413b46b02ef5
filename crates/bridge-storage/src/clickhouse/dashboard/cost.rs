//! The SQL of costs in the statement of a dashboard.

use std::collections::BTreeMap;

use super::price_table::{
    BOUND, IS_LARGE_ROW, IS_SUM, LACKS_SEARCH_PRICE, LACKS_TOKEN_PRICE, MODEL, NEW_MODEL, PriceTable, SIZE,
    TOO_LARGE, discounted,
};
use super::statement::Width;
use crate::prices::Line;

/// Maximum number of instants that each response's time is compared with.
const COMPARED_MAX: usize = 200;

/// The greatest amount.
const MOST: &str = "toUInt256('170141183460469231731687303715884105727')";

/// The columns of a response's cost.
pub(super) struct CostColumns<'a> {
    table: &'a PriceTable,
    width: Width,
}

impl<'a> CostColumns<'a> {
    pub(super) fn new(table: &'a PriceTable, width: Width) -> Self {
        Self { table, width }
    }

    /// Returns whether amounts are not the list prices.
    fn has_discounts(&self) -> bool {
        self.table.lines.iter().any(|line| line.discount > 0)
    }

    /// Returns the columns that depend on those of the table, after the others of the pass. `searches` are the web searches
    /// of rows that are admitted.
    pub(super) fn of_row(&self, searches: &str) -> String {
        format!(
            ", {place} AS price_place, {mode} AS price_mode, {searches} AS price_searches,
                least(cache_creation_1h_tokens, row_cache_creation) AS price_hour",
            place = self.place(),
            mode = self.mode(),
        )
    }

    /// Returns a query of the same rows with their costs. Each level uses the columns of the one below: within one level,
    /// the database would put the expression in the place of each use of its alias.
    pub(super) fn rows(&self, rows: &str) -> String {
        let lines = format!("SELECT *, {} AS price_line FROM ({rows})", self.line());
        let known = format!(
            "SELECT *, {} AS price_lacks, toUInt16(price_line * (price_lacks = 0)) AS price_known FROM ({lines})",
            self.lacks()
        );
        let list = self.sum("price_known", |line| line.prices);
        let found = match self.width {
            Width::Narrow => known,
            Width::Wide => format!(
                "SELECT *, toUInt16(price_known * (price_list <= {MOST})) AS price_found FROM (
                    SELECT *, {list} AS price_list FROM ({known}))"
            ),
        };
        let (place, list) = match self.width {
            Width::Narrow => ("price_known", list),
            Width::Wide => ("price_found", "price_list * (price_found != 0)".to_owned()),
        };
        let without = self.sum(place, Line::without_cache);
        let without = match self.width {
            Width::Narrow => without,
            Width::Wide => format!("least({without}, {MOST})"),
        };
        let amount = |line: &Line| line.prices.map(|price| Some(discounted(price?, line.discount)));
        let amount = match self.has_discounts() {
            true => format!(", {} AS row_amount", self.sum(place, amount)),
            false => String::new(),
        };
        format!(
            "SELECT *, {list} AS row_list, {without} AS row_without_cache{amount},
                bitAnd({place} = 0, bitOr(row_worth_tokens, price_searches > 0)) AS row_is_unpriced,
                row_is_unpriced * (price_place + price_mode + price_lacks + {TOO_LARGE} * (price_known != 0))
                    + {IS_LARGE_ROW} * row_is_large AS row_code
            FROM ({found})"
        )
    }

    /// The bits of model and time.
    fn place(&self) -> String {
        let models = (0_u64..).zip(&self.table.models).map(|(place, name)| (&**name, place << MODEL));
        let model = lookup("model", models, NEW_MODEL << MODEL);
        let time = "toUnixTimestamp64Milli(time)";
        let bounds = &self.table.bounds;
        match bounds.len() {
            0 | 1 => model,
            // Compared at once, which is faster than a search by far.
            2..=COMPARED_MAX => {
                let passed = bounds[1..].iter().map(|bound| format!("({time} >= {bound})"));
                let passed = passed.collect::<Vec<_>>().join(" + ");
                format!("{model} + {} * ({passed})", 1_u64 << BOUND)
            }
            _ => {
                let bounds = bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                let places = list((0..self.table.bounds.len() as u64).map(|place| place << BOUND));
                format!(
                    "{model} + transform(roundDown({time}, [{bounds}]), [{bounds}], [{places}], toUInt64(0))"
                )
            }
        }
    }

    /// The bits of speed, service tier, geography and size.
    fn mode(&self) -> String {
        let (speeds, other_speed) = PriceTable::speeds();
        let (tiers, other_tier) = PriceTable::tiers();
        let (places, other_place) = self.table.geographies();
        let size = match self.width {
            Width::Narrow => "(input_tokens + cache_creation_tokens + cache_read_tokens)",
            Width::Wide => "(toUInt128(input_tokens) + cache_creation_tokens + cache_read_tokens)",
        };
        let sizes = self.table.sizes.iter().map(|above| format!(" + {} * ({size} > {above})", 1 << SIZE));
        format!(
            "{} + {} + {}{}",
            lookup("speed", speeds.into_iter(), other_speed),
            lookup("service_tier", tiers.into_iter(), other_tier),
            lookup("inference_geo", places.into_iter(), other_place),
            sizes.collect::<String>(),
        )
    }

    /// The number of the line of prices, 0 without any.
    fn line(&self) -> String {
        let pairs = |pairs: &BTreeMap<u64, u64>| {
            let [from, to] = [list(pairs.keys().copied()), list(pairs.values().copied())];
            (from, to)
        };
        if self.table.codes.is_empty() {
            return "toUInt16(0)".to_owned();
        }
        let (places, periods) = pairs(&self.table.periods);
        let (codes, lines) = pairs(&self.table.codes);
        format!(
            "transform(transform(price_place, [{places}], [{periods}], toUInt64(0)) + price_mode, [{codes}], [{lines}], toUInt16(0))"
        )
    }

    /// The bits of what has no price in the line.
    fn lacks(&self) -> String {
        let lines = &self.table.lines;
        let of_lines = |has: &dyn Fn(&Line) -> bool, what: &str| {
            let flags: Vec<_> = lines.iter().map(|line| u64::from(has(line))).collect();
            let flag = element(flags.iter().copied(), "price_line");
            flags.contains(&1).then(|| format!("bitAnd({what}, {flag})"))
        };
        let of_kind = |kind: usize| {
            let quantity = &self.quantities()[kind];
            of_lines(&|line| line.prices[kind].is_none(), &format!("{quantity} > 0"))
        };
        let bits = [
            // A sum of requests that exceeds a size leaves open which of them did.
            (IS_SUM, vec![of_lines(&|line| line.above > 0, "row_origin = 'summed'")]),
            (LACKS_TOKEN_PRICE, (0..5).map(of_kind).collect()),
            (LACKS_SEARCH_PRICE, vec![of_kind(5)]),
        ];
        let bits = bits.into_iter().filter_map(|(bit, conditions)| {
            let any = conditions.into_iter().flatten().reduce(|a, b| format!("bitOr({a}, {b})"));
            any.map(|any| format!("{bit} * {any}"))
        });
        bits.reduce(|a, b| format!("{a} + {b}")).unwrap_or_else(|| "toUInt8(0)".to_owned())
    }

    fn quantities(&self) -> [String; 6] {
        [
            "row_input",
            "row_output",
            "row_cache_read",
            "(row_cache_creation - price_hour)",
            "price_hour",
            "price_searches",
        ]
        .map(str::to_owned)
    }

    /// The sum of the quantities times their prices: in units, or in 10^-18 dollars. Quantities of one price are added up
    /// first.
    fn sum(&self, place: &str, prices: impl Fn(&Line) -> [Option<u64>; 6]) -> String {
        let unit = if self.width == Width::Narrow { self.table.unit } else { 1 };
        let mut parts: BTreeMap<Vec<u64>, Vec<String>> = BTreeMap::new();
        for (kind, quantity) in self.quantities().into_iter().enumerate() {
            let of_kind = self.table.lines.iter().map(|line| prices(line)[kind].unwrap_or(0) / unit);
            let quantity = match self.width {
                Width::Narrow => quantity,
                Width::Wide => format!("toUInt256({quantity})"),
            };
            parts.entry(of_kind.collect()).or_default().push(quantity);
        }
        let part = |(prices, quantities): (Vec<u64>, Vec<String>)| {
            let price = element(prices.into_iter(), place);
            format!("({}) * {price}", quantities.join(" + "))
        };
        let parts: Vec<_> = parts.into_iter().map(part).collect();
        format!("({})", parts.join(" + "))
    }

    /// Returns the sums over the rows of a group.
    pub(super) fn sums(&self) -> String {
        let sum = |column: &str| match self.width {
            Width::Narrow => format!("sum(toUInt128({column}))"),
            Width::Wide => format!("toUInt128(least(sum({column}), {MOST}))"),
        };
        let amount = if self.has_discounts() { "row_amount" } else { "row_list" };
        // Where nothing wraps, the tokens with a price are the others.
        let priced = match self.width {
            Width::Narrow => "toUInt64(sum(row_input) + sum(row_output) + sum(row_cache_creation) + sum(row_cache_read)
                - set_unpriced)".to_owned(),
            Width::Wide => self.width.sum("(1 - row_is_unpriced) * (toUInt128(row_input) + row_output + row_cache_creation + row_cache_read)"),
        };
        format!(
            ", {list} AS set_list, {without} AS set_without_cache, {amount} AS set_amount, {unpriced}, {priced} AS set_priced",
            list = sum("row_list"),
            without = sum("row_without_cache"),
            amount = sum(amount),
            unpriced = match self.width {
                // Both in one sum.
                Width::Narrow => format!(
                    "toUInt64((sum(row_is_unpriced * (toUInt128(row_tokens) + price_searches * {HIGH})) AS both_unpriced) % {HIGH})
                        AS set_unpriced,
                    toUInt64(intDiv(both_unpriced, {HIGH})) AS set_searches_unpriced"
                ),
                Width::Wide => format!(
                    "{} AS set_unpriced, {} AS set_searches_unpriced",
                    self.width.sum("row_is_unpriced * row_tokens"),
                    self.width.sum("row_is_unpriced * price_searches"),
                ),
            },
        )
    }
}

/// What makes the high half of a number of 128 bits.
const HIGH: &str = "toUInt128('18446744073709551616')";

/// The names of the sums of a group, without their prefix.
pub(super) const SUMS: [&str; 6] =
    ["list", "without_cache", "amount", "unpriced", "searches_unpriced", "priced"];

/// The value of a line of prices by its number; 0 without one. A search in constants takes half the time of an array's
/// element.
fn element(values: impl Iterator<Item = u64>, line: &str) -> String {
    let values: Vec<_> = values.collect();
    format!(
        "transform({line}, [{}], [{}], toUInt64(0))",
        list(1..=values.len() as u64),
        list(values.into_iter())
    )
}

/// The bits of a column's values. Values are in hexadecimal digits, so that none is taken for SQL.
fn lookup<'n>(column: &str, values: impl Iterator<Item = (&'n str, u64)>, other: u64) -> String {
    let (names, bits): (Vec<_>, Vec<_>) = values.unzip();
    if names.is_empty() {
        return format!("toUInt64({other})");
    }
    let hex = |name: &str| name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let names: Vec<_> = names.into_iter().map(|name| format!("unhex('{}')", hex(name))).collect();
    format!("transform({column}, [{}], [{}], toUInt64({other}))", names.join(","), list(bits.into_iter()),)
}

fn list(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}
