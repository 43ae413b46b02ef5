//! The status of `keep_in_sync`.

use std::sync::{Arc, Mutex, PoisonError};

/// The status of a [`SyncTask`](crate::SyncTask).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveStatus {
    /// The means by which changes are detected.
    pub watching: Watching,
    /// Number of searches of all transcripts.
    pub searches: u64,
    /// Number of updates from reported changes.
    pub updates: u64,
    /// Consecutive failures.
    pub failures: u64,
}

/// The way in which changes are noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Watching {
    /// Transcripts are polled at an interval, because nothing else was asked for.
    #[default]
    Polling,
    /// Polling, because events are unavailable for this reason.
    PollingInstead(String),
    /// Changes are reported when they happen.
    Events,
}

/// The present [status](LiveStatus) of a [`SyncTask`](crate::SyncTask), for any owner of the task.
#[derive(Debug, Clone, Default)]
pub struct LiveProgress(Arc<Mutex<LiveStatus>>);

impl LiveProgress {
    /// Returns the status.
    #[must_use]
    pub fn get(&self) -> LiveStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut LiveStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
