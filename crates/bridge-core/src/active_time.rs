//! When something happened, in steps of bounded number.

use std::time::Duration;

use crate::Timestamp;

/// The times at which something happened, as a set of steps of 15 seconds. Adding times in any order, and uniting
/// sets in any order, gives the same set, so that files which were read in parts or ran in parallel add up without
/// counting anything twice.
///
/// The set holds at most [`ActiveTime::STEPS_MAX`] steps, which is 68 hours of uninterrupted activity. With more, all
/// steps are twice as long, as often as necessary.
///
/// ```
/// use std::time::Duration;
/// use bridge_core::{ActiveTime, Timestamp};
///
/// let mut active = ActiveTime::default();
/// for time in ["2026-01-31T12:00:00Z", "2026-01-31T12:03:00Z", "2026-01-31T14:00:00Z"] {
///     active.add(time.parse()?);
/// }
/// // Three minutes and a step, and one step by itself.
/// assert_eq!(active.total(Duration::from_secs(300)), Duration::from_secs(180 + 15 + 15));
/// assert_eq!(active.total(Duration::from_secs(60)), Duration::from_secs(3 * 15));
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveTime {
    /// A step is 15 seconds times two to the power of this.
    doublings: u8,
    /// Steps, as a sorted list of runs without contact, the end exclusive, counted in 15 seconds since 1970.
    runs: Vec<(u32, u32)>,
    /// The number of steps.
    steps: usize,
}

const STEP_MILLIS: i64 = 15_000;

impl ActiveTime {
    /// The length of the shortest step.
    pub const STEP: Duration = Duration::from_millis(STEP_MILLIS.unsigned_abs());

    /// Maximum number of steps.
    pub const STEPS_MAX: usize = 1 << 14;

    /// Returns the set of these [runs](Self::runs). The length of a step follows from them: it is the shortest with
    /// which there are not too many.
    #[must_use]
    pub fn of_runs(runs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut active = Self::default();
        for (start, end) in runs {
            active.insert(start, end);
        }
        active.fit();
        active
    }

    /// Returns the runs of steps without contact, sorted: each a start and an exclusive end in units of 15 seconds
    /// since 1970.
    #[must_use]
    pub fn runs(&self) -> &[(u32, u32)] {
        &self.runs
    }

    /// Returns whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds a time.
    pub fn add(&mut self, time: Timestamp) {
        let unit = u32::try_from(time.as_millis() / STEP_MILLIS).unwrap_or(u32::MAX - 1);
        // Most times are in the last step or in the next one.
        if let Some((start, end)) = self.runs.last()
            && (*start..*end).contains(&unit)
        {
            return;
        }
        self.insert(unit, unit + 1);
        self.fit();
    }

    /// Adds all times of another set.
    pub fn unite(&mut self, other: &Self) {
        while self.doublings < other.doublings {
            self.double();
        }
        for (start, end) in &other.runs {
            self.insert(*start, *end);
        }
        self.fit();
    }

    /// Returns the duration of all activity, where an interruption up to `pause` belongs to it.
    #[must_use]
    pub fn total(&self, pause: Duration) -> Duration {
        let units = |duration: Duration| duration.as_millis() / Self::STEP.as_millis();
        let active: u64 = self.runs.iter().map(|(start, end)| u64::from(end - start)).sum();
        let pauses: u64 = self
            .runs
            .windows(2)
            .map(|pair| u64::from(pair[1].0 - pair[0].1))
            .filter(|gap| u128::from(*gap) <= units(pause))
            .sum();
        Self::STEP.saturating_mul(u32::try_from(active + pauses).unwrap_or(u32::MAX))
    }

    /// Inserts the steps that touch the units of a range.
    fn insert(&mut self, start: u32, end: u32) {
        if start >= end {
            return;
        }
        let step = 1_u32 << self.doublings;
        let start = start / step * step;
        let end = end.div_ceil(step).saturating_mul(step);
        let from = self.runs.partition_point(|run| run.1 < start);
        let to = from + self.runs[from..].partition_point(|run| run.0 <= end);
        let united = match self.runs.get(from..to) {
            Some([first, .., last]) => (first.0.min(start), last.1.max(end)),
            Some([only]) => (only.0.min(start), only.1.max(end)),
            _ => (start, end),
        };
        let replaced: usize = self.runs[from..to].iter().map(|run| self.steps_of(*run)).sum();
        self.steps = self.steps - replaced + self.steps_of(united);
        self.runs.splice(from..to, [united]);
    }

    fn steps_of(&self, (start, end): (u32, u32)) -> usize {
        ((end - start) >> self.doublings) as usize
    }

    fn fit(&mut self) {
        while self.steps > Self::STEPS_MAX {
            self.double();
        }
    }

    fn double(&mut self) {
        let runs = std::mem::take(&mut self.runs);
        self.doublings += 1;
        self.steps = 0;
        for (start, end) in runs {
            self.insert(start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn active_at(times: impl IntoIterator<Item = i64>) -> ActiveTime {
        let mut active = ActiveTime::default();
        for time in times {
            active.add(Timestamp::from_millis(time).unwrap());
        }
        active
    }

    proptest! {
        #[test]
        fn the_set_depends_on_the_times_alone(
            first in prop::collection::vec(0..100_000_000_i64, 0..60),
            second in prop::collection::vec(0..100_000_000_i64, 0..60),
        ) {
            let all: Vec<i64> = first.iter().chain(&second).copied().collect();
            let mut sorted = all.clone();
            sorted.sort_unstable();
            let mut united = active_at(second);
            united.unite(&active_at(first));
            prop_assert_eq!(&united, &active_at(all));
            prop_assert_eq!(&united, &active_at(sorted));
            prop_assert_eq!(&united, &ActiveTime::of_runs(united.runs().iter().copied()));
        }
    }

    /// Even if one part has few times and long steps are only necessary because of the other.
    #[test]
    fn a_set_with_too_many_steps_has_longer_ones_whatever_the_order() {
        let apart = |from: i64, step: i64| (0..12_000).map(move |number| from + number * step * STEP_MILLIS);
        let (first, second) = (apart(0, 2), apart(7_000_000_000, 3));
        let (mut forward, mut backward) = (active_at(first.clone()), active_at(second.clone()));
        let whole = active_at(first.chain(second));
        let (a, b) = (forward.clone(), backward.clone());
        forward.unite(&b);
        backward.unite(&a);
        assert_eq!((&forward, &backward), (&whole, &whole));
        assert!(whole.doublings > 0 && whole.steps <= ActiveTime::STEPS_MAX);
        assert_eq!(ActiveTime::of_runs(whole.runs().iter().copied()), whole);
    }

    #[test]
    fn times_at_both_ends_of_the_range_are_kept() {
        let active = active_at([Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis()]);
        assert_eq!(active.total(Duration::ZERO), 2 * ActiveTime::STEP);
    }
}
