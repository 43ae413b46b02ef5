//! Stored rows with their versions, for integrity checks.

use std::fmt;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use bridge_core::{BridgeError, ResponseKey, ResponseUsage, ResponseVersion, SessionId, Timestamp};

/// Reads rows with their stored versions, and removes single versions.
#[async_trait]
pub trait IntegrityStore: Send + Sync + fmt::Debug {
    /// Returns the rows of this scope with their stored versions, by key. Includes unreadable rows, which are not an
    /// error.
    async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError>;

    /// Removes exactly these versions of rows, which an integrity check has shown not to be the bridge's. A row that
    /// has another version by now stays.
    async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError>;

    /// Returns the time since which responses are kept, if the store has a retention.
    async fn retention_cutoff(&self, now: Timestamp) -> Result<Option<Timestamp>, BridgeError>;
}

/// A stored row with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its key.
    pub key: ResponseKey,
    /// Its stored version.
    pub version: ResponseVersion,
    /// Its content; `None` if the bridge cannot have written it.
    pub usage: Option<ResponseUsage>,
}

impl StoredResponse {
    /// Returns whether the row is unchanged since the bridge wrote it.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.usage.as_ref().is_some_and(|usage| self.version.verifies(usage))
    }
}

/// A selection of stored rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredScope {
    /// The rows with a key in this range.
    Keys(RangeInclusive<ResponseKey>),
    /// The rows of a session, and those with one of these keys, whatever their session.
    Session {
        /// The session.
        session: SessionId,
        /// The keys.
        keys: Vec<ResponseKey>,
    },
}

impl StoredScope {
    /// All rows.
    #[must_use]
    pub fn all() -> Self {
        Self::Keys(ResponseKey(0)..=ResponseKey(u128::MAX))
    }
}
