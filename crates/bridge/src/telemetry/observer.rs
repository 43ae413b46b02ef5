//! Code of the embedder's that the bridge calls while it works: it may panic.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::EnhancedTokenDatabaseBridge;

/// Who is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observer {
    /// Of [`keep_in_sync`](EnhancedTokenDatabaseBridge::keep_in_sync).
    Sync,
    /// Of [`monitor`](EnhancedTokenDatabaseBridge::monitor).
    Monitor,
    /// Of a backfill's or an analysis' progress.
    Progress,
}

impl Observer {
    pub(crate) const ALL: [Self; 3] = [Self::Sync, Self::Monitor, Self::Progress];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Monitor => "monitor",
            Self::Progress => "progress",
        }
    }
}

impl fmt::Display for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl EnhancedTokenDatabaseBridge {
    /// Calls the observer. A panic in it ends neither the work nor the task that it is called by: it is counted, logged
    /// without its message, which may hold anything, and shown by the health check. Returns whether it returned.
    ///
    /// In a program that is built with `panic = "abort"` a panic ends the program, as everywhere.
    pub(crate) fn notify(&self, observer: Observer, call: impl FnOnce()) -> bool {
        // What an observer leaves behind in its own state is its own affair; of the bridge's it holds nothing.
        let returned = catch_unwind(AssertUnwindSafe(call)).is_ok();
        if !returned {
            self.inner.metrics.observer_panicked(observer);
            self.inner.panics.note(observer, self.inner.clock.now());
            tracing::error!(observer = observer.name(), "an observer panicked; the work goes on");
        }
        returned
    }
}
