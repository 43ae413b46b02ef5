//! The answer to a dashboard query.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{CalendarUnit, Cost, StoreReceipt, TimeRange, TimeZone, Timestamp, TokenCounts};
use bridge_storage::{Dimension, GroupList, GroupSums, PricedBy, UsageSums};
use serde::{Deserialize, Serialize};

use super::query::DashboardQuery;
use crate::telemetry::audit_summary::{AuditSummary, ToAuditSummary};

/// The statistics for a dashboard page, all from one moment: the trend and each breakdown, including its other pages,
/// add up to the totals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DashboardTokenMetrics {
    /// The time range that was asked for.
    pub range: TimeRange,
    /// When it was asked.
    pub as_of: Timestamp,
    /// The sums over all responses that were asked for.
    pub totals: UsageSums,
    /// The sum of the four counters.
    pub total_tokens: u64,
    /// The share of the prompts' tokens that came from the cache; `None` without any.
    pub cache_hit_share: Option<f64>,
    /// Completeness of the sums: exact, or floors.
    pub completeness: Completeness,
    /// By session. This breakdown and the next three are empty where the query does not list them.
    pub sessions: Breakdown,
    /// By project.
    pub projects: Breakdown,
    /// By model.
    pub models: Breakdown,
    /// By host.
    pub hosts: Breakdown,
    /// By the other dimensions that the query lists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub breakdowns: BTreeMap<Dimension, Breakdown>,
    /// By the place where the counters were found, under the names of [`Origin`](bridge_core::Origin), greatest total
    /// first: the tokens of advisors, compactions and declined attempts, and those that are in iterations only.
    pub by_origin: Vec<GroupSums>,
    /// The part of the totals that has weak keys: short ids of gateways, distinguished by the prompts' counters.
    pub weak_keys: UsageSums,
    /// By calendar step.
    pub trend: DashboardTrend,
    /// The period before, if it was asked for and the range has a start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousPeriod>,
    /// The age of the data.
    pub data_age: DataAge,
    /// The derivation of the whole store's total from what was read, if it was asked for.
    pub receipt: Option<StoreReceipt>,
    /// The price list of the costs, and what has no price by it; `None` if costs were not asked for, or no price list
    /// is in use. With it all sums have their costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priced_by: Option<PricedBy>,
}

impl DashboardTokenMetrics {
    /// Returns the breakdown by this dimension; `None` if the query does not list it.
    #[must_use]
    pub fn breakdown(&self, dimension: &Dimension) -> Option<&Breakdown> {
        self.breakdowns.get(dimension).or(match dimension {
            Dimension::Session => Some(&self.sessions),
            Dimension::Project => Some(&self.projects),
            Dimension::Model => Some(&self.models),
            Dimension::Host => Some(&self.hosts),
            _ => None,
        })
    }
}

/// The sums of the period before the time range, under the same filter. They are read at the same time as the other
/// data, by a query of their own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PreviousPeriod {
    /// The period: as long as the range, and ending where it starts; of a range that has not ended yet, the part up to
    /// the same point.
    pub range: TimeRange,
    /// The sums.
    pub totals: UsageSums,
    /// Whether they are exact, or floors.
    pub completeness: Completeness,
}

impl ToAuditSummary for DashboardTokenMetrics {
    fn audit_summary(&self) -> AuditSummary {
        AuditSummary::of(self.total_tokens, [("responses", self.totals.responses)])
    }
}

/// Completeness of sums, which are floors if a response is unfinished: only an early snapshot of it was ever written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Completeness {
    /// The sums are to be shown as "at least".
    pub at_least: bool,
    /// Responses worth tokens.
    pub responses: u64,
    /// Of those, the unfinished ones.
    pub unfinished: u64,
    /// The share of unfinished responses, in percent. It says nothing about the number of missing tokens.
    pub undercount_percentage: f64,
}

impl Completeness {
    /// Returns the completeness of these sums.
    #[must_use]
    pub fn of(sums: &UsageSums) -> Self {
        let (responses, unfinished) = (sums.responses_worth_tokens, sums.unfinished_responses);
        let share = if responses == 0 { 0.0 } else { unfinished as f64 / responses as f64 };
        Self { at_least: unfinished > 0, responses, unfinished, undercount_percentage: 100.0 * share }
    }
}

/// One page of a breakdown, and what is not on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Breakdown {
    /// The rows of the page. The name is empty for responses that name none.
    pub rows: Vec<GroupSums>,
    /// Number of rows on all pages.
    pub groups: u64,
    /// The responses of the rows that are not on the page.
    pub other_responses: u64,
    /// Their tokens.
    pub other_tokens: u64,
    /// Their cost, if costs were requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_cost: Option<Cost>,
}

impl Breakdown {
    pub(super) fn new(list: GroupList, totals: &UsageSums) -> Self {
        let mut listed = UsageSums::default();
        list.rows.iter().for_each(|row| listed.add(&row.sums));
        Self {
            rows: list.rows,
            groups: list.groups,
            other_responses: totals.responses.saturating_sub(listed.responses),
            other_tokens: totals.counts.total().saturating_sub(listed.counts.total()),
            other_cost: totals.cost.map(|cost| cost.saturating_sub(listed.cost.unwrap_or_default())),
        }
    }
}

/// The sums by calendar step, without gaps. The buckets, `before` and `after` add up to the totals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DashboardTrend {
    /// The steps: those that were asked for, or coarser ones if there would be too many.
    pub step: CalendarUnit,
    /// The time zone of the steps.
    pub zone: TimeZone,
    /// The steps in order; each ends where the next one starts. Of the first and the last one, only what lies
    /// in the time that was asked for is summed.
    pub buckets: Vec<TrendBucket>,
    /// The same split by the dimension that the query names ([`trend_by`](DashboardQuery::trend_by)): its greatest
    /// values, at most [`TREND_SERIES_MAX`](crate::TREND_SERIES_MAX), and all others together. They add up to the
    /// buckets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<TrendSeries>,
    /// The responses before the first bucket. An open range begins with the first response since 2020, so these are
    /// responses whose clock was wrong; a range with a start has none.
    #[serde(default)]
    pub before: UsageSums,
    /// The responses after the last bucket. An open range ends at the latest a day from now, so these are responses
    /// whose clock was wrong; a range with an end has none.
    #[serde(default)]
    pub after: UsageSums,
}

impl DashboardTrend {
    pub(super) fn empty(query: &DashboardQuery) -> Self {
        Self { step: query.step, zone: query.zone.clone(), ..Self::default() }
    }
}

/// The part of a trend that one value of a dimension has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrendSeries {
    /// The value, empty for responses that have none; `None` for all values that have no series of their own.
    pub name: Option<String>,
    /// The counters in each bucket of the trend.
    pub buckets: Vec<TokenCounts>,
    /// The cost of each bucket, if costs were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<Cost>,
}

/// One step of a trend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrendBucket {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// Its first instant in local time with the offset, as RFC 3339.
    pub local_start: String,
    /// The sums.
    pub sums: UsageSums,
}

/// The age of a dashboard's data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataAge {
    /// The time of the newest response that was asked for. If the range has no end, responses more than a day ahead of
    /// now are ignored.
    pub newest_response: Option<Timestamp>,
    /// Its age.
    #[serde(rename = "newest_response_age_seconds", with = "bridge_core::seconds::option", default)]
    pub newest_response_age: Option<Duration>,
    /// When any source file of the store was last stored.
    pub last_sync: Option<Timestamp>,
    /// Its age.
    #[serde(rename = "last_sync_age_seconds", with = "bridge_core::seconds::option", default)]
    pub last_sync_age: Option<Duration>,
}

impl DataAge {
    pub(super) fn new(
        newest_response: Option<Timestamp>,
        last_sync: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let age = |time: Timestamp| now.saturating_since(time);
        Self {
            newest_response,
            newest_response_age: newest_response.map(age),
            last_sync,
            last_sync_age: last_sync.map(age),
        }
    }
}
