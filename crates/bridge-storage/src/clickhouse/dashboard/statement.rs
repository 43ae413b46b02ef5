//! The statement of a dashboard.

use std::collections::BTreeMap;

use crate::clickhouse::usage::saturating::{
    IS_LARGE, NARROW_TOKENS, TOKENS, WORTH_TOKENS, saturating, sum, sum_of_known,
};
use crate::dashboard::{DashboardFilter, Direction, GroupOrder, GroupPage, ReceiptScope, SPLIT_SUMS_MAX};
use crate::dimension::Dimension;

use super::admitted::Admitted;
use super::cost::{CostColumns, SUMS};
use super::price_table::{IS_LARGE_ROW, PriceTable};

/// The time of rows that the filter does not admit: no minimum is affected by it.
const NEVER: &str = "toInt64(9223372036854775807)";
/// The extra counts, with their columns.
const EXTRA_COUNTS: [(&str, &str); 3] =
    [("thinking", "thinking_tokens"), ("searches", "web_search_requests"), ("fetches", "web_fetch_requests")];
/// A count that was not asked for.
const UNKNOWN: &str = "CAST(NULL, 'Nullable(UInt64)')";

/// Costs that were not asked for.
const NO_COSTS: &str = "CAST([], 'Array(Tuple(UInt128, UInt128, UInt128, UInt64, UInt64, UInt64))')";
/// Above all numbers of responses of a narrow sum, see [`NARROW_ROWS`](crate::clickhouse::usage::saturating::NARROW_ROWS).
const HALF: u64 = 1 << 32;
/// No response without large counters has this many web searches.
pub(super) const SEARCHES_MAX: u64 = 1 << 10;

pub(super) const STEP: u16 = 0;
pub(super) const ORIGIN: u16 = 1;
/// By origin, too, but only the responses whose key is weak.
pub(super) const WEAK: u16 = 2;
/// By session: what is stored and what was read, and the breakdown by session if it was asked for.
pub(super) const SESSION: u16 = 3;
/// By step and value of a dimension.
pub(super) const SPLIT: u16 = 4;
/// The kind of the first other breakdown. Further ones are numbered from here.
const FIRST_LISTED: u16 = 5;

/// The width of the sums over the responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// In 64 bits, which is a fifth faster. The answer says whether a sum may have wrapped.
    Narrow,
    /// In 128 bits.
    Wide,
}

impl Width {
    pub(super) fn sum(self, expression: &str) -> String {
        match self {
            Self::Narrow => format!("sum({expression})"),
            Self::Wide => sum(expression),
        }
    }

    fn tokens(self) -> &'static str {
        match self {
            Self::Narrow => NARROW_TOKENS,
            Self::Wide => TOKENS,
        }
    }
}

/// A breakdown of the statement.
struct Listed<'a> {
    kind: u16,
    dimension: &'a Dimension,
    page: GroupPage,
}

impl Listed<'_> {
    /// The name of its values in the pass over the responses.
    fn column(&self) -> String {
        format!("row_by_{}", self.kind)
    }

    /// The columns that its groups are grouped by.
    fn grouping_set(&self) -> String {
        let column = self.column();
        if self.kind == SPLIT { format!("(row_step, {column}), ") } else { format!("({column}), ") }
    }
}

/// Returns the kinds of groups that list the breakdowns, in the order of the filter's.
pub(super) fn kinds(filter: &DashboardFilter) -> impl Iterator<Item = (u16, &Dimension)> {
    let mut next = FIRST_LISTED;
    filter.breakdowns.keys().map(move |dimension| {
        if *dimension == Dimension::Session {
            return (SESSION, dimension);
        }
        next += 1;
        (next - 1, dimension)
    })
}

/// Builds the statement.
///
/// An alias shadows a column of the same name, and an aggregate must not contain another one. So each level has names of
/// its own: `row_…` for a response, `set_…` for a group of the one pass, and plain names for a group of a kind.
///
/// The groups of a kind are sorted in an array: window functions would do the same, but the database takes longer to plan
/// them than to read a million responses.
pub(super) struct Statement<'a> {
    filter: &'a DashboardFilter,
    width: Width,
    listed: Vec<Listed<'a>>,
    admitted: Admitted,
    cost: Option<CostColumns<'a>>,
}

impl<'a> Statement<'a> {
    pub(super) fn new(filter: &'a DashboardFilter, width: Width, prices: Option<&'a PriceTable>) -> Self {
        let pages = filter.breakdowns.values();
        let mut listed: Vec<_> = kinds(filter)
            .zip(pages)
            .map(|((kind, dimension), page)| Listed { kind, dimension, page: *page })
            .collect();
        let has_sessions = listed.iter().any(|list| list.kind == SESSION);
        if filter.receipt == ReceiptScope::Store && !has_sessions {
            // What is kept follows from what is stored and what was read of each session.
            listed.push(Listed { kind: SESSION, dimension: &Dimension::Session, page: GroupPage::top(0) });
        }
        if let Some(dimension) = filter.trend_by.as_ref().filter(|_| !filter.trend_starts.is_empty()) {
            listed.push(Listed { kind: SPLIT, dimension, page: GroupPage::top(SPLIT_SUMS_MAX) });
        }
        let cost = prices.map(|prices| CostColumns::new(prices, width));
        Self { filter, width, listed, admitted: Admitted::new(filter), cost }
    }

    /// Returns the SQL, with a `?` for each value that [`bind`](crate::clickhouse::usage::read::bind) binds.
    pub(super) fn sql(&self) -> String {
        let end = |page: &GroupPage| u64::from(page.offset) + u64::from(page.limit);
        let last = self.listed.iter().filter(|list| list.kind != SPLIT).map(|list| end(&list.page)).max();
        let sorted = |sort: &str| format!("{sort}({}, groups_of_kind)", last.unwrap_or_default().max(1));
        let upwards = sorted("arrayPartialSort");
        let in_order = match self.listed.iter().any(|list| is_by_name_down(&list.page)) {
            false => upwards,
            true => {
                let name_down = self.of_kind(|page| is_by_name_down(page).to_string(), "false");
                format!("if({name_down}, {}, {upwards})", sorted("arrayPartialReverseSort"))
            }
        };
        let in_order = match self.filter.trend_by {
            // Sorted separately: the split may have 20,000 groups, while the others have only their page.
            Some(_) => {
                format!("if(kind = {SPLIT}, arrayPartialSort({SPLIT_SUMS_MAX}, groups_of_kind), {in_order})")
            }
            None => in_order,
        };
        format!(
            "SELECT kind, groups, stored, stored_tokens, read_snapshots, read_tokens, kept, kept_tokens, last_sync,
                has_large, arrayMap(group -> (group.2, group.3, group.4, group.5, group.6, group.7, group.8, group.9,
                    group.10, group.11, group.12, {extra}), arraySlice({in_order}, {first}, {number}) AS page) AS listed,
                {costs} AS costs
            FROM (
                SELECT toUInt16(kind) AS kind, countIf(responses > 0) AS groups, sum(all_responses) AS stored,
                    {stored_tokens} AS stored_tokens, {read_snapshots} AS read_snapshots, {read_tokens} AS read_tokens,
                    {kept} AS kept, {kept_tokens} AS kept_tokens, max(synced) AS last_sync,
                    toBool(max(any_large)) AS has_large,
                    groupArrayIf(({key}, name, start, responses, worth_tokens, unfinished, input, output,
                        cache_creation, cache_read, first_time, last_time{kept_extra}{kept_cost}),
                        responses > 0) AS groups_of_kind
                FROM ({groups})
                GROUP BY kind)",
            // Nullable columns would slow the sort down.
            extra = match self.filter.extra_counts {
                true => "group.13".to_owned(),
                false => format!("({UNKNOWN}, {UNKNOWN}, {UNKNOWN})"),
            },
            costs = match (&self.cost, self.filter.extra_counts) {
                (None, _) => NO_COSTS.to_owned(),
                (Some(_), false) => "arrayMap(group -> group.13, page)".to_owned(),
                (Some(_), true) => "arrayMap(group -> group.14, page)".to_owned(),
            },
            kept_cost = if self.cost.is_some() { format!(", ({})", SUMS.join(", ")) } else { String::new() },
            kept_extra = if self.filter.extra_counts { ", (thinking, searches, fetches)" } else { "" },
            first = self.of_kind(|page| (u64::from(page.offset) + 1).to_string(), "1"),
            number = self.of_kind(|page| page.limit.to_string(), "length(groups_of_kind)"),
            stored_tokens = sum("all_tokens"),
            read_snapshots = sum("source_snapshots"),
            read_tokens = sum("source_tokens"),
            kept = sum("if(all_responses > source_snapshots, toUInt64(all_responses - source_snapshots), 0)"),
            kept_tokens = sum("if(all_tokens > source_tokens, toUInt64(all_tokens - source_tokens), 0)"),
            key = self.key(),
            groups = self.groups(),
        )
    }

    /// Returns an expression of each breakdown's page, and another one for the other kinds. Most pages have the same.
    fn of_kind(&self, expression: impl Fn(&GroupPage) -> String, other: &str) -> String {
        let mut kinds = BTreeMap::<String, Vec<String>>::new();
        for list in &self.listed {
            kinds.entry(expression(&list.page)).or_default().push(list.kind.to_string());
        }
        kinds.remove(other);
        let cases =
            kinds.into_iter().map(|(value, kinds)| (format!("kind IN ({})", kinds.join(", ")), value));
        choice(cases, other)
    }

    /// Returns the query of the sums by kind and name; for sessions also of what is stored and what was read, whatever
    /// the filter admits.
    fn groups(&self) -> String {
        format!(
            "SELECT kind, name, start, sum(set_responses) AS responses, sum(set_worth_tokens) AS worth_tokens,
                sum(set_unfinished) AS unfinished, sum(set_input) AS input, sum(set_output) AS output,
                sum(set_cache_creation) AS cache_creation, sum(set_cache_read) AS cache_read,
                min(set_first_time) AS first_time, max(set_last_time) AS last_time,
                {extras}sum(set_all_responses) AS all_responses, sum(set_all_tokens) AS all_tokens,
                sum(set_source_snapshots) AS source_snapshots, sum(set_source_tokens) AS source_tokens,
                max(set_synced) AS synced, max(set_large) AS any_large{costs}
            FROM (
                ({responses})
                UNION ALL
                SELECT {SESSION}, session_id, toInt64(0), 0, 0, 0, 0, 0, 0, 0, {NEVER}, toInt64(0), {no_extras}0, 0,
                    {snapshots}, {snapshot_tokens}, max(toUnixTimestamp64Milli(read_at)), 0{no_costs}
                FROM source_files FINAL GROUP BY session_id)
            GROUP BY kind, name, start",
            extras = self.extras(|(count, _)| format!("sum(set_{count}) AS {count}, ")),
            no_extras = self.extras(|_| format!("{UNKNOWN}, ")),
            costs = match &self.cost {
                Some(_) => SUMS.map(|name| format!(", sum(set_{name}) AS {name}")).concat(),
                None => String::new(),
            },
            no_costs = if self.cost.is_some() { ", 0".repeat(SUMS.len()) } else { String::new() },
            snapshots = sum("snapshots"),
            snapshot_tokens = sum("snapshot_tokens"),
            responses = self.responses(),
        )
    }

    /// Returns the one pass over the responses.
    fn responses(&self) -> String {
        let (width, admitted) = (self.width, &self.admitted);
        let kinds = self.listed.iter().map(|list| (is_grouped_by(&list.column()), list.kind.to_string()));
        let name = |column: &str| (is_grouped_by(column), format!("toString({column})"));
        let names = self.listed.iter().map(|list| name(&list.column()));
        let of_origin = (is_grouped_by("row_origin"), format!("if(row_is_weak, {WEAK}, {ORIGIN})"));
        format!(
            "{with}SELECT {kind} AS kind, {name} AS name,
                {start} AS start, sum(row_responses) AS set_responses, {worth}, {set_input} AS set_input, {set_output} AS set_output,
                {set_cache_creation} AS set_cache_creation, {set_cache_read} AS set_cache_read,
                min(row_first_time) AS set_first_time, max(row_last_time) AS set_last_time,
                {extra_sums}{all_responses} AS set_all_responses, {all_tokens} AS set_all_tokens,
                0 AS set_source_snapshots, 0 AS set_source_tokens, toInt64(0) AS set_synced,
                {large} AS set_large{costs}
            FROM ({rows})
            GROUP BY GROUPING SETS ({sets}(row_origin, row_is_weak{code}), (row_step))",
            with = self.cost.as_ref().map(|cost| format!("WITH {} ", cost.aliases())).unwrap_or_default(),
            kind = choice(kinds.chain([of_origin]), &STEP.to_string()),
            name = choice(names.chain([name("row_origin")]), "''"),
            sets = self.listed.iter().map(Listed::grouping_set).collect::<String>(),
            rows = self.rows(),
            costs = self.cost.as_ref().map(CostColumns::sums).unwrap_or_default(),
            code = if self.cost.is_some() { ", row_code" } else { "" },
            start = match &self.cost {
                Some(_) => format!("if({}, toInt64(row_code), row_step)", is_grouped_by("row_origin")),
                None => "row_step".to_owned(),
            },
            // The cost takes sums of its own, so others are spared where there are few rows.
            large = match &self.cost {
                Some(_) => format!("toUInt8(bitAnd(row_code, {IS_LARGE_ROW}) != 0)"),
                None => "max(row_is_large)".to_owned(),
            },
            worth = match (&self.cost, width) {
                (Some(_), Width::Narrow) => format!(
                    "(sum(row_worth_tokens + {HALF} * row_unfinished) AS worth_and_unfinished) % {HALF}
                        AS set_worth_tokens, intDiv(worth_and_unfinished, {HALF}) AS set_unfinished"
                ),
                _ => "sum(row_worth_tokens) AS set_worth_tokens, sum(row_unfinished) AS set_unfinished".to_owned(),
            },
            extra_sums = self.extras(|(count, _)| format!("{} AS set_{count}, ", sum_of_known(&format!("row_{count}")))),
            all_responses = if admitted.is_flagged() { "count()" } else { "sum(row_responses)" },
            all_tokens = match width {
                Width::Narrow if !admitted.is_flagged() => {
                    "sum(row_input) + sum(row_output) + sum(row_cache_creation) + sum(row_cache_read)".to_owned()
                }
                _ => width.sum("row_tokens"),
            },
            set_input = width.sum("row_input"),
            set_output = width.sum("row_output"),
            set_cache_creation = width.sum("row_cache_creation"),
            set_cache_read = width.sum("row_cache_read"),
        )
    }

    /// Returns the query of the rows of the pass.
    fn rows(&self) -> String {
        let admitted = &self.admitted;
        let value = |value: &str, otherwise: &str| admitted.value(value, otherwise);
        let by = self.listed.iter().map(|list| format!("{} AS {}, ", list.dimension.sql(), list.column()));
        let rows = format!(
            "SELECT {by}origin AS row_origin, weak_key AS row_is_weak, {admits} AS is_admitted, {step} AS row_step,
                {responses} AS row_responses, {worth_tokens} AS row_worth_tokens, {unfinished} AS row_unfinished,
                {input} AS row_input, {output} AS row_output, {cache_creation} AS row_cache_creation,
                {cache_read} AS row_cache_read, {tokens} AS row_tokens, {first_time} AS row_first_time,
                {last_time} AS row_last_time, {extras}{is_large} AS row_is_large{costs}
            FROM token_usage FINAL WHERE {condition}",
            by = by.collect::<String>(),
            is_large = match &self.cost {
                Some(_) => format!("({IS_LARGE} OR ifNull(web_search_requests, 0) >= {SEARCHES_MAX})"),
                None => IS_LARGE.to_owned(),
            },
            costs = match &self.cost {
                Some(cost) => cost.of_row(&value("ifNull(web_search_requests, 0)", "0")),
                None => String::new(),
            },
            admits = admitted.flag,
            step = self.step(),
            condition = admitted.condition,
            tokens = self.width.tokens(),
            responses = value("1", "0"),
            worth_tokens = value(WORTH_TOKENS, "0"),
            unfinished = value(&format!("{WORTH_TOKENS} AND NOT finished"), "0"),
            input = value("input_tokens", "0"),
            output = value("output_tokens", "0"),
            cache_creation = value("cache_creation_tokens", "0"),
            cache_read = value("cache_read_tokens", "0"),
            first_time = value("toUnixTimestamp64Milli(time)", NEVER),
            last_time = value("toUnixTimestamp64Milli(time)", "toInt64(0)"),
            extras = self.extras(|(count, column)| format!("{} AS row_{count}, ", value(column, "NULL"))),
        );
        self.cost.as_ref().map_or(rows.clone(), |cost| cost.rows(&rows))
    }

    /// Returns the sort key of a group. Amounts have 128 bits, and all keys one type.
    fn key(&self) -> String {
        let has_cost = self.cost.is_some();
        let is_wide = has_cost && self.listed.iter().any(|list| list.page.order == GroupOrder::Cost);
        let key = |page: &GroupPage| match is_wide {
            true => format!("toUInt128({})", key(page, true)),
            false => key(page, has_cost),
        };
        // The order of kinds that list no page does not matter.
        let first = self.listed.first().map_or_else(|| "toUInt64(0)".to_owned(), |list| key(&list.page));
        self.of_kind(key, &first)
    }

    /// The start of the trend's step that a response lies in.
    fn step(&self) -> String {
        let starts: Vec<_> = self.filter.trend_starts.iter().map(|start| start.as_millis()).collect();
        let [first, .., last] = starts[..] else {
            return format!("toInt64({})", starts.first().unwrap_or(&0));
        };
        let width = starts[1] - first;
        if width > 0 && starts.windows(2).all(|pair| pair[1] - pair[0] == width) {
            // A division takes a fraction of the time of a search.
            let within =
                format!("least(greatest(toUnixTimestamp64Milli(time), toInt64({first})), toInt64({last}))");
            return format!("toInt64({first} + {width} * intDiv({within} - {first}, {width}))");
        }
        let starts = starts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        format!("roundDown(toUnixTimestamp64Milli(time), CAST([{starts}], 'Array(Int64)'))")
    }

    /// Returns the columns of the extra counts. Those that are not requested are not computed: constants, too, cost time for
    /// each row.
    fn extras(&self, column: impl Fn((&str, &str)) -> String) -> String {
        match self.filter.extra_counts {
            true => EXTRA_COUNTS.map(column).concat(),
            false => String::new(),
        }
    }
}

/// Returns the expression of the first condition that holds.
fn choice(cases: impl Iterator<Item = (String, String)>, other: &str) -> String {
    let cases: String = cases.map(|(condition, value)| format!("{condition}, {value}, ")).collect();
    if cases.is_empty() { other.to_owned() } else { format!("multiIf({cases}{other})") }
}

fn is_grouped_by(column: &str) -> String {
    format!("grouping({column}) = 0")
}

/// Returns the sort key, ascending.
fn key(page: &GroupPage, has_cost: bool) -> String {
    let value = match page.order {
        GroupOrder::Tokens => &saturating("toUInt128(input) + output + cache_creation + cache_read"),
        GroupOrder::Input => "input",
        GroupOrder::Output => "output",
        GroupOrder::CacheCreation => "cache_creation",
        GroupOrder::CacheRead => "cache_read",
        GroupOrder::Responses => "responses",
        GroupOrder::Cost if has_cost => "amount",
        GroupOrder::Cost => "toUInt64(0)",
        GroupOrder::LastTime => "toUInt64(last_time)",
        GroupOrder::Name => return "toUInt64(0)".to_owned(),
    };
    match page.direction {
        Direction::Ascending => value.to_owned(),
        Direction::Descending => format!("bitNot({value})"),
    }
}

fn is_by_name_down(page: &GroupPage) -> bool {
    page.order == GroupOrder::Name && page.direction == Direction::Descending
}
