//! Rows as they are stored, for a proof of integrity.

use std::ops::RangeInclusive;

use bridge_core::{ResponseKey, ResponseUsage, ResponseVersion, SessionId};

/// A row as it is stored, with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its key.
    pub key: ResponseKey,
    /// The version that it is stored under.
    pub version: ResponseVersion,
    /// What it says; `None` where that is nothing that the bridge can have written.
    pub usage: Option<ResponseUsage>,
}

impl StoredResponse {
    /// Whether the row is as the bridge wrote it.
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
