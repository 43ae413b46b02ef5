//! The bounds of blocks, from recorded limits and by rule.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{LimitEvent, Timestamp};
use serde::{Deserialize, Serialize};

use super::answer::BlockSource;

const HOUR: Duration = Duration::from_hours(1);
const HOUR_MILLIS: i64 = 3_600_000;

/// The length of blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockLength {
    /// Five hours.
    #[default]
    FiveHours,
    /// Seven days.
    SevenDays,
}

impl BlockLength {
    /// Returns the length.
    #[must_use]
    pub fn duration(self) -> Duration {
        match self {
            Self::FiveHours => 5 * HOUR,
            Self::SevenDays => 7 * 24 * HOUR,
        }
    }

    /// Returns the end of the block that this limit belongs to, if it is of this length.
    fn end_by(self, limit: &LimitEvent) -> Option<Timestamp> {
        let end = limit.resets_at.filter(|end| *end > limit.time)?;
        let is_within = end.saturating_since(limit.time) <= self.duration();
        let is_of_kind = match (self, limit.kind.as_str()) {
            (Self::FiveHours, "five_hour") | (Self::SevenDays, "seven_day") => true,
            // Older clients do not name the limit; theirs was that of five hours.
            (Self::FiveHours, "usage") => true,
            _ => false,
        };
        (is_of_kind && is_within).then_some(end)
    }
}

/// A window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) source: BlockSource,
    pub(crate) limit_hit_at: Option<Timestamp>,
}

/// At most one hour with responses that crosses no window boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) start: Timestamp,
}

/// Returns the windows that end as the client recorded it, in order. One that would begin in the window before begins
/// at its end.
pub(crate) fn recorded<'l>(
    limits: impl IntoIterator<Item = &'l LimitEvent>,
    length: BlockLength,
) -> Vec<Window> {
    let mut hits: BTreeMap<Timestamp, Timestamp> = BTreeMap::new();
    for limit in limits {
        if let Some(end) = length.end_by(limit) {
            let hit = hits.entry(end).or_insert(limit.time);
            *hit = limit.time.min(*hit);
        }
    }
    let mut windows: Vec<Window> = Vec::new();
    for (end, hit) in hits {
        let start = end.saturating_sub(length.duration());
        let start = windows.last().map_or(start, |before| start.max(before.end));
        windows.push(Window { start, end, source: BlockSource::Recorded, limit_hit_at: Some(hit) });
    }
    windows
}

/// Returns the windows of these steps, which are in order and do not cross a bound of a recorded window. A step in no
/// recorded window begins one by rule, with its hour in UTC, unless the one before covers it. A window ends early where
/// a recorded one begins.
pub(crate) fn windows(steps: &[Step], recorded: &[Window], length: BlockLength) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for step in steps {
        if windows.last().is_some_and(|last| step.start < last.end) {
            continue;
        }
        let next = recorded.partition_point(|window| window.end <= step.start);
        let next = recorded.get(next);
        if let Some(window) = next.filter(|window| window.start <= step.start) {
            windows.push(*window);
            continue;
        }
        let hour = hour_of(step.start);
        // The hour may have begun in a recorded window, even in one without a response.
        let start = hour.max(end_before(recorded, step.start).unwrap_or(Timestamp::MIN));
        let end = hour.saturating_add(length.duration());
        let end = next.map_or(end, |window| end.min(window.start));
        windows.push(Window { start, end, source: BlockSource::Rule, limit_hit_at: None });
    }
    windows
}

/// Returns the end of the last recorded window that is over at this time.
fn end_before(recorded: &[Window], time: Timestamp) -> Option<Timestamp> {
    let over = recorded.partition_point(|window| window.end <= time);
    over.checked_sub(1).map(|last| recorded[last].end)
}

/// Returns the start of the hour in UTC.
pub(crate) fn hour_of(time: Timestamp) -> Timestamp {
    time.saturating_sub(Duration::from_millis(time.as_millis().rem_euclid(HOUR_MILLIS).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use bridge_core::LimitKind;
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn limit(kind: &str, time: i64, resets_at: i64) -> LimitEvent {
        LimitEvent { time: at(time), kind: LimitKind::new(kind).unwrap(), resets_at: Some(at(resets_at)) }
    }

    /// The start and end of the windows of responses at these hours, in hours.
    fn hours(responses: &[i64], limits: &[LimitEvent]) -> Vec<(i64, i64, BlockSource)> {
        let steps: Vec<_> = responses.iter().map(|hour| Step { start: at(hour * HOUR_MILLIS) }).collect();
        let length = BlockLength::FiveHours;
        let windows = windows(&steps, &recorded(limits, length), length);
        let hours = |time: Timestamp| time.as_millis() / HOUR_MILLIS;
        windows.into_iter().map(|window| (hours(window.start), hours(window.end), window.source)).collect()
    }

    #[test]
    fn a_block_begins_with_the_first_response_that_is_in_none() {
        use BlockSource::Rule;
        assert_eq!(hours(&[0, 3, 4, 5, 30], &[]), [(0, 5, Rule), (5, 10, Rule), (30, 35, Rule)]);
        assert_eq!(hours(&[], &[]), []);
    }

    #[test]
    fn a_recorded_end_moves_the_bounds_of_its_block_and_of_its_neighbors() {
        use BlockSource::{Recorded, Rule};
        let hit = limit("five_hour", 6 * HOUR_MILLIS, 8 * HOUR_MILLIS);
        assert_eq!(
            hours(&[0, 2, 4, 7, 9], &[hit.clone(), hit]),
            [(0, 3, Rule), (3, 8, Recorded), (9, 14, Rule)]
        );
    }

    #[test]
    fn a_limit_of_another_kind_or_without_a_plausible_end_moves_nothing() {
        let far = limit("usage", 0, 6 * HOUR_MILLIS);
        let past = limit("five_hour", 2 * HOUR_MILLIS, HOUR_MILLIS);
        let weekly = limit("seven_day_opus", 0, HOUR_MILLIS);
        let unknown = LimitEvent { resets_at: None, ..limit("five_hour", 0, 1) };
        let limits = [far, past, weekly, unknown];
        assert_eq!(recorded(&limits, BlockLength::FiveHours), []);
        assert_eq!(recorded(&limits, BlockLength::SevenDays), []);
        let week = limit("seven_day", 0, 100 * HOUR_MILLIS);
        assert_eq!(recorded(&[week], BlockLength::SevenDays)[0].end, at(100 * HOUR_MILLIS));
    }

    proptest! {
        /// What the documentation says, response by response.
        #[test]
        fn by_rule_the_blocks_are_those_of_the_single_responses(
            times in prop::collection::btree_set(0_i64..60 * HOUR_MILLIS, 0..40),
        ) {
            let mut expected: Vec<(i64, i64)> = Vec::new();
            for time in &times {
                if expected.last().is_none_or(|(_, end)| time >= end) {
                    let start = time / HOUR_MILLIS * HOUR_MILLIS;
                    expected.push((start, start + 5 * HOUR_MILLIS));
                }
            }
            let steps: std::collections::BTreeSet<_> = times.iter().map(|time| time / HOUR_MILLIS * HOUR_MILLIS).collect();
            let steps: Vec<_> = steps.into_iter().map(|start| Step { start: at(start) }).collect();
            let found = windows(&steps, &[], BlockLength::FiveHours);
            let found: Vec<_> = found.iter().map(|window| (window.start.as_millis(), window.end.as_millis())).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn every_step_is_in_one_window_and_none_overlaps(
            steps in prop::collection::btree_set(0_i64..200, 0..60),
            ends in prop::collection::vec((0_i64..200 * 60, 1_i64..300), 0..12),
        ) {
            let minute = 60_000;
            let limits: Vec<_> = ends.iter().map(|(hit, after)| limit("five_hour", hit * minute, (hit + after) * minute)).collect();
            let recorded = recorded(&limits, BlockLength::FiveHours);
            let bounds = recorded.iter().flat_map(|window| [window.start, window.end]);
            let starts: std::collections::BTreeSet<_> = bounds.chain(steps.iter().map(|hour| at(hour * HOUR_MILLIS))).collect();
            let steps: Vec<_> = starts.into_iter().map(|start| Step { start }).collect();
            let windows = windows(&steps, &recorded, BlockLength::FiveHours);
            prop_assert!(windows.windows(2).all(|pair| pair[0].end <= pair[1].start));
            for step in &steps {
                let within = windows.iter().filter(|window| window.start <= step.start && step.start < window.end);
                prop_assert_eq!(within.count(), 1);
            }
            let is_short = |window: &Window| {
                window.start < window.end
                    && window.end.saturating_since(window.start) <= BlockLength::FiveHours.duration()
            };
            prop_assert!(windows.iter().all(is_short));
            // A step in a recorded window is in that one.
            for window in &recorded {
                let has_step = steps.iter().any(|step| window.start <= step.start && step.start < window.end);
                prop_assert!(!has_step || windows.contains(window));
            }
        }
    }
}
