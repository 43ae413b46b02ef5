//! Totals, trends and breakdowns.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{CalendarUnit, ModelName, StoreReceipt, TimeRange, TimeZone, Timestamp, Unpriced};
use bridge_storage::{Dimension, GroupSums, PricedBy, UnpricedSums};
use serde::Serialize;

use super::sums::{CostAnswer, Count, Line, Sums, Tokens};
use crate::dashboard::{
    Breakdown, DashboardTokenMetrics, DashboardTrend, DataAge, PreviousPeriod, TrendBucket, TrendSeries,
};

/// The price list of the costs, and what has no price by it.
#[derive(Serialize)]
pub(in crate::web) struct PricedByAnswer {
    digest: String,
    unpriced: Vec<UnpricedAnswer>,
}

#[derive(Serialize)]
struct UnpricedAnswer {
    model: Option<ModelName>,
    reason: Unpriced,
    tokens: Count,
    web_searches: Count,
    responses: Count,
    since: Timestamp,
}

impl From<&PricedBy> for PricedByAnswer {
    fn from(priced_by: &PricedBy) -> Self {
        let unpriced = |sums: &UnpricedSums| UnpricedAnswer {
            model: sums.model.clone(),
            reason: sums.reason,
            tokens: Count(sums.tokens),
            web_searches: Count(sums.web_searches),
            responses: Count(sums.responses),
            since: sums.since,
        };
        Self { digest: priced_by.digest.clone(), unpriced: priced_by.unpriced.iter().map(unpriced).collect() }
    }
}

/// The common part of all answers to dashboard queries.
#[derive(Serialize)]
struct Moment {
    range: TimeRange,
    as_of: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    priced_by: Option<PricedByAnswer>,
}

impl Moment {
    fn of(metrics: &DashboardTokenMetrics) -> Self {
        let priced_by = metrics.priced_by.as_ref().map(PricedByAnswer::from);
        Self { range: metrics.range, as_of: metrics.as_of, priced_by }
    }
}

#[derive(Serialize)]
pub(in crate::web) struct Totals {
    #[serde(flatten)]
    moment: Moment,
    totals: Sums,
    /// An unfinished response makes the sums floors.
    at_least: bool,
    cache_hit_share: Option<f64>,
    /// The period before, if it was asked for and there is one.
    previous: Option<Previous>,
    data_age: DataAgeAnswer,
}

#[derive(Serialize)]
struct Previous {
    range: TimeRange,
    totals: Sums,
    at_least: bool,
}

impl From<PreviousPeriod> for Previous {
    fn from(previous: PreviousPeriod) -> Self {
        let PreviousPeriod { range, totals, completeness } = previous;
        Self { range, totals: totals.into(), at_least: completeness.at_least }
    }
}

impl From<&DashboardTokenMetrics> for Totals {
    fn from(metrics: &DashboardTokenMetrics) -> Self {
        Self {
            moment: Moment::of(metrics),
            totals: metrics.totals.into(),
            at_least: metrics.completeness.at_least,
            cache_hit_share: metrics.cache_hit_share,
            previous: metrics.previous.map(Previous::from),
            data_age: metrics.data_age.into(),
        }
    }
}

#[derive(Serialize)]
struct DataAgeAnswer {
    newest_response: Option<Timestamp>,
    newest_response_age_seconds: Option<f64>,
    last_sync: Option<Timestamp>,
    last_sync_age_seconds: Option<f64>,
}

impl From<DataAge> for DataAgeAnswer {
    fn from(age: DataAge) -> Self {
        let seconds = |age: Option<Duration>| age.map(|age| age.as_secs_f64());
        Self {
            newest_response: age.newest_response,
            newest_response_age_seconds: seconds(age.newest_response_age),
            last_sync: age.last_sync,
            last_sync_age_seconds: seconds(age.last_sync_age),
        }
    }
}

/// A row of a breakdown.
#[derive(Serialize)]
struct Group {
    name: String,
    #[serde(flatten)]
    sums: Sums,
}

impl From<GroupSums> for Group {
    fn from(group: GroupSums) -> Self {
        Self { name: group.name, sums: group.sums.into() }
    }
}

/// A page of a breakdown.
#[derive(Serialize)]
struct Groups {
    rows: Vec<Group>,
    /// Rows on all pages.
    groups: Count,
    other_responses: Count,
    other_tokens: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_cost: Option<CostAnswer>,
    /// The offset of the next page, if there is one.
    next_offset: Option<u32>,
}

impl Groups {
    /// Returns the answer of a page that begins at this offset.
    fn new(page: Breakdown, offset: u32) -> Self {
        let next = u32::try_from(page.rows.len()).ok().and_then(|rows| offset.checked_add(rows));
        let has_more = |next: &u32| !page.rows.is_empty() && u64::from(*next) < page.groups;
        Self {
            next_offset: next.filter(has_more),
            groups: Count(page.groups),
            other_responses: Count(page.other_responses),
            other_tokens: Count(page.other_tokens),
            other_cost: page.other_cost.map(CostAnswer::from),
            rows: page.rows.into_iter().map(Group::from).collect(),
        }
    }
}

#[derive(Serialize)]
pub(in crate::web) struct GroupsAnswer {
    #[serde(flatten)]
    moment: Moment,
    #[serde(flatten)]
    groups: Groups,
}

impl GroupsAnswer {
    pub(in crate::web) fn new(metrics: &DashboardTokenMetrics, page: Breakdown, offset: u32) -> Self {
        Self { moment: Moment::of(metrics), groups: Groups::new(page, offset) }
    }
}

#[derive(Serialize)]
struct Trend {
    step: CalendarUnit,
    zone: TimeZone,
    buckets: Vec<Bucket>,
    series: Vec<Series>,
    before: Sums,
    after: Sums,
}

#[derive(Serialize)]
struct Bucket {
    start: Timestamp,
    end: Timestamp,
    local_start: String,
    #[serde(flatten)]
    sums: Sums,
}

impl From<TrendBucket> for Bucket {
    fn from(bucket: TrendBucket) -> Self {
        let TrendBucket { start, end, local_start, sums } = bucket;
        Self { start, end, local_start, sums: sums.into() }
    }
}

/// The counters of one value in each bucket; without a name, of all values that have no series of their own.
#[derive(Serialize)]
struct Series {
    name: Option<String>,
    buckets: Vec<Tokens>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    costs: Vec<CostAnswer>,
}

impl From<TrendSeries> for Series {
    fn from(series: TrendSeries) -> Self {
        Self {
            name: series.name,
            buckets: series.buckets.into_iter().map(Tokens::from).collect(),
            costs: series.costs.into_iter().map(CostAnswer::from).collect(),
        }
    }
}

impl From<DashboardTrend> for Trend {
    fn from(trend: DashboardTrend) -> Self {
        Self {
            step: trend.step,
            zone: trend.zone,
            buckets: trend.buckets.into_iter().map(Bucket::from).collect(),
            series: trend.series.into_iter().map(Series::from).collect(),
            before: trend.before.into(),
            after: trend.after.into(),
        }
    }
}

#[derive(Serialize)]
pub(in crate::web) struct TrendAnswer {
    #[serde(flatten)]
    moment: Moment,
    #[serde(flatten)]
    trend: Trend,
    previous: Option<Previous>,
}

impl From<DashboardTokenMetrics> for TrendAnswer {
    fn from(metrics: DashboardTokenMetrics) -> Self {
        let previous = metrics.previous.map(Previous::from);
        Self { moment: Moment::of(&metrics), trend: metrics.trend.into(), previous }
    }
}

/// Everything that a page shows, of one moment.
#[derive(Serialize)]
pub(in crate::web) struct Dashboard {
    #[serde(flatten)]
    totals: Totals,
    trend: Trend,
    sessions: Groups,
    projects: Groups,
    models: Groups,
    hosts: Groups,
    /// By the dimensions that were asked for besides.
    breakdowns: BTreeMap<Dimension, Groups>,
}

impl From<DashboardTokenMetrics> for Dashboard {
    fn from(metrics: DashboardTokenMetrics) -> Self {
        let totals = (&metrics).into();
        let others = metrics.breakdowns.into_iter();
        Self {
            totals,
            trend: metrics.trend.into(),
            sessions: Groups::new(metrics.sessions, 0),
            projects: Groups::new(metrics.projects, 0),
            models: Groups::new(metrics.models, 0),
            hosts: Groups::new(metrics.hosts, 0),
            breakdowns: others.map(|(dimension, list)| (dimension, Groups::new(list, 0))).collect(),
        }
    }
}

/// The receipt of the whole store: `read + kept - repeated` = `total`.
#[derive(Serialize)]
pub(in crate::web) struct ReceiptAnswer {
    as_of: Timestamp,
    read: Line,
    kept: Line,
    repeated: Line,
    total: Line,
    weak: Line,
}

impl ReceiptAnswer {
    pub(in crate::web) fn new(as_of: Timestamp, receipt: StoreReceipt) -> Self {
        let StoreReceipt { read, kept, repeated, total, weak, .. } = receipt;
        Self {
            as_of,
            read: read.into(),
            kept: kept.into(),
            repeated: repeated.into(),
            total: total.into(),
            weak: weak.into(),
        }
    }
}
