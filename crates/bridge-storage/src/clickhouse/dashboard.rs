//! The data of a dashboard: one statement, one pass over the responses.
//!
//! All of it comes from one scan of `token_usage`, which ClickHouse reads as of one moment. `GROUPING SETS` sums the
//! rows by session, project, model, host, origin and step of the trend at once. There is no second read that a writer
//! could precede. The statistics of the source files are added to the sessions.

use std::cmp::Reverse;

use ::clickhouse::Row;
use bridge_core::{BridgeError, InvalidValue, ReceiptLine, StoreReceipt, Timestamp, TokenCounts};
use serde::Deserialize;

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::usage::read::{bind, conditions};
use super::usage::rows::COUNTED;
use super::usage::saturating::{IS_LARGE, NARROW_ROWS, NARROW_TOKENS, TOKENS, WORTH_TOKENS, saturating, sum};
use crate::dashboard::{
    DashboardData, DashboardFilter, Direction, GroupList, GroupOrder, GroupPage, GroupSums, ReceiptScope,
    TrendSums, UsageSums,
};

const OPERATION: &str = "read a dashboard";
const NEVER: &str = "toInt64(9223372036854775807)";

const SESSION: u8 = 1;
const PROJECT: u8 = 2;
const MODEL: u8 = 3;
const HOST: u8 = 4;
const STEP: u8 = 5;
const ORIGIN: u8 = 6;
/// By origin, too, but only the responses whose key is weak.
const WEAK: u8 = 7;

/// A row of the answer: the groups of a kind.
#[derive(Debug, Row, Deserialize)]
struct KindRow {
    kind: u8,
    /// The number of groups with responses.
    groups: u64,
    // Totals of the whole store (without a receipt: of the admitted responses), in the row of the sessions.
    stored: u64,
    stored_tokens: u64,
    read_snapshots: u64,
    read_tokens: u64,
    kept: u64,
    kept_tokens: u64,
    last_sync: i64,
    /// True if any response that was read, admitted or not, has a counter so large that narrow sums may have wrapped.
    has_large: bool,
    /// The listed groups, in their order; steps of the trend in any order.
    listed: Vec<GroupTuple>,
}

/// The width of the sums over the responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// In 64 bits, which is a fifth faster. The answer says whether a sum may have wrapped.
    Narrow,
    /// In 128 bits.
    Wide,
}

impl Width {
    fn sum(self, expression: &str) -> String {
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

/// Name; start of the step; responses, those worth tokens, unfinished ones; the four counters; first and last
/// time.
type GroupTuple = (String, i64, u64, u64, u64, u64, u64, u64, u64, i64, i64);

/// Returns the statement.
///
/// An alias shadows a column of the same name, and an aggregate must not contain another one. So each level has names of
/// its own: `row_…` for a response, `set_…` for a group of the one pass, and plain names for a group of a kind.
///
/// The groups of a kind are sorted in an array: window functions would do the same, but the database takes longer to
/// plan them than to read a million responses.
fn statement(filter: &DashboardFilter, width: Width) -> String {
    let kinds = [
        (SESSION, &filter.sessions),
        (PROJECT, &filter.projects),
        (MODEL, &filter.models),
        (HOST, &filter.hosts),
    ];
    let of_kind = |expression: fn(&GroupPage) -> String, other: &str| {
        let cases = kinds.iter().map(|(kind, page)| format!("kind = {kind}, {}", expression(page)));
        format!("multiIf({}, {other})", cases.collect::<Vec<_>>().join(", "))
    };
    let last = kinds.iter().map(|(_, page)| u64::from(page.offset) + u64::from(page.limit)).max();
    let sorted = |sort: &str| format!("{sort}({}, groups_of_kind)", last.unwrap_or_default().max(1));
    let upwards = sorted("arrayPartialSort");
    let in_order = match kinds.iter().any(|(_, page)| is_by_name_down(page)) {
        false => upwards,
        true => {
            let name_down = of_kind(|page| is_by_name_down(page).to_string(), "false");
            format!("if({name_down}, {}, {upwards})", sorted("arrayPartialReverseSort"))
        }
    };
    format!(
        "SELECT kind, groups, stored, stored_tokens, read_snapshots, read_tokens, kept, kept_tokens, last_sync,
            has_large, arrayMap(group -> (group.2, group.3, group.4, group.5, group.6, group.7, group.8, group.9, group.10,
                group.11, group.12), arraySlice({in_order}, {first}, {number})) AS listed
        FROM (
            SELECT kind, countIf(responses > 0) AS groups, sum(all_responses) AS stored,
                {stored_tokens} AS stored_tokens, {read_snapshots} AS read_snapshots, {read_tokens} AS read_tokens,
                {kept} AS kept, {kept_tokens} AS kept_tokens, max(synced) AS last_sync,
                toBool(max(any_large)) AS has_large,
                groupArrayIf(({key}, name, start, responses, worth_tokens, unfinished, input, output, cache_creation,
                    cache_read, first_time, last_time), responses > 0) AS groups_of_kind
            FROM ({groups})
            GROUP BY kind)",
        first = of_kind(|page| (u64::from(page.offset) + 1).to_string(), "1"),
        number = of_kind(|page| page.limit.to_string(), "length(groups_of_kind)"),
        stored_tokens = sum("all_tokens"),
        read_snapshots = sum("source_snapshots"),
        read_tokens = sum("source_tokens"),
        kept = sum("if(all_responses > source_snapshots, toUInt64(all_responses - source_snapshots), 0)"),
        kept_tokens = sum("if(all_tokens > source_tokens, toUInt64(all_tokens - source_tokens), 0)"),
        key = of_kind(key, "toUInt64(0)"),
        groups = groups(filter, width),
    )
}

/// Returns the sort key, ascending.
fn key(page: &GroupPage) -> String {
    let value = match page.order {
        GroupOrder::Tokens => &saturating("toUInt128(input) + output + cache_creation + cache_read"),
        GroupOrder::Input => "input",
        GroupOrder::Output => "output",
        GroupOrder::CacheCreation => "cache_creation",
        GroupOrder::CacheRead => "cache_read",
        GroupOrder::Responses => "responses",
        GroupOrder::LastTime => "toUInt64(last_time)",
        GroupOrder::Name => return "0".to_owned(),
    };
    match page.direction {
        Direction::Ascending => value.to_owned(),
        Direction::Descending => format!("bitNot({value})"),
    }
}

fn is_by_name_down(page: &GroupPage) -> bool {
    page.order == GroupOrder::Name && page.direction == Direction::Descending
}

/// Returns the query of the sums by kind and name; for sessions also of what is stored and what was read, whatever the
/// filter admits.
fn groups(filter: &DashboardFilter, width: Width) -> String {
    format!(
        "SELECT kind, name, start, sum(set_responses) AS responses, sum(set_worth_tokens) AS worth_tokens,
            sum(set_unfinished) AS unfinished, sum(set_input) AS input, sum(set_output) AS output,
            sum(set_cache_creation) AS cache_creation, sum(set_cache_read) AS cache_read,
            min(set_first_time) AS first_time, max(set_last_time) AS last_time,
            sum(set_all_responses) AS all_responses, sum(set_all_tokens) AS all_tokens,
            sum(set_source_snapshots) AS source_snapshots, sum(set_source_tokens) AS source_tokens,
            max(set_synced) AS synced, max(set_large) AS any_large
        FROM (
            {responses}
            UNION ALL
            SELECT {SESSION}, session_id, toInt64(0), 0, 0, 0, 0, 0, 0, 0, {NEVER}, toInt64(0), 0, 0,
                {snapshots}, {snapshot_tokens}, max(toUnixTimestamp64Milli(read_at)), 0
            FROM source_files FINAL GROUP BY session_id)
        GROUP BY kind, name, start",
        snapshots = sum("snapshots"),
        snapshot_tokens = sum("snapshot_tokens"),
        responses = responses(filter, width),
    )
}

/// Returns the one pass over the responses.
fn responses(filter: &DashboardFilter, width: Width) -> String {
    let admitted = Admitted::new(filter);
    let value = |value: &str, otherwise: &str| admitted.value(value, otherwise);
    let starts: Vec<_> = filter.trend_starts.iter().map(|start| start.as_millis().to_string()).collect();
    let step = match starts.len() {
        0 => "toInt64(0)".to_owned(),
        _ => format!("roundDown(toUnixTimestamp64Milli(time), CAST([{}], 'Array(Int64)'))", starts.join(",")),
    };
    format!(
        "SELECT multiIf(grouping(session_id) = 0, {SESSION}, grouping(project) = 0, {PROJECT},
                grouping(model) = 0, {MODEL}, grouping(host) = 0, {HOST},
                grouping(origin) = 0, if(weak_key, {WEAK}, {ORIGIN}), {STEP}) AS kind,
            multiIf(kind = {SESSION}, session_id, kind = {PROJECT}, toString(project),
                kind = {MODEL}, toString(model), kind = {HOST}, toString(host),
                kind IN ({ORIGIN}, {WEAK}), toString(origin), '') AS name,
            row_step AS start, sum(row_responses) AS set_responses, sum(row_worth_tokens) AS set_worth_tokens,
            sum(row_unfinished) AS set_unfinished, {set_input} AS set_input, {set_output} AS set_output,
            {set_cache_creation} AS set_cache_creation, {set_cache_read} AS set_cache_read,
            min(row_first_time) AS set_first_time, max(row_last_time) AS set_last_time,
            {all_responses} AS set_all_responses, {all_tokens} AS set_all_tokens,
            0 AS set_source_snapshots, 0 AS set_source_tokens, toInt64(0) AS set_synced, max(row_is_large) AS set_large
        FROM (
            SELECT session_id, project, model, host, origin, weak_key, {admits} AS is_admitted, {step} AS row_step,
                {responses} AS row_responses, {worth_tokens} AS row_worth_tokens, {unfinished} AS row_unfinished,
                {input} AS row_input, {output} AS row_output, {cache_creation} AS row_cache_creation,
                {cache_read} AS row_cache_read, {tokens} AS row_tokens, {first_time} AS row_first_time,
                {last_time} AS row_last_time, {IS_LARGE} AS row_is_large
            FROM token_usage FINAL WHERE {condition})
        GROUP BY GROUPING SETS ((session_id), (project), (model), (host), (origin, weak_key), (row_step))",
        admits = admitted.flag,
        condition = admitted.condition,
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
        tokens = width.tokens(),
        responses = value("1", "0"),
        worth_tokens = value(WORTH_TOKENS, "0"),
        unfinished = value(&format!("{WORTH_TOKENS} AND NOT finished"), "0"),
        input = value("input_tokens", "0"),
        output = value("output_tokens", "0"),
        cache_creation = value("cache_creation_tokens", "0"),
        cache_read = value("cache_read_tokens", "0"),
        first_time = value("toUnixTimestamp64Milli(time)", NEVER),
        last_time = value("toUnixTimestamp64Milli(time)", "toInt64(0)"),
    )
}

/// Place of the filter: in the `WHERE`, or as a flag on each row if the receipt needs the other responses too.
struct Admitted {
    flag: String,
    condition: String,
}

impl Admitted {
    fn new(filter: &DashboardFilter) -> Self {
        let conditions = conditions(&filter.responses).join(" AND ");
        match filter.receipt {
            _ if conditions.is_empty() => Self { flag: "true".to_owned(), condition: COUNTED.to_owned() },
            ReceiptScope::Store => Self { flag: format!("({conditions})"), condition: COUNTED.to_owned() },
            ReceiptScope::Omitted => {
                Self { flag: "true".to_owned(), condition: format!("{COUNTED} AND {conditions}") }
            }
        }
    }

    /// Returns whether the pass reads rows that are not admitted.
    fn is_flagged(&self) -> bool {
        self.flag != "true"
    }

    fn value(&self, value: &str, otherwise: &str) -> String {
        if self.is_flagged() { format!("if(is_admitted, {value}, {otherwise})") } else { value.to_owned() }
    }
}

impl ClickHouseStore {
    pub(crate) async fn read_dashboard(
        &self,
        filter: &DashboardFilter,
    ) -> Result<DashboardData, BridgeError> {
        let mut rows = self.kinds(filter, Width::Narrow).await?;
        if rows.iter().any(may_have_wrapped) {
            rows = self.kinds(filter, Width::Wide).await?;
        }
        data_of(filter, rows).map_err(|error| corrupt(OPERATION, format!("a time in token_usage is {error}")))
    }

    async fn kinds(&self, filter: &DashboardFilter, width: Width) -> Result<Vec<KindRow>, BridgeError> {
        let statement = statement(filter, width);
        self.call(OPERATION, |tables| {
            let query = tables.query(&statement);
            let query = bind(query, &filter.responses);
            async move { query.fetch_all().await }
        })
        .await
    }
}

/// Returns whether narrow sums may not be exact. See [`IS_LARGE`].
fn may_have_wrapped(row: &KindRow) -> bool {
    row.has_large || row.stored >= NARROW_ROWS
}

fn data_of(filter: &DashboardFilter, rows: Vec<KindRow>) -> Result<DashboardData, InvalidValue> {
    let mut data = DashboardData::default();
    if filter.receipt == ReceiptScope::Store {
        data.receipt = Some(StoreReceipt::default());
    }
    for row in rows {
        match row.kind {
            SESSION => {
                take_store(&mut data, &row)?;
                data.sessions = list(row)?;
            }
            PROJECT => data.projects = list(row)?,
            MODEL => data.models = list(row)?,
            HOST => data.hosts = list(row)?,
            ORIGIN | WEAK => take_origins(&mut data, row)?,
            _ => take_steps(&mut data, filter, row)?,
        }
    }
    data.origins.sort_by_key(|row| Reverse(row.sums.counts.total()));
    Ok(data)
}

/// Responses with a weak key are groups of their own, and are added to their origins like the others.
fn take_origins(data: &mut DashboardData, row: KindRow) -> Result<(), InvalidValue> {
    let is_weak = row.kind == WEAK;
    if is_weak && let Some(receipt) = &mut data.receipt {
        receipt.weak = ReceiptLine { count: row.stored, tokens: row.stored_tokens };
    }
    for group in list(row)?.rows {
        if is_weak {
            data.weak.add(&group.sums);
        }
        match data.origins.binary_search_by(|known| known.name.cmp(&group.name)) {
            Ok(known) => data.origins[known].sums.add(&group.sums),
            Err(place) => data.origins.insert(place, group),
        }
    }
    Ok(())
}

/// The totals of the whole store are in the row of the sessions.
fn take_store(data: &mut DashboardData, row: &KindRow) -> Result<(), InvalidValue> {
    data.last_sync = (row.last_sync > 0).then(|| Timestamp::from_millis(row.last_sync)).transpose()?;
    if let Some(receipt) = &mut data.receipt {
        let line = |count, tokens| ReceiptLine { count, tokens };
        let weak = receipt.weak;
        *receipt = StoreReceipt::new(
            line(row.read_snapshots, row.read_tokens),
            line(row.kept, row.kept_tokens),
            line(row.stored, row.stored_tokens),
        );
        receipt.weak = weak;
    }
    Ok(())
}

/// Every admitted response lies in one step, so the steps' sums are the totals.
fn take_steps(data: &mut DashboardData, filter: &DashboardFilter, row: KindRow) -> Result<(), InvalidValue> {
    for group in &row.listed {
        let sums = sums(group)?;
        data.totals.add(&sums);
        if !filter.trend_starts.is_empty() {
            data.trend.push(TrendSums { start: Timestamp::from_millis(group.1)?, sums });
        }
    }
    data.trend.sort_unstable_by_key(|step| step.start);
    Ok(())
}

fn list(row: KindRow) -> Result<GroupList, InvalidValue> {
    let group = |group: GroupTuple| Ok(GroupSums { sums: sums(&group)?, name: group.0 });
    Ok(GroupList { groups: row.groups, rows: row.listed.into_iter().map(group).collect::<Result<_, _>>()? })
}

fn sums(group: &GroupTuple) -> Result<UsageSums, InvalidValue> {
    let &(_, _, responses, worth_tokens, unfinished, input, output, cache_creation, cache_read, first, last) =
        group;
    Ok(UsageSums {
        responses,
        responses_worth_tokens: worth_tokens,
        unfinished_responses: unfinished,
        counts: TokenCounts { input, output, cache_creation, cache_read },
        first_time: Some(Timestamp::from_millis(first)?),
        last_time: Some(Timestamp::from_millis(last)?),
    })
}
