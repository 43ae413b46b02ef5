//! Half-open ranges of time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A range of time from `start` (inside) to `end` (outside); an absent end is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first instant inside, or `None` for no lower bound.
    pub start: Option<Timestamp>,
    /// The first instant outside, or `None` for no upper bound.
    pub end: Option<Timestamp>,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { start: None, end: None };

    /// The range of so many days that ends at `now`.
    #[must_use]
    pub fn last_days(now: Timestamp, days: u32) -> Self {
        Self { start: Some(now.saturating_sub(Duration::from_hours(24 * u64::from(days)))), end: None }
    }

    /// Whether the instant lies inside.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time < end)
    }

    /// Whether every instant lies inside.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_inside_and_the_end_outside() {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let range = TimeRange { start: Some(at(10)), end: Some(at(20)) };
        assert_eq!([9, 10, 19, 20].map(|millis| range.contains(at(millis))), [false, true, true, false]);
        assert!(TimeRange::ALL.contains(Timestamp::MIN) && TimeRange::ALL.contains(Timestamp::MAX));
        assert_eq!(TimeRange::last_days(at(86_400_010), 1).start, Some(at(10)));
    }
}
