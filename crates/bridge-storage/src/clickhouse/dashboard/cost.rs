//! The SQL of costs in the statement of a dashboard.

use std::collections::{BTreeMap, BTreeSet};

use super::price_table::{
    BOUND, FOUND, IS_LARGE_ROW, IS_UNPRICED, KNOWN, MODEL, NEW_MODEL, PRICE_BITS, PriceTable, SIZE,
    TOO_LARGE, discounted,
};
use super::statement::Width;
use crate::prices::PriceLine;

/// The greatest amount.
const MOST: &str = "toUInt256('170141183460469231731687303715884105727')";

/// The names of the sums of a group, without their prefix.
pub(super) const SUMS: [&str; 6] =
    ["list", "without_cache", "amount", "unpriced", "searches_unpriced", "priced"];

/// The columns of a response's cost.
pub(super) struct CostColumns<'a> {
    table: &'a PriceTable,
    width: Width,
    words: PriceWords,
}

/// The prices that a response's code is looked up for: the prices of one kind in each line. Narrow ones share a word in
/// pairs, because a look-up takes longer than all other steps.
struct PriceWords {
    kinds: Vec<Vec<u64>>,
    per_word: usize,
}

impl PriceWords {
    fn new(table: &PriceTable, width: Width) -> Self {
        let of_lines = |prices: &dyn Fn(&PriceLine) -> [Option<u64>; 6]| columns(table, width, prices);
        let mut kinds: BTreeSet<_> = of_lines(&|line| line.prices).into_iter().collect();
        kinds.extend(of_lines(&PriceLine::without_cache));
        kinds.extend(of_lines(&amounts));
        let per_word = if width == Width::Narrow { 2 } else { 1 };
        Self { kinds: kinds.into_iter().collect(), per_word }
    }

    /// The words of each line.
    fn words(&self) -> impl Iterator<Item = Vec<u64>> {
        self.kinds.chunks(self.per_word).map(|kinds| match kinds {
            [low, high] => low.iter().zip(high).map(|(low, high)| high << PRICE_BITS | low).collect(),
            kinds => kinds.concat(),
        })
    }

    /// The price of a kind, from its word.
    fn price(&self, kind: &Vec<u64>) -> String {
        let place = self.kinds.binary_search(kind).expect("the kinds of all sums are looked up");
        let (word, half) = (place / self.per_word, place % self.per_word);
        match (self.per_word, half) {
            (1, _) => format!("price_{word}"),
            (_, 0) => format!("bitAnd(price_{word}, {})", (1_u64 << PRICE_BITS) - 1),
            _ => format!("bitShiftRight(price_{word}, {PRICE_BITS})"),
        }
    }
}

/// The prices of each kind in all lines: in units, or in 10^-18 dollars.
fn columns(
    table: &PriceTable,
    width: Width,
    prices: &dyn Fn(&PriceLine) -> [Option<u64>; 6],
) -> [Vec<u64>; 6] {
    let unit = if width == Width::Narrow { table.unit } else { 1 };
    std::array::from_fn(|kind| {
        table.lines.iter().map(|line| prices(line)[kind].unwrap_or(0) / unit).collect()
    })
}

fn amounts(line: &PriceLine) -> [Option<u64>; 6] {
    line.prices.map(|price| Some(discounted(price?, line.discount)))
}

impl<'a> CostColumns<'a> {
    pub(super) fn new(table: &'a PriceTable, width: Width) -> Self {
        Self { table, width, words: PriceWords::new(table, width) }
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

    /// Returns a query of the same rows with their prices. Only what is used several times has a level of its own: the
    /// database would put the expression in the place of each use of its alias, but takes 5 ms to plan a level.
    pub(super) fn rows(&self, rows: &str) -> String {
        let found = format!("SELECT *, {} FROM ({rows})", self.found());
        match self.width {
            Width::Narrow => found,
            Width::Wide => {
                format!("SELECT *, {} AS price_list FROM ({found})", self.sum(&|line| line.prices))
            }
        }
    }

    /// Returns the costs of a row, for a `WITH`.
    pub(super) fn aliases(&self) -> String {
        let (is_known, list) = match self.width {
            Width::Narrow => (format!("(price_found = {KNOWN})"), self.sum(&|line| line.prices)),
            Width::Wide => {
                (format!("(price_found = {KNOWN} AND price_list <= {MOST})"), "price_list".to_owned())
            }
        };
        let without = match self.width {
            Width::Narrow => self.sum(&PriceLine::without_cache),
            Width::Wide => format!("least({}, {MOST})", self.sum(&PriceLine::without_cache)),
        };
        let amount = match self.has_discounts() {
            true => format!(", {is_known} * {} AS row_amount", self.sum(&amounts)),
            false => String::new(),
        };
        format!(
            "{is_known} * {list} AS row_list, {is_known} * {without} AS row_without_cache{amount},
                NOT {is_known} AND (row_worth_tokens OR price_searches > 0) AS row_is_unpriced,
                row_is_unpriced * ({IS_UNPRICED} + price_place + price_mode + bitShiftLeft(price_found, {FOUND})
                    + {TOO_LARGE} * (price_found = {KNOWN})) + {IS_LARGE_ROW} * row_is_large AS row_code"
        )
    }

    /// Returns whether amounts are not the list prices.
    fn has_discounts(&self) -> bool {
        self.table.lines.iter().any(|line| line.discount > 0)
    }

    /// The bits of model and time.
    fn place(&self) -> String {
        let models = (0_u64..).zip(&self.table.models).map(|(place, name)| (&**name, place << MODEL));
        let model = lookup("model", models, NEW_MODEL << MODEL);
        let bounds = &self.table.bounds;
        if bounds.len() < 2 {
            return model;
        }
        let places = list((0..bounds.len() as u64).map(|place| place << BOUND));
        let bounds = bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        // One comparison with each bound would be as fast, but each adds to the time that the statement takes to plan.
        format!(
            "{model} + transform(roundDown(toUnixTimestamp64Milli(time), CAST([{bounds}], 'Array(Int64)') AS price_bounds),
                price_bounds, [{places}], toUInt64(0))"
        )
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

    /// The code of a period and a mode.
    fn code(&self) -> String {
        if self.table.periods.is_empty() {
            return "toUInt64(0)".to_owned();
        }
        let places = list(self.table.periods.keys().copied());
        let periods = list(self.table.periods.values().copied());
        format!("transform(price_place, [{places}], [{periods}], toUInt64(0)) + price_mode")
    }

    /// The properties of a code: whether it has prices, which of the response's kinds have none, and the words of prices.
    fn found(&self) -> String {
        let flags = self.table.lines.iter().map(PriceTable::flags).collect::<Vec<_>>();
        let lacking = flags.iter().fold(0, |all, flags| all | flags);
        let kinds = self.quantities().map(|quantity| format!("({quantity} > 0)"));
        // A sum of requests that exceeds a size leaves open which of them did.
        let kinds = kinds.into_iter().chain(["(row_origin = 'summed')".to_owned()]).enumerate();
        let has = kinds.filter_map(|(kind, has)| {
            let bit = PriceTable::flag(kind);
            (lacking & bit != 0).then(|| format!(" + {bit} * {has}"))
        });
        let found = format!("bitAnd({}, {KNOWN}{})", self.looked_up(&flags), has.collect::<String>());
        let words = self.words.words().enumerate();
        let words = words.map(|(place, word)| format!(", {} AS price_{place}", self.looked_up(&word)));
        format!("{found} AS price_found{}", words.collect::<String>())
    }

    /// The value of the code's line; 0 without one. A search in constants takes half the time of an array's element.
    fn looked_up(&self, of_lines: &[u64]) -> String {
        let line = |number: &u64| usize::try_from(*number).ok().and_then(|number| of_lines.get(number - 1));
        let values = self.table.codes.values().map(|number| line(number).copied().unwrap_or_default());
        if self.table.codes.is_empty() {
            return "toUInt64(0)".to_owned();
        }
        let codes = list(self.table.codes.keys().copied());
        format!(
            "transform({}, [{codes}], CAST([{}], 'Array(UInt64)'), toUInt64(0))",
            self.code(),
            list(values)
        )
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
    fn sum(&self, prices: &dyn Fn(&PriceLine) -> [Option<u64>; 6]) -> String {
        let mut parts: BTreeMap<Vec<u64>, Vec<String>> = BTreeMap::new();
        for (prices, quantity) in columns(self.table, self.width, prices).into_iter().zip(self.quantities()) {
            let quantity = match self.width {
                Width::Narrow => quantity,
                Width::Wide => format!("toUInt256({quantity})"),
            };
            parts.entry(prices).or_default().push(quantity);
        }
        let part = |(prices, quantities): (Vec<u64>, Vec<String>)| {
            format!("({}) * {}", quantities.join(" + "), self.words.price(&prices))
        };
        let parts: Vec<_> = parts.into_iter().map(part).collect();
        format!("({})", parts.join(" + "))
    }

    /// Returns the sums over the rows of a group.
    pub(super) fn sums(&self) -> String {
        let sum = |column: &str| match self.width {
            Width::Narrow => format!("toUInt128(sum(toUInt64({column})))"),
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
            ", {list} AS set_list, {without} AS set_without_cache, {amount} AS set_amount, {unpriced} AS set_unpriced,
                {searches} AS set_searches_unpriced, {priced} AS set_priced",
            list = sum("row_list"),
            without = sum("row_without_cache"),
            amount = sum(amount),
            unpriced = self.width.sum("row_is_unpriced * row_tokens"),
            searches = self.width.sum("row_is_unpriced * price_searches"),
        )
    }
}

/// The bits of a column's values. Values are in hexadecimal digits, so that none is taken for SQL.
fn lookup<'n>(column: &str, values: impl Iterator<Item = (&'n str, u64)>, other: u64) -> String {
    let (names, bits): (Vec<_>, Vec<_>) = values.unzip();
    if names.is_empty() {
        return format!("toUInt64({other})");
    }
    let hex = |name: &str| name.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let names: Vec<_> = names.into_iter().map(|name| format!("'{}'", hex(name))).collect();
    format!("transform({column}, [{}], [{}], toUInt64({other}))", names.join(","), list(bits.into_iter()),)
}

fn list(numbers: impl Iterator<Item = u64>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}
