//! Code of the embedder's that the bridge calls while it works.

use std::fmt;

/// The callback that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observer {
    /// Of [`keep_in_sync`](crate::EnhancedTokenDatabaseBridge::keep_in_sync).
    Sync,
    /// Of [`monitor`](crate::EnhancedTokenDatabaseBridge::monitor).
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
