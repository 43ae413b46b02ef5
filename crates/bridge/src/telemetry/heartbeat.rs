//! Shows that a host is there although it has nothing to do.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bridge_core::Timestamp;

/// Time without a record after which a synchronization that had nothing to do is recorded.
const INTERVAL: Duration = Duration::from_mins(5);

/// When the last record was kept.
#[derive(Debug)]
pub(crate) struct Heartbeat(Mutex<Timestamp>);

impl Heartbeat {
    /// Begins with a first record, as it were.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Returns whether a record of now is kept: one of something that was done, or the first after some time.
    pub(crate) fn keeps(&self, is_idle: bool, now: Timestamp) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keeps = !is_idle || now.saturating_since(*last) >= INTERVAL;
        if keeps {
            *last = now;
        }
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_synchronizations_are_kept_every_five_minutes_without_another_record() {
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000).unwrap();
        let heartbeat = Heartbeat::new(at(0));
        let kept: Vec<_> = (1..=12).filter(|minute| heartbeat.keeps(*minute == 7, at(*minute))).collect();
        assert_eq!(kept, [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12], "what was done is always kept");
        let heartbeat = Heartbeat::new(at(0));
        let kept: Vec<_> = (1..=16).filter(|minute| heartbeat.keeps(*minute != 7, at(*minute))).collect();
        assert_eq!(kept, [5, 7, 12]);
    }
}
