//! The steps of a trend, and their sums.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{CalendarUnit, Cost, TimeRange, Timestamp, TokenCounts};
use bridge_storage::{DashboardData, SplitSums, TrendSums, UsageSums};

use super::metrics::{DashboardTrend, TrendBucket, TrendSeries};
use super::query::DashboardQuery;

/// 2020-01-01T00:00:00Z, before the first transcript of any coding agent: where an open range begins at the earliest.
pub(super) const FLOOR: Timestamp = Timestamp::from_constant(1_577_836_800_000);

/// Maximum time by which another host's clock may be ahead of this one.
const CLOCK_SKEW_MAX: Duration = Duration::from_hours(24);

/// Maximum number of steps of a trend: the hours of five months, the days of ten years or the months of all time fit.
pub const TREND_BUCKETS_MAX: usize = 4_000;

/// The steps that the store is asked for: where each starts, and where the last one ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    step: CalendarUnit,
    bounds: Vec<Timestamp>,
}

impl Plan {
    /// Returns the steps from the one that contains the first of these instants to the one that contains the last.
    pub(super) fn new(query: &DashboardQuery, (first, last): (Timestamp, Timestamp)) -> Self {
        let mut step = query.step;
        loop {
            let bounds = step.bounds(first, last, &query.zone, TREND_BUCKETS_MAX);
            match (bounds, step.coarser()) {
                (Some(bounds), _) => return Self { step, bounds },
                (None, Some(coarser)) => step = coarser,
                // Cannot happen: the months of all time are fewer.
                (None, None) => return Self { step, bounds: Vec::new() },
            }
        }
    }

    /// Returns the same steps and earlier ones, as many as a trend may have. So if the next read has still earlier
    /// responses, its trend needs coarser steps: that happens at most once for each coarser unit, however much older
    /// the responses are that, for example, a backfill stores meanwhile.
    pub(super) fn roomy(query: &DashboardQuery, span: (Timestamp, Timestamp)) -> Self {
        let Self { step, bounds } = Self::new(query, span);
        let (Some(first), Some(end)) = (bounds.first(), bounds.last()) else { return Self { step, bounds } };
        let spare = u32::try_from(TREND_BUCKETS_MAX.saturating_sub(bounds.len())).unwrap_or(0);
        let first = first.saturating_sub(step_length(step).saturating_mul(spare));
        let roomy = step.bounds(first, *end, &query.zone, 2 * TREND_BUCKETS_MAX);
        Self { step, bounds: roomy.unwrap_or(bounds) }
    }

    /// Returns whether all steps of the other plan are steps of this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.step == other.step
            && self.bounds.first() <= other.bounds.first()
            && other.bounds.last() <= self.bounds.last()
    }

    /// Returns the trend with these sums, each of which lies in a step of this plan, before them all or after them all.
    pub(super) fn trend(&self, query: &DashboardQuery, data: &DashboardData) -> DashboardTrend {
        let mut trend = DashboardTrend { step: self.step, ..DashboardTrend::empty(query) };
        let (first, end) = (self.bounds.first().copied(), self.bounds.last().copied());
        let mut inside: BTreeMap<Timestamp, UsageSums> = BTreeMap::new();
        for step in &data.trend {
            if first.is_none_or(|first| step.start < first) {
                trend.before.add(&step.sums);
            } else if end.is_none_or(|end| step.start >= end) {
                trend.after.add(&step.sums);
            } else {
                inside.entry(step.start).or_default().add(&step.sums);
            }
        }
        let none = UsageSums { cost: data.totals.cost.map(|_| Cost::default()), ..UsageSums::default() };
        let bucket = |bounds: &[Timestamp]| TrendBucket {
            start: bounds[0],
            end: bounds[1],
            local_start: query.zone.local(bounds[0]),
            sums: inside.get(&bounds[0]).copied().unwrap_or(none),
        };
        trend.buckets = self.bounds.windows(2).map(bucket).collect();
        if query.trend_by.is_some() {
            trend.series = series(&trend.buckets, &data.split_trend);
        }
        trend
    }
}

/// Returns the series of the greatest values, and one of all others: what the series lack of the buckets.
fn series(buckets: &[TrendBucket], split: &[SplitSums]) -> Vec<TrendSeries> {
    let place = |start: Timestamp| buckets.binary_search_by_key(&start, |bucket| bucket.start).ok();
    let inside: Vec<_> = split.iter().filter_map(|split| Some((place(split.start)?, split))).collect();
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, split) in &inside {
        let total = totals.entry(&split.name).or_default();
        *total = total.saturating_add(split.sums.counts.total());
    }
    let mut greatest: Vec<_> = totals.into_iter().filter(|(_, total)| *total > 0).collect();
    greatest.sort_by_key(|(_, total)| Reverse(*total));
    greatest.truncate(TREND_SERIES_MAX);

    let mut others: Vec<_> = buckets.iter().map(|bucket| bucket.sums.counts).collect();
    let mut other_costs: Vec<_> = buckets.iter().filter_map(|bucket| bucket.sums.cost).collect();
    let mut series = Vec::new();
    for (name, _) in greatest {
        let mut counts = vec![TokenCounts::ZERO; buckets.len()];
        let mut costs = vec![Cost::default(); other_costs.len()];
        for (place, split) in inside.iter().filter(|(_, split)| split.name == name) {
            counts[*place] = split.sums.counts;
            others[*place] = others[*place].saturating_sub(split.sums.counts);
            if let (Some(cost), Some(sum)) = (split.sums.cost, costs.get_mut(*place)) {
                *sum = cost;
                other_costs[*place] = other_costs[*place].saturating_sub(cost);
            }
        }
        series.push(TrendSeries { name: Some(name.to_owned()), buckets: counts, costs });
    }
    if others.iter().any(|counts| !counts.is_zero()) {
        series.push(TrendSeries { name: None, buckets: others, costs: other_costs });
    }
    series
}

/// Maximum number of values that have a series of their own: further colors could not be told apart.
pub const TREND_SERIES_MAX: usize = 8;

/// Returns the length of a step, roughly.
fn step_length(step: CalendarUnit) -> Duration {
    match step {
        CalendarUnit::Minute => Duration::from_mins(1),
        CalendarUnit::Hour => Duration::from_hours(1),
        CalendarUnit::Day => Duration::from_hours(24),
        CalendarUnit::Week => Duration::from_hours(7 * 24),
        CalendarUnit::Month => Duration::from_hours(31 * 24),
    }
}

/// The times that a trend may extend to. A bound that the caller gives is kept; an open one extends only to plausible
/// times, because a single response with a wrong time would otherwise stretch the axis by centuries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    first: Timestamp,
    /// The first instant after it; `None` for all time.
    end: Option<Timestamp>,
}

impl Window {
    pub(super) fn new(range: &TimeRange, now: Timestamp) -> Self {
        // A caller who asks for implausible times means them.
        let floor = if range.end.is_some_and(|end| end <= FLOOR) { Timestamp::MIN } else { FLOOR };
        let ceiling = now.saturating_add(CLOCK_SKEW_MAX);
        let ceiling = range.start.is_none_or(|start| start < ceiling).then_some(ceiling);
        Self { first: range.start.unwrap_or(floor), end: range.end.or(ceiling) }
    }

    /// The last instant, in whole milliseconds.
    fn last(&self) -> Option<Timestamp> {
        match self.end {
            Some(end) => Timestamp::from_millis(end.as_millis() - 1).ok(),
            None => Some(Timestamp::MAX),
        }
    }

    /// The starts that the store is asked to sum by: those of the plan's steps, and of what lies before and after them.
    /// The window's bounds are starts, too, so that outside of the plan's own steps no sum mixes outliers with
    /// responses of the window.
    pub(super) fn starts(&self, plan: Option<&Plan>) -> Vec<Timestamp> {
        let mut starts = plan.map(|plan| plan.bounds.clone()).unwrap_or_default();
        // A response at the last possible instant belongs to the last step.
        starts.pop_if(|end| *end == Timestamp::MAX);
        if let Some(end) = self.end.filter(|end| starts.last().is_none_or(|last| last < end)) {
            starts.push(end);
        }
        for start in [self.first, Timestamp::MIN] {
            if starts.first().is_none_or(|first| start < *first) {
                starts.insert(0, start);
            }
        }
        starts
    }

    /// The times of the first and the last response in the window.
    pub(super) fn times(&self, sums: &[TrendSums]) -> Option<(Timestamp, Timestamp)> {
        let last = self.last()?;
        let times = |step: &TrendSums| {
            let (first, last) = (step.sums.first_time?.max(self.first), step.sums.last_time?.min(last));
            (first <= last).then_some((first, last))
        };
        sums.iter().filter_map(times).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The first plausible time among the responses.
    pub(super) fn first_plausible(&self, sums: &[TrendSums]) -> Option<Timestamp> {
        self.times(sums).map(|(first, _)| first).filter(|first| *first >= FLOOR)
    }

    /// The time of the newest response that is not after the window.
    pub(super) fn newest(&self, sums: &[TrendSums]) -> Option<Timestamp> {
        let last = self.last()?;
        let started = sums.iter().filter(|step| step.sums.first_time.is_some_and(|first| first <= last));
        started.filter_map(|step| step.sums.last_time).map(|time| time.min(last)).max()
    }

    /// Returns a trend without steps, for a window that no response lies in.
    pub(super) fn without_steps(&self, query: &DashboardQuery, sums: &[TrendSums]) -> DashboardTrend {
        let mut trend = DashboardTrend::empty(query);
        for step in sums {
            let is_before = step.sums.last_time.is_some_and(|last| last < self.first);
            let side = if is_before { &mut trend.before } else { &mut trend.after };
            side.add(&step.sums);
        }
        trend
    }
}

/// Returns the first and the last instant of a trend: those of the range; where it is open, those of the responses in
/// the window, at the end at least the present. `None` if there is no such instant.
pub(super) fn span(
    range: &TimeRange,
    window: &Window,
    times: Option<(Timestamp, Timestamp)>,
    now: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let first = range.start.or(times.map(|(first, _)| first))?;
    let last = match range.end {
        Some(_) => window.last()?,
        None => times.map_or(now, |(_, last)| last.max(now)),
    };
    (first <= last).then_some((first, last))
}
