//! A dashboard query, and its data.

use std::collections::BTreeMap;

use bridge_core::{Cost, ExtraCounts, StoreReceipt, Timestamp, TokenCounts};
use serde::{Deserialize, Serialize};

use crate::ResponseFilter;
use crate::dimension::Dimension;
use crate::prices::PricedBy;

/// A dashboard query: which responses, which breakdowns with which rows, and the steps of the trend.
///
/// ```
/// use bridge_storage::{DashboardFilter, Dimension, GroupPage};
///
/// let filter = DashboardFilter::default().with_breakdown(Dimension::Branch, GroupPage::top(10));
/// assert_eq!(filter.breakdowns.len(), DashboardFilter::CLASSIC_BREAKDOWNS.len() + 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DashboardFilter {
    /// The responses that are summed.
    pub responses: ResponseFilter,
    /// The breakdowns, and which rows of each are listed. A dimension that is not among them costs nothing. By default
    /// [`CLASSIC_BREAKDOWNS`](Self::CLASSIC_BREAKDOWNS).
    pub breakdowns: BTreeMap<Dimension, GroupPage>,
    /// True to fill in [`UsageSums::extra`], for which three more columns are read.
    pub extra_counts: bool,
    /// True to fill in [`UsageSums::cost`], for which more columns are read.
    pub cost: bool,
    /// The digest of the price list for it, if it is not the one in use.
    pub prices: Option<String>,
    /// The starts of the trend's steps, in order. A response counts in the last step that starts at or before its time,
    /// and in the first one if it is before all of them. Without any, the trend is empty.
    pub trend_starts: Vec<Timestamp>,
    /// The dimension by which the trend is split, too.
    pub trend_by: Option<Dimension>,
    /// Scope of the receipt. It covers the whole store, so every response is read, whatever the filter admits.
    pub receipt: ReceiptScope,
}

impl DashboardFilter {
    /// The breakdowns by default.
    pub const CLASSIC_BREAKDOWNS: [Dimension; 4] =
        [Dimension::Session, Dimension::Project, Dimension::Model, Dimension::Host];

    /// Returns the filter with this page of the breakdown by this dimension.
    #[must_use]
    pub fn with_breakdown(mut self, dimension: Dimension, page: GroupPage) -> Self {
        self.breakdowns.insert(dimension, page);
        self
    }
}

impl Default for DashboardFilter {
    fn default() -> Self {
        Self {
            responses: ResponseFilter::default(),
            breakdowns: Self::CLASSIC_BREAKDOWNS.map(|dimension| (dimension, GroupPage::default())).into(),
            extra_counts: false,
            cost: false,
            prices: None,
            trend_starts: Vec::new(),
            trend_by: None,
            receipt: ReceiptScope::default(),
        }
    }
}

/// The scope of a receipt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ReceiptScope {
    /// The receipt of the whole store.
    #[default]
    Store,
    /// None.
    Omitted,
}

/// Which rows of a breakdown are listed, in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupPage {
    /// The sort key of the rows; equal ones are sorted by name.
    pub order: GroupOrder,
    /// The direction of the order.
    pub direction: Direction,
    /// The number of rows to skip.
    pub offset: u32,
    /// The maximum number of rows.
    pub limit: u32,
}

impl GroupPage {
    /// Returns a page of the rows with the most tokens.
    #[must_use]
    pub fn top(limit: u32) -> Self {
        Self { order: GroupOrder::Tokens, direction: Direction::Descending, offset: 0, limit }
    }

    /// Returns the page of the rows sorted by this key in this direction.
    #[must_use]
    pub fn sorted(self, order: GroupOrder, direction: Direction) -> Self {
        Self { order, direction, ..self }
    }

    /// Returns the page without the first `offset` rows.
    #[must_use]
    pub fn after(self, offset: u32) -> Self {
        Self { offset, ..self }
    }

    /// Returns whether the row of this rank, from 0 on, is listed.
    pub(crate) fn lists(&self, rank: u64) -> bool {
        let (offset, limit) = (u64::from(self.offset), u64::from(self.limit));
        (offset..offset + limit).contains(&rank)
    }
}

impl Default for GroupPage {
    /// The 100 rows with the most tokens.
    fn default() -> Self {
        Self::top(100)
    }
}

/// The sort key of a breakdown's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupOrder {
    /// All tokens.
    #[default]
    Tokens,
    /// Input tokens.
    Input,
    /// Output tokens.
    Output,
    /// Tokens written to the cache.
    CacheCreation,
    /// Tokens read from the cache.
    CacheRead,
    /// Responses.
    Responses,
    /// Their cost, if it was requested.
    Cost,
    /// The time of the last response.
    LastTime,
    /// The name, by its bytes.
    Name,
}

/// The direction of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The greatest, or the last by name, first.
    #[default]
    Descending,
    /// The least, or the first by name, first.
    Ascending,
}

/// The data of a dashboard, all from one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DashboardData {
    /// The sums over all responses that the filter admits.
    pub totals: UsageSums,
    /// The breakdowns that were asked for.
    pub breakdowns: BTreeMap<Dimension, GroupList>,
    /// By origin, under the names of [`Origin`](bridge_core::Origin), greatest total first.
    pub origins: Vec<GroupSums>,
    /// The part of the totals whose responses have a weak key.
    pub weak: UsageSums,
    /// By step of the trend, in order, without the steps that contain no response.
    pub trend: Vec<TrendSums>,
    /// By step of the trend and value of [`trend_by`](DashboardFilter::trend_by), greatest total first: at most
    /// [`SPLIT_SUMS_MAX`], which leave nothing out unless there are more.
    pub split_trend: Vec<SplitSums>,
    /// When a source file was last stored, whatever the filter admits.
    pub last_sync: Option<Timestamp>,
    /// The receipt of the whole store, if it was asked for.
    pub receipt: Option<StoreReceipt>,
    /// The price list of the costs, and what has no price by it. `None` if costs were not asked for, or no price list
    /// is in use.
    pub priced_by: Option<PricedBy>,
}

/// Sums over responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSums {
    /// Responses.
    pub responses: u64,
    /// Responses worth tokens.
    pub responses_worth_tokens: u64,
    /// Of those, the ones with only an unfinished snapshot. If there are any, the sums are floors.
    pub unfinished_responses: u64,
    /// The four counters.
    pub counts: TokenCounts,
    /// The time of the first response; `None` if there is none.
    pub first_time: Option<Timestamp>,
    /// The time of the last response; `None` if there is none.
    pub last_time: Option<Timestamp>,
    /// The counts besides the four counters, if they were asked for.
    #[serde(default, skip_serializing_if = "ExtraCounts::is_empty")]
    pub extra: ExtraCounts,
    /// The cost of the responses, if it was requested and the store has a price list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

impl UsageSums {
    /// The share of the prompts' tokens that came from the cache: cache reads divided by the sum of input, cache
    /// creation and cache reads. `None` if that is 0.
    #[must_use]
    pub fn cache_hit_share(&self) -> Option<f64> {
        let TokenCounts { input, cache_creation, cache_read, .. } = self.counts;
        let prompts = input.saturating_add(cache_creation).saturating_add(cache_read);
        (prompts > 0).then(|| cache_read as f64 / prompts as f64)
    }

    /// Adds the sums over other responses.
    pub fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.responses, other.responses);
        add(&mut self.responses_worth_tokens, other.responses_worth_tokens);
        add(&mut self.unfinished_responses, other.unfinished_responses);
        add(&mut self.counts.input, other.counts.input);
        add(&mut self.counts.output, other.counts.output);
        add(&mut self.counts.cache_creation, other.counts.cache_creation);
        add(&mut self.counts.cache_read, other.counts.cache_read);
        self.first_time = [self.first_time, other.first_time].into_iter().flatten().min();
        self.last_time = self.last_time.max(other.last_time);
        self.extra.add(&other.extra);
        if let Some(cost) = &other.cost {
            self.cost.get_or_insert_default().add(cost);
        }
    }
}

/// Some rows of a breakdown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupList {
    /// The rows of the page that was asked for.
    pub rows: Vec<GroupSums>,
    /// The number of rows on all pages.
    pub groups: u64,
}

/// Maximum number of [`SplitSums`] of an answer.
pub const SPLIT_SUMS_MAX: u32 = 20_000;

/// The sums of a value of a dimension in a step of a trend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitSums {
    /// The start of the step.
    pub start: Timestamp,
    /// The value of the dimension; empty if the responses have none.
    pub name: String,
    /// The sums.
    pub sums: UsageSums,
}

/// One row of a breakdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSums {
    /// The value of the dimension; empty if the responses have none.
    pub name: String,
    /// The sums.
    pub sums: UsageSums,
}

/// One step of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrendSums {
    /// Its start, one of [`DashboardFilter::trend_starts`].
    pub start: Timestamp,
    /// The sums.
    pub sums: UsageSums,
}
