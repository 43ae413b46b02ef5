//! The data of a dashboard: one statement, one pass over the responses.
//!
//! All of it comes from one scan of `token_usage`, which ClickHouse reads as of one moment. `GROUPING SETS` sums the
//! rows by each dimension that was asked for, by origin and by step of the trend at once. There is no second read that a
//! writer could precede. Columns of other dimensions are not read. The statistics of the source files are added to the sessions.

mod statement;

use std::cmp::Reverse;

use ::clickhouse::Row;
use bridge_core::{
    BridgeError, ExtraCounts, InvalidValue, ReceiptLine, StoreReceipt, Timestamp, TokenCounts,
};
use serde::Deserialize;

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::usage::read::bind;
use super::usage::saturating::NARROW_ROWS;
use crate::dashboard::{
    DashboardData, DashboardFilter, GroupList, GroupSums, ReceiptScope, SplitSums, TrendSums, UsageSums,
};
use statement::{ORIGIN, SESSION, SPLIT, STEP, Statement, WEAK, Width, kinds};

const OPERATION: &str = "read a dashboard";

/// A row of the answer: the groups of a kind.
#[derive(Debug, Row, Deserialize)]
struct KindRow {
    kind: u16,
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
    /// Whether any response that was read, admitted or not, has a counter so large that narrow sums may have wrapped.
    has_large: bool,
    /// The listed groups, in their order; steps of the trend in any order.
    listed: Vec<GroupTuple>,
}

/// Name; start of the step; responses, those worth tokens, unfinished ones; the four counters; first and last
/// time; the extra counts.
type GroupTuple = (String, i64, u64, u64, u64, u64, u64, u64, u64, i64, i64, ExtraTuple);

/// Thinking tokens, web searches, web fetches.
type ExtraTuple = (Option<u64>, Option<u64>, Option<u64>);

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
        let statement = Statement::new(filter, width).sql();
        self.call(OPERATION, |tables| {
            let query = tables.query(&statement);
            let query = bind(query, &filter.responses);
            async move { query.fetch_all().await }
        })
        .await
    }
}

/// Returns whether narrow sums may not be exact. See [`NARROW_ROWS`].
fn may_have_wrapped(row: &KindRow) -> bool {
    row.has_large || row.stored >= NARROW_ROWS
}

fn data_of(filter: &DashboardFilter, rows: Vec<KindRow>) -> Result<DashboardData, InvalidValue> {
    // The database returns no row for a breakdown without groups.
    let breakdowns = filter.breakdowns.keys().map(|dimension| (dimension.clone(), GroupList::default()));
    let mut data = DashboardData {
        breakdowns: breakdowns.collect(),
        receipt: (filter.receipt == ReceiptScope::Store).then(StoreReceipt::default),
        ..DashboardData::default()
    };
    for row in rows {
        match row.kind {
            STEP => take_steps(&mut data, filter, row)?,
            SPLIT => take_split(&mut data, row)?,
            ORIGIN | WEAK => take_origins(&mut data, row)?,
            SESSION => {
                take_store(&mut data, &row)?;
                take_breakdown(&mut data, filter, row)?;
            }
            _ => take_breakdown(&mut data, filter, row)?,
        }
    }
    data.origins.sort_by_key(|row| Reverse(row.sums.counts.total()));
    Ok(data)
}

/// The sessions are not listed if only the receipt needs them.
fn take_breakdown(
    data: &mut DashboardData,
    filter: &DashboardFilter,
    row: KindRow,
) -> Result<(), InvalidValue> {
    let listed = kinds(filter).find(|(kind, _)| *kind == row.kind);
    if let Some((_, dimension)) = listed {
        data.breakdowns.insert(dimension.clone(), list(row)?);
    }
    Ok(())
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

fn take_split(data: &mut DashboardData, row: KindRow) -> Result<(), InvalidValue> {
    let split = |group: GroupTuple| {
        Ok(SplitSums { start: Timestamp::from_millis(group.1)?, sums: sums(&group)?, name: group.0 })
    };
    data.split_trend = row.listed.into_iter().map(split).collect::<Result<_, InvalidValue>>()?;
    Ok(())
}

fn list(row: KindRow) -> Result<GroupList, InvalidValue> {
    let group = |group: GroupTuple| Ok(GroupSums { sums: sums(&group)?, name: group.0 });
    Ok(GroupList { groups: row.groups, rows: row.listed.into_iter().map(group).collect::<Result<_, _>>()? })
}

fn sums(group: &GroupTuple) -> Result<UsageSums, InvalidValue> {
    let &(
        _,
        _,
        responses,
        worth_tokens,
        unfinished,
        input,
        output,
        cache_creation,
        cache_read,
        first,
        last,
        extra,
    ) = group;
    let (thinking_tokens, web_search_requests, web_fetch_requests) = extra;
    Ok(UsageSums {
        responses,
        responses_worth_tokens: worth_tokens,
        unfinished_responses: unfinished,
        counts: TokenCounts { input, output, cache_creation, cache_read },
        first_time: Some(Timestamp::from_millis(first)?),
        last_time: Some(Timestamp::from_millis(last)?),
        extra: ExtraCounts { thinking_tokens, web_search_requests, web_fetch_requests },
    })
}
