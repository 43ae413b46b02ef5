//! Reads rows and sums: exact, with `FINAL`, each answer as of one moment.

use std::collections::{BTreeMap, HashMap};

use ::clickhouse::Row;
use ::clickhouse::query::Query;
use bridge_core::{
    ActivityFacts, BridgeError, Cost, ResponseUsage, SessionId, TimeRange, TokenCounts, TokenSummaryRecord,
};
use serde::Deserialize;

use super::activity::{ACTIVITY_COLUMNS, ActivityRow};
use super::rows::{COUNTED, StoredUsage, USAGE_COLUMNS};
use super::saturating::{COUNTERS, WORTH_TOKENS, saturating};
use super::summaries::{SummaryRow, summary_columns};
use crate::clickhouse::ClickHouseStore;
use crate::dashboard::{DashboardFilter, GroupPage, ReceiptScope};
use crate::dimension::Dimension;
use crate::query::{AdmittedValues, BreakdownRow, ResponseFilter, StoreTotals, SummaryFilter};

/// Sums of responses. The names differ from the columns', which the sums would otherwise shadow.
#[derive(Debug, Row, Deserialize)]
struct TotalsRow {
    name: String,
    responses: u64,
    worth: u64,
    unfinished: u64,
    sessions: u64,
    input: u128,
    output: u128,
    cache_creation: u128,
    cache_read: u128,
}

impl From<TotalsRow> for BreakdownRow {
    fn from(row: TotalsRow) -> Self {
        let saturated = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX);
        let totals = StoreTotals {
            responses: row.responses,
            responses_worth_tokens: row.worth,
            unfinished_responses: row.unfinished,
            sessions: row.sessions,
            counts: TokenCounts {
                input: saturated(row.input),
                output: saturated(row.output),
                cache_creation: saturated(row.cache_creation),
                cache_read: saturated(row.cache_read),
            },
        };
        Self { name: row.name, totals }
    }
}

/// Returns the query of the sums over `token_usage`, by the expression `name`. It says no more than needed: planning it takes
/// most of its time.
fn sums(name: &str, filter: &ResponseFilter, rest: &str) -> String {
    let [input, output, cache_creation, cache_read] =
        COUNTERS.map(|counter| format!("sum(toUInt128({counter}))"));
    format!(
        "SELECT {name} AS name, count() AS responses, countIf({WORTH_TOKENS}) AS worth,
            countIf({WORTH_TOKENS} AND NOT finished) AS unfinished, uniqExact(session_id) AS sessions,
            {input} AS input, {output} AS output, {cache_creation} AS cache_creation, {cache_read} AS cache_read
        FROM token_usage FINAL {admitted} {rest}",
        admitted = admitted(filter),
    )
}

/// Returns the conditions of a filter, with a `?` for each value that [`bind`] binds.
pub(crate) fn conditions(filter: &ResponseFilter) -> Vec<String> {
    let times = time_conditions(&filter.time).into_iter().map(str::to_owned);
    let values = filter.conditions().filter_map(|(dimension, values)| match (values, listed(values)) {
        // An empty list is not valid SQL.
        (AdmittedValues::Only(_), None) => Some("false".to_owned()),
        (AdmittedValues::AllBut(_), None) => None,
        (AdmittedValues::Only(_), Some(_)) => Some(format!("{} IN ?", dimension.sql())),
        (AdmittedValues::AllBut(_), Some(_)) => Some(format!("{} NOT IN ?", dimension.sql())),
    });
    times.chain(values).collect()
}

/// Returns the values that a condition lists, if there are any.
fn listed(values: &AdmittedValues) -> Option<Vec<&str>> {
    let (AdmittedValues::Only(values) | AdmittedValues::AllBut(values)) = values;
    (!values.is_empty()).then(|| values.iter().map(String::as_str).collect())
}

/// Returns the clauses after `FROM token_usage FINAL` for the rows that a filter admits. `FINAL` must determine the
/// version that counts before its session can be compared. To avoid this for all rows, the keys that ever belonged to
/// these sessions are looked up first. [`bind_admitted`] binds the values.
fn admitted(filter: &ResponseFilter) -> String {
    let narrowed = match narrowing_sessions(filter) {
        Some(_) => "PREWHERE key IN (SELECT key FROM token_usage WHERE session_id IN ?) ",
        None => "",
    };
    let conditions = [vec![COUNTED.to_owned()], conditions(filter)].concat();
    format!("{narrowed}WHERE {}", conditions.join(" AND "))
}

fn bind_admitted(query: Query, filter: &ResponseFilter) -> Query {
    bind(narrowing_sessions(filter).into_iter().fold(query, Query::bind), filter)
}

fn narrowing_sessions(filter: &ResponseFilter) -> Option<Vec<&str>> {
    let sessions = filter.only(&Dimension::Session)?;
    (!sessions.is_empty()).then(|| sessions.iter().map(String::as_str).collect())
}

pub(crate) fn time_conditions(time: &TimeRange) -> Vec<&'static str> {
    let mut conditions = Vec::new();
    if time.start.is_some() {
        conditions.push("time >= fromUnixTimestamp64Milli(toInt64(?), 'UTC')");
    }
    if time.end.is_some() {
        conditions.push("time < fromUnixTimestamp64Milli(toInt64(?), 'UTC')");
    }
    conditions
}

/// Binds the values of the [`conditions`], in their order.
pub(crate) fn bind(query: Query, filter: &ResponseFilter) -> Query {
    let lists = filter.conditions().filter_map(|(_, values)| listed(values));
    lists.fold(bind_time(query, &filter.time), Query::bind)
}

fn bind_time(query: Query, time: &TimeRange) -> Query {
    [time.start, time.end].into_iter().flatten().fold(query, |query, end| query.bind(end.as_millis()))
}

impl ClickHouseStore {
    pub(crate) async fn read_totals(&self, filter: &ResponseFilter) -> Result<StoreTotals, BridgeError> {
        let rows = self.read_sums("read totals", &sums("''", filter, ""), filter).await?;
        Ok(rows.into_iter().next().map(|row| row.totals).unwrap_or_default())
    }

    pub(crate) async fn read_breakdown(
        &self,
        dimension: Dimension,
        filter: &ResponseFilter,
        limit: Option<u32>,
    ) -> Result<Vec<BreakdownRow>, BridgeError> {
        let name = format!("toString({})", dimension.sql());
        let order = match dimension {
            Dimension::Day => "name".to_owned(),
            _ => format!("{} DESC, name", saturating("input + output + cache_creation + cache_read")),
        };
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let query = sums(&name, filter, &format!("GROUP BY name ORDER BY {order}{limit}"));
        self.read_sums("read a breakdown", &query, filter).await
    }

    async fn read_sums(
        &self,
        operation: &'static str,
        query: &str,
        filter: &ResponseFilter,
    ) -> Result<Vec<BreakdownRow>, BridgeError> {
        let rows: Vec<TotalsRow> = self.read(operation, query, |query| bind_admitted(query, filter)).await?;
        Ok(rows.into_iter().map(BreakdownRow::from).collect())
    }

    pub(crate) async fn read_summaries(
        &self,
        filter: &SummaryFilter,
    ) -> Result<Vec<TokenSummaryRecord>, BridgeError> {
        if filter.sessions.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut outer = Vec::new();
        let active = time_conditions(&filter.active);
        let active = format!(
            "session_id IN (SELECT session_id FROM token_usage FINAL WHERE {COUNTED} AND {})",
            active.join(" AND ")
        );
        if !filter.active.is_all() {
            outer.push(active.as_str());
        }
        if filter.sessions.is_some() {
            outer.push("session_id IN ?");
        }
        if filter.after.is_some() {
            outer.push("session_id > ?");
        }
        let condition =
            if outer.is_empty() { String::new() } else { format!("WHERE {}", outer.join(" AND ")) };
        let limit = filter.limit.map(|limit| format!("LIMIT {limit}")).unwrap_or_default();
        let query = format!(
            "SELECT {} FROM enhanced_token_summaries {condition} ORDER BY session_id {limit}",
            summary_columns(filter.include_metadata)
        );
        let mut values = ResponseFilter::in_time(filter.active);
        if let Some(sessions) = &filter.sessions {
            values = values.with_sessions(sessions.iter().cloned());
        }
        let bind_all = |query| {
            let query = bind(query, &values);
            filter.after.iter().fold(query, |query, after| query.bind(after.as_str()))
        };
        let rows: Vec<SummaryRow> = self.read("read summaries", &query, bind_all).await?;
        let summaries = rows.into_iter().map(|row| row.into_record(filter.include_metadata));
        let mut summaries: Vec<TokenSummaryRecord> = summaries.collect::<Result<_, _>>()?;
        if filter.include_metadata {
            self.add_activity(&mut summaries).await?;
        }
        if filter.include_cost {
            self.add_costs(&mut summaries, filter).await?;
        }
        Ok(summaries)
    }

    /// Adds what the sessions cost, by a separate query: that of a dashboard, which prices each response.
    async fn add_costs(
        &self,
        summaries: &mut [TokenSummaryRecord],
        filter: &SummaryFilter,
    ) -> Result<(), BridgeError> {
        if summaries.is_empty() {
            return Ok(());
        }
        let mut costs =
            DashboardFilter { cost: true, receipt: ReceiptScope::Omitted, ..DashboardFilter::default() };
        costs.breakdowns = BTreeMap::from([(Dimension::Session, GroupPage::top(u32::MAX))]);
        let is_of_all = filter.sessions.is_none() && filter.after.is_none() && filter.limit.is_none();
        if !is_of_all || !filter.active.is_all() {
            let sessions = summaries.iter().map(|summary| summary.session_id.clone());
            costs.responses = ResponseFilter::of_sessions(sessions.collect());
        }
        let data = self.read_dashboard(&costs).await?;
        let sessions = data.breakdowns.into_values().flat_map(|list| list.rows);
        let mut costs: HashMap<String, Cost> =
            sessions.filter_map(|group| Some((group.name, group.sums.cost?))).collect();
        for summary in summaries {
            summary.cost = costs.remove(summary.session_id.as_str());
        }
        Ok(())
    }

    /// Adds what happened in the sessions, by a separate query, which only metadata costs.
    async fn add_activity(&self, summaries: &mut [TokenSummaryRecord]) -> Result<(), BridgeError> {
        if summaries.is_empty() {
            return Ok(());
        }
        let query = format!(
            "SELECT {ACTIVITY_COLUMNS} FROM session_activity WHERE session_id IN ? ORDER BY session_id"
        );
        let sessions: Vec<&str> = summaries.iter().map(|summary| summary.session_id.as_str()).collect();
        let rows: Vec<ActivityRow> =
            self.read("read summaries", &query, |query| query.bind(&sessions)).await?;
        let mut known: HashMap<SessionId, ActivityFacts> =
            rows.into_iter().map(ActivityRow::into_facts).collect::<Result<_, _>>()?;
        for summary in summaries {
            if let Some(metadata) = &mut summary.metadata {
                metadata.activity = known.remove(&summary.session_id);
            }
        }
        Ok(())
    }

    pub(crate) async fn read_responses(
        &self,
        filter: &ResponseFilter,
    ) -> Result<Vec<ResponseUsage>, BridgeError> {
        let admitted = admitted(filter);
        let query = format!("SELECT {USAGE_COLUMNS} FROM token_usage FINAL {admitted} ORDER BY key");
        let rows: Vec<StoredUsage> =
            self.read("read responses", &query, |query| bind_admitted(query, filter)).await?;
        rows.into_iter().map(StoredUsage::into_verified_response).collect()
    }

    async fn read<T>(
        &self,
        operation: &'static str,
        query: &str,
        bind: impl Fn(Query) -> Query,
    ) -> Result<Vec<T>, BridgeError>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        let bind = &bind;
        self.call(operation, |tables| async move { bind(tables.query(query)).fetch_all::<T>().await }).await
    }
}
