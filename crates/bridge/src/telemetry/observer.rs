//! The embedder's callbacks.

use std::fmt;

/// A callback of the embedder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observer {
    /// Of [`keep_in_sync`](crate::EnhancedTokenDatabaseBridge::keep_in_sync).
    Sync,
    /// Of [`monitor`](crate::EnhancedTokenDatabaseBridge::monitor).
    Monitor,
    /// For the progress of a backfill or an analysis.
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
