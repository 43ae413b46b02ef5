//! Rows as they are stored, for proofs of integrity.

use std::fmt;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use bridge_core::{BridgeError, ResponseKey, ResponseUsage, ResponseVersion, SessionId, Timestamp};

/// Reads rows with the versions that they are stored under, and removes single versions.
#[async_trait]
pub trait IntegrityStore: Send + Sync + fmt::Debug {
    /// Returns the rows of this scope as they are stored, with their versions, by key. A row that is not readable is
    /// among them and fails nothing.
    async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError>;

    /// Removes exactly these versions of rows and no other: what a proof of integrity has shown not to be the
    /// bridge's. A row that has another version by now stays.
    async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError>;

    /// Returns the time since which responses are kept, where older ones leave the store by their age; `None` where
    /// none does.
    async fn retention_cutoff(&self, now: Timestamp) -> Result<Option<Timestamp>, BridgeError>;
}

/// A row as it is stored, with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its key.
    pub key: ResponseKey,
    /// The version that it is stored under.
    pub version: ResponseVersion,
    /// Its content; `None` where the bridge cannot have written it.
    pub usage: Option<ResponseUsage>,
}

impl StoredResponse {
    /// Returns whether the row is as the bridge wrote it.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.usage.as_ref().is_some_and(|usage| self.version.verifies(usage))
    }
}

/// Which stored rows are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredScope {
    /// The rows with a key in this range.
    Keys(RangeInclusive<ResponseKey>),
    /// The rows of a session, and besides those with one of these keys, whatever their session.
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
