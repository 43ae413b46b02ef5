//! The data of a dashboard: one statement, one pass over the responses.
//!
//! All of it comes from one scan of `token_usage`, which ClickHouse reads as of one moment. `GROUPING SETS` sums the
//! rows by each dimension that was asked for, by origin and by step of the trend at once. There is no second read that a
//! writer could precede. Columns of other dimensions are not read. The statistics of the source files are added to the sessions.

mod admitted;
mod cost;
mod price_table;
mod statement;

use std::cmp::Reverse;

use ::clickhouse::Row;
use bridge_core::{
    BridgeError, Cost, ExtraCounts, InvalidValue, ModelName, Money, ReceiptLine, StorageKind, StoreReceipt,
    Timestamp, TokenCounts,
};
use serde::Deserialize;

use super::ClickHouseStore;
use super::connection::errors::corrupt;
use super::usage::read::bind;
use super::usage::saturating::NARROW_ROWS;
use crate::dashboard::{
    DashboardData, DashboardFilter, GroupList, GroupSums, ReceiptScope, SplitSums, TrendSums, UsageSums,
};
use crate::prices::{PricedBy, UnpricedSums};

use price_table::IS_UNPRICED;
pub(crate) use price_table::PriceTable;
use statement::{ORIGIN, SESSION, SPLIT, STEP, Statement, WEAK, Width, kinds};

const OPERATION: &str = "read a dashboard";

/// The size in bytes up to which the database reads rows in one block. With its default of 1 MB, blocks of 8,000 rows,
/// each function's fixed time for a block adds up to a third of the statement's; with a greater one, memory grows and the
/// time hardly shrinks.
const BLOCK_BYTES: &str = "8388608";

/// Maximum number of reads, if responses of new models keep appearing.
const MODEL_ATTEMPTS_MAX: u32 = 4;

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
    /// Their costs, if they were asked for.
    costs: Vec<CostTuple>,
}

/// In units or 10^-18 dollars: list price, the same without a cache, price; tokens and web searches without a price; tokens
/// with one.
type CostTuple = (u128, u128, u128, u64, u64, u64);

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
        let unreadable = |error| corrupt(OPERATION, format!("a value in token_usage is unreadable: {error}"));
        let mut prices = match filter.cost {
            true => self.price_table(filter.prices.as_deref()).await?,
            false => None,
        };
        for _ in 0..MODEL_ATTEMPTS_MAX {
            let (rows, width) = self.exact_kinds(filter, prices.as_deref()).await?;
            let data = Reader { filter, width, prices: prices.as_deref() }.data(rows);
            if let Some(data) = data.map_err(unreadable)? {
                return Ok(data);
            }
            prices = self.price_table_anew(filter.prices.as_deref()).await?;
        }
        let message = "responses of new models appeared at each read";
        Err(BridgeError::storage(StorageKind::Busy, OPERATION, message))
    }

    async fn exact_kinds(
        &self,
        filter: &DashboardFilter,
        prices: Option<&PriceTable>,
    ) -> Result<(Vec<KindRow>, Width), BridgeError> {
        if prices.is_none_or(PriceTable::is_narrow) {
            let rows = self.kinds(filter, Width::Narrow, prices).await?;
            if !rows.iter().any(|row| may_have_wrapped(row, prices)) {
                return Ok((rows, Width::Narrow));
            }
        }
        Ok((self.kinds(filter, Width::Wide, prices).await?, Width::Wide))
    }

    async fn kinds(
        &self,
        filter: &DashboardFilter,
        width: Width,
        prices: Option<&PriceTable>,
    ) -> Result<Vec<KindRow>, BridgeError> {
        let statement = Statement::new(filter, width, prices).sql();
        self.call(OPERATION, |tables| {
            let query = tables.query(&statement).with_setting("preferred_block_size_bytes", BLOCK_BYTES);
            let query = bind(query, &filter.responses);
            async move { query.fetch_all().await }
        })
        .await
    }
}

/// Returns whether narrow sums may not be exact. See [`NARROW_ROWS`].
fn may_have_wrapped(row: &KindRow, prices: Option<&PriceTable>) -> bool {
    row.has_large
        || row.stored >= NARROW_ROWS
        || prices.is_some_and(|prices| prices.may_wrap(row.stored, row.stored_tokens))
}

/// Turns the answer into the data of a dashboard.
struct Reader<'a> {
    filter: &'a DashboardFilter,
    width: Width,
    prices: Option<&'a PriceTable>,
}

impl Reader<'_> {
    /// Returns the data; `None` if there are responses of models that the table of prices does not know yet.
    fn data(&self, rows: Vec<KindRow>) -> Result<Option<DashboardData>, InvalidValue> {
        // The database returns no row for a breakdown without groups.
        let breakdowns =
            self.filter.breakdowns.keys().map(|dimension| (dimension.clone(), GroupList::default()));
        let none = UsageSums { cost: self.prices.map(|_| Cost::default()), ..UsageSums::default() };
        let mut data = DashboardData {
            breakdowns: breakdowns.collect(),
            receipt: (self.filter.receipt == ReceiptScope::Store).then(StoreReceipt::default),
            totals: none,
            weak: none,
            ..DashboardData::default()
        };
        let mut unpriced = Vec::new();
        for row in rows {
            match row.kind {
                STEP => self.take_steps(&mut data, &row)?,
                SPLIT => self.take_split(&mut data, row)?,
                ORIGIN | WEAK => {
                    let Some(found) = self.unpriced(&row)? else { return Ok(None) };
                    unpriced.extend(found);
                    self.take_origins(&mut data, row)?;
                }
                SESSION => {
                    take_store(&mut data, &row)?;
                    self.take_breakdown(&mut data, row)?;
                }
                _ => self.take_breakdown(&mut data, row)?,
            }
        }
        data.origins.sort_by_key(|row| Reverse(row.sums.counts.total()));
        data.priced_by = self.prices.map(|prices| PricedBy::new(prices.digest().to_owned(), unpriced));
        Ok(Some(data))
    }

    /// Returns what has no price; `None` if that is because its model is new.
    fn unpriced(&self, row: &KindRow) -> Result<Option<Vec<UnpricedSums>>, InvalidValue> {
        let Some(prices) = self.prices else { return Ok(Some(Vec::new())) };
        let mut unpriced = Vec::new();
        for (group, cost) in row.listed.iter().zip(&row.costs) {
            let code = group.1.unsigned_abs();
            if code & IS_UNPRICED == 0 {
                continue;
            }
            let Some((model, reason)) = prices.reason(code) else { return Ok(None) };
            let sums = self.sums(group, None)?;
            unpriced.push(UnpricedSums {
                model: ModelName::new(model).ok(),
                reason,
                tokens: sums.counts.total(),
                web_searches: cost.4,
                responses: sums.responses,
                since: sums.first_time.unwrap_or(Timestamp::MIN),
            });
        }
        Ok(Some(unpriced))
    }

    /// The sessions are not listed if only the receipt needs them.
    fn take_breakdown(&self, data: &mut DashboardData, row: KindRow) -> Result<(), InvalidValue> {
        let listed = kinds(self.filter).find(|(kind, _)| *kind == row.kind);
        if let Some((_, dimension)) = listed {
            data.breakdowns.insert(dimension.clone(), self.list(row)?);
        }
        Ok(())
    }

    /// Responses with a weak key, and those without a price, are groups of their own, and are added to their origins like
    /// the others.
    fn take_origins(&self, data: &mut DashboardData, row: KindRow) -> Result<(), InvalidValue> {
        let is_weak = row.kind == WEAK;
        if is_weak && let Some(receipt) = &mut data.receipt {
            receipt.weak = ReceiptLine { count: row.stored, tokens: row.stored_tokens };
        }
        for group in self.list(row)?.rows {
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

    /// Every admitted response lies in one step, so the steps' sums are the totals.
    fn take_steps(&self, data: &mut DashboardData, row: &KindRow) -> Result<(), InvalidValue> {
        for (place, group) in row.listed.iter().enumerate() {
            let sums = self.sums(group, row.costs.get(place))?;
            data.totals.add(&sums);
            if !self.filter.trend_starts.is_empty() {
                data.trend.push(TrendSums { start: Timestamp::from_millis(group.1)?, sums });
            }
        }
        data.trend.sort_unstable_by_key(|step| step.start);
        Ok(())
    }

    fn take_split(&self, data: &mut DashboardData, row: KindRow) -> Result<(), InvalidValue> {
        let split = |(group, cost): (GroupTuple, Option<CostTuple>)| {
            let sums = self.sums(&group, cost.as_ref())?;
            Ok(SplitSums { start: Timestamp::from_millis(group.1)?, sums, name: group.0 })
        };
        data.split_trend = with_costs(row).map(split).collect::<Result<_, InvalidValue>>()?;
        Ok(())
    }

    fn list(&self, row: KindRow) -> Result<GroupList, InvalidValue> {
        let group = |(group, cost): (GroupTuple, Option<CostTuple>)| {
            Ok(GroupSums { sums: self.sums(&group, cost.as_ref())?, name: group.0 })
        };
        Ok(GroupList { groups: row.groups, rows: with_costs(row).map(group).collect::<Result<_, _>>()? })
    }

    fn sums(&self, group: &GroupTuple, cost: Option<&CostTuple>) -> Result<UsageSums, InvalidValue> {
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
            cost: cost.map(|cost| self.cost(cost)),
        })
    }

    fn cost(&self, &(list, without_cache, amount, unpriced_tokens, _, priced_tokens): &CostTuple) -> Cost {
        let unit = match (self.width, self.prices) {
            (Width::Narrow, Some(prices)) => prices.unit,
            _ => 1,
        };
        let money = |units: u128| {
            let exact = i128::try_from(units).ok().and_then(|units| units.checked_mul(i128::from(unit)));
            Money::from_attodollars(exact.unwrap_or(i128::MAX))
        };
        Cost {
            amount: money(amount),
            list: money(list),
            without_cache: money(without_cache),
            priced_tokens,
            unpriced_tokens,
        }
    }
}

fn with_costs(row: KindRow) -> impl Iterator<Item = (GroupTuple, Option<CostTuple>)> {
    let costs = row.costs.into_iter().map(Some).chain(std::iter::repeat(None));
    row.listed.into_iter().zip(costs)
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
