//! Checkpoints of a store and the results of rollbacks.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::text_type;
use crate::{BridgeError, SessionId, StorageKind, Timestamp};

/// Maximum length of a checkpoint's name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Prefix of the names of checkpoints that rollbacks take of the state they replace.
const AUTOMATIC_PREFIX: &str = "before_rollback_";

text_type!(
    /// The name of a checkpoint: 1 to 64 ASCII letters, digits, underscores and hyphens, so that it can be part of a
    /// table name.
    ///
    /// ```
    /// use bridge_core::CheckpointName;
    ///
    /// assert!(CheckpointName::new("before-import_2026-11-26").is_ok());
    /// assert!(CheckpointName::new("not; a name").is_err());
    /// ```
    CheckpointName, "checkpoint name", "have 1 to 64 ASCII letters, digits, `_` and `-`", is_plain
);

fn is_plain(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl CheckpointName {
    /// Returns the name of the state that the rollback which began this epoch replaced.
    #[must_use]
    pub fn before_rollback(epoch: Epoch) -> Self {
        Self(format!("{AUTOMATIC_PREFIX}{epoch}").into())
    }

    /// Returns the epoch begun by the rollback that gave this name; `None` for other names.
    #[must_use]
    pub fn epoch_begun(&self) -> Option<Epoch> {
        self.0.strip_prefix(AUTOMATIC_PREFIX)?.parse().ok().map(Epoch)
    }

    /// Returns whether the name is reserved for rollbacks.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.0.starts_with(AUTOMATIC_PREFIX)
    }
}

/// Number of rollbacks of a store.
///
/// It fences stale writers: every write carries the epoch in which its operation began, and the store rejects writes of
/// an epoch before the last rollback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Returns the epoch that the next rollback begins.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Mode of a store: writable, or suspended after a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreMode {
    /// The store accepts writes.
    Stored,
    /// The store was rolled back and rejects writes until it is resumed; analyses are live.
    Direct {
        /// The checkpoint rolled back to.
        checkpoint: CheckpointName,
    },
}

/// Epoch and mode of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreState {
    /// Number of rollbacks.
    pub epoch: Epoch,
    /// Mode.
    pub mode: StoreMode,
}

impl StoreState {
    /// Returns the state of a store that was never rolled back.
    #[must_use]
    pub fn first() -> Self {
        Self { epoch: Epoch::default(), mode: StoreMode::Stored }
    }

    /// Returns the epoch of a write whose operation began in this epoch; `None` means that it begins now.
    ///
    /// ```
    /// use bridge_core::{Epoch, StoreState};
    ///
    /// let state = StoreState { epoch: Epoch(2), ..StoreState::first() };
    /// assert_eq!(state.admit("upsert", None)?, Epoch(2));
    /// // Its operation began before the last rollback.
    /// assert!(state.admit("upsert", Some(Epoch(1))).is_err());
    /// # Ok::<(), bridge_core::BridgeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StorageKind::RolledBack`] if the store was rolled back and not resumed, or rolled back since the operation
    /// began.
    pub fn admit(&self, operation: &'static str, begun_in: Option<Epoch>) -> Result<Epoch, BridgeError> {
        let begun = begun_in.unwrap_or(self.epoch);
        let message = match &self.mode {
            StoreMode::Direct { checkpoint } => {
                format!("at checkpoint {checkpoint}; nothing is stored until it is resumed")
            }
            StoreMode::Stored if begun < self.epoch => {
                format!("the operation began in epoch {begun}, and the store is in epoch {}", self.epoch)
            }
            StoreMode::Stored => return Ok(begun),
        };
        Err(BridgeError::storage(StorageKind::RolledBack, operation, message))
    }
}

/// Totals of a store's state, for comparison with another state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointTotals {
    /// Sum of the four counters.
    pub tokens: u64,
    /// Number of responses.
    pub responses: u64,
    /// Number of sessions.
    pub sessions: u64,
}

/// A saved state of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Name.
    pub name: CheckpointName,
    /// Time at which it was taken.
    pub taken_at: Timestamp,
    /// Epoch of the store at that time.
    pub epoch: Epoch,
    /// Totals of the saved state.
    pub totals: CheckpointTotals,
}

/// A session that a rollback changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDifference {
    /// The session.
    pub session: SessionId,
    /// Its tokens in the store; 0 if it is not stored.
    pub tokens_now: u64,
    /// Its tokens in the checkpoint; 0 if it is not in there.
    pub tokens_then: u64,
}

/// Comparison of the store with a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointComparison {
    /// Totals of the store.
    pub now: CheckpointTotals,
    /// Totals of the checkpoint.
    pub then: CheckpointTotals,
    /// Number of sessions that differ in any response, even with equal tokens.
    pub differing_sessions: u64,
    /// The sessions that differ most in tokens, by descending difference, then by session.
    pub differences: Vec<SessionDifference>,
}

/// Result of a rollback or of its dry run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct RollbackResult {
    /// The checkpoint.
    pub checkpoint: CheckpointName,
    /// Totals before the rollback. `None` if they could not be counted, which does not stop the rollback.
    pub before: Option<CheckpointTotals>,
    /// Totals after the rollback, those of the checkpoint. `None` as for `before`.
    pub after: Option<CheckpointTotals>,
    /// Checkpoint of the replaced state; `None` for a dry run.
    pub replaced_state: Option<CheckpointName>,
    /// Number of differing sessions; only a dry run counts them.
    pub differing_sessions: Option<u64>,
    /// The sessions that differ most in tokens; only a dry run lists them.
    pub differences: Vec<SessionDifference>,
    /// State of the store afterwards.
    pub state: StoreState,
    /// Time until the checkpoint's state was in place; the totals are counted afterwards.
    #[serde(rename = "duration_seconds", with = "crate::seconds")]
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoint_names_need_no_escaping() {
        let long = "a".repeat(NAME_BYTES_MAX);
        assert!(["a", "_", "2026-11-23_a", &long].iter().all(|text| CheckpointName::new(text).is_ok()));
        let longer = "a".repeat(NAME_BYTES_MAX + 1);
        for text in ["", "a b", "a`", "a'", "a\u{2010}b", "ä", "a.b", &longer] {
            assert!(CheckpointName::new(text).is_err(), "{text}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<CheckpointName>(&json).is_err(), "{text}");
        }
    }

    #[test]
    fn rollback_names_the_replaced_state() {
        let name = CheckpointName::before_rollback(Epoch(3).next());
        assert_eq!(name.as_str(), "before_rollback_4");
        assert_eq!(
            (name.epoch_begun(), CheckpointName::new("a").unwrap().epoch_begun()),
            (Some(Epoch(4)), None)
        );
        assert!(name.is_automatic() && !CheckpointName::new("before").unwrap().is_automatic());
    }
}
