//! Panics in observers, and in synchronizations of `keep_in_sync`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bridge_core::Timestamp;

use crate::telemetry::observer::Observer;

/// Number of panics so far, and the last one.
#[derive(Debug, Default)]
pub(crate) struct Panics(Mutex<Option<Panicked>>);

/// Statistics of panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked {
    pub(crate) number: u64,
    pub(crate) last: Observer,
    pub(crate) last_at: Timestamp,
}

impl Panics {
    pub(crate) fn note(&self, observer: Observer, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = known.map_or(0, |known| known.number) + 1;
        *known = Some(Panicked { number, last: observer, last_at: now });
    }

    /// Returns the statistics, if the last panic was not longer ago than this.
    pub(crate) fn within(&self, window: Duration, now: Timestamp) -> Option<Panicked> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|known| now.saturating_since(known.last_at) <= window)
    }
}
