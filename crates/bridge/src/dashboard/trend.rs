//! Which steps a trend has, and their sums.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{CalendarStep, TimeRange, Timestamp};
use bridge_storage::{TrendSums, UsageSums};

use super::{DashboardQuery, DashboardTrend, TrendBucket};

/// A trend has no more steps than this; hours of five months, days of ten years, months of all time are fewer.
pub const TREND_BUCKETS_MAX: usize = 4_000;

/// The steps that a trend is asked for with: where they start, and where the last one ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    step: CalendarStep,
    bounds: Vec<Timestamp>,
}

impl Plan {
    /// The steps from the one that the first of these instants lies in to that of the last one.
    pub(super) fn new(query: &DashboardQuery, (first, last): (Timestamp, Timestamp)) -> Self {
        let mut step = query.step;
        loop {
            let bounds = step.bounds(first, last, &query.zone, TREND_BUCKETS_MAX);
            match (bounds, step.coarser()) {
                (Some(bounds), _) => return Self { step, bounds },
                (None, Some(coarser)) => step = coarser,
                // The months of all time are fewer.
                (None, None) => return Self { step, bounds: Vec::new() },
            }
        }
    }

    /// The same, and steps before and after them, as many as a trend of these steps may have. So if the next
    /// read has responses outside of these, too, it has so many that it needs coarser ones: that happens at most
    /// as often as there are coarser ones, however much older responses are stored meanwhile, by a backfill say.
    pub(super) fn roomy(query: &DashboardQuery, span: (Timestamp, Timestamp)) -> Self {
        let Self { step, bounds } = Self::new(query, span);
        let (Some(first), Some(end)) = (bounds.first(), bounds.last()) else { return Self { step, bounds } };
        let spare = u32::try_from(TREND_BUCKETS_MAX.saturating_sub(bounds.len())).unwrap_or(0);
        let first = first.saturating_sub(step_length(step).saturating_mul(spare));
        let roomy = step.bounds(first, *end, &query.zone, 2 * TREND_BUCKETS_MAX);
        Self { step, bounds: roomy.unwrap_or(bounds) }
    }

    pub(super) fn starts(&self) -> &[Timestamp] {
        self.bounds.split_last().map_or(&[], |(_, starts)| starts)
    }

    /// Whether all steps of the other plan are steps of this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.step == other.step
            && self.bounds.first() <= other.bounds.first()
            && other.bounds.last() <= self.bounds.last()
    }

    /// The trend with these sums, which lie in steps of this plan.
    pub(super) fn trend(&self, query: &DashboardQuery, sums: &[TrendSums]) -> DashboardTrend {
        let sums: BTreeMap<Timestamp, UsageSums> = sums.iter().map(|step| (step.start, step.sums)).collect();
        let bucket = |bounds: &[Timestamp]| TrendBucket {
            start: bounds[0],
            end: bounds[1],
            local_start: query.zone.local(bounds[0]),
            sums: sums.get(&bounds[0]).copied().unwrap_or_default(),
        };
        let buckets = self.bounds.windows(2).map(bucket).collect();
        DashboardTrend { step: self.step, zone: query.zone.clone(), buckets }
    }
}

/// How long a step is, or a little longer.
fn step_length(step: CalendarStep) -> Duration {
    Duration::from_hours(match step {
        CalendarStep::Hour => 1,
        CalendarStep::Day => 24,
        CalendarStep::Week => 7 * 24,
        CalendarStep::Month => 31 * 24,
    })
}

/// The first and the last instant of a trend: those of the range; where it is open, those of the responses (and
/// to the present, in which there may be none). `None` where there is no instant.
pub(super) fn span(range: &TimeRange, sums: &UsageSums, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let first = range.start.or(sums.first_time)?;
    let last = match range.end {
        // The end is outside, and instants are whole milliseconds.
        Some(end) => Timestamp::from_millis(end.as_millis() - 1).ok()?,
        None => sums.last_time.unwrap_or(now).max(now),
    };
    (first <= last).then_some((first, last))
}
