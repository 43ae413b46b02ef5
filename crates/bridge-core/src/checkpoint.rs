//! Checkpoints of a store, and what rolling back to one says.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{SessionId, Timestamp};

/// The greatest length of a checkpoint's name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// What the names of the checkpoints begin with that a rollback makes of the state it replaces.
const AUTOMATIC: &str = "before_rollback_";

/// The name of a checkpoint: up to 64 ASCII letters, digits and underlines, so that it can stand in a table's name.
///
/// ```
/// use bridge_core::CheckpointName;
///
/// assert!(CheckpointName::new("before_the_2026_import").is_ok());
/// assert!(CheckpointName::new("what; a name").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckpointName(Arc<str>);

/// The text is no name of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a checkpoint's name is 1 to {NAME_BYTES_MAX} letters, digits and underlines, not {text:?}")]
pub struct InvalidCheckpointName {
    /// The beginning of the text.
    pub text: String,
}

impl CheckpointName {
    /// Takes the text as a name.
    ///
    /// # Errors
    ///
    /// The text is empty, too long, or holds another character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidCheckpointName> {
        let text = text.as_ref();
        let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !is_word {
            return Err(InvalidCheckpointName { text: text.chars().take(NAME_BYTES_MAX).collect() });
        }
        Ok(Self(text.into()))
    }

    /// The name of what the rollback that began this epoch replaced.
    #[must_use]
    pub fn before_rollback(epoch: Epoch) -> Self {
        Self(format!("{AUTOMATIC}{epoch}").into())
    }

    /// The epoch that the rollback began that gave this name, where one did.
    #[must_use]
    pub fn epoch_begun(&self) -> Option<Epoch> {
        self.0.strip_prefix(AUTOMATIC)?.parse().ok().map(Epoch)
    }

    /// Whether only a rollback gives such a name.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.0.starts_with(AUTOMATIC)
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for CheckpointName {
    type Err = InvalidCheckpointName;

    fn from_str(text: &str) -> Result<Self, InvalidCheckpointName> {
        Self::new(text)
    }
}

impl TryFrom<String> for CheckpointName {
    type Error = InvalidCheckpointName;

    fn try_from(text: String) -> Result<Self, InvalidCheckpointName> {
        Self::new(text)
    }
}

impl From<CheckpointName> for String {
    fn from(name: CheckpointName) -> String {
        name.0.as_ref().to_owned()
    }
}

/// The time between two rollbacks of a store: 0 until the first, and one more with each.
///
/// What is written bears the epoch in which its operation began. The store refuses what began before the last
/// rollback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch that the next rollback begins.
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

/// Whether a store takes what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreMode {
    /// It does.
    Stored,
    /// It was rolled back to this checkpoint and takes nothing until it is resumed: analyses come straight from the
    /// sources.
    Direct {
        /// The checkpoint.
        checkpoint: CheckpointName,
    },
}

/// Where a store stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreState {
    /// How often it was rolled back.
    pub epoch: Epoch,
    /// Whether it takes what is stored.
    pub mode: StoreMode,
}

impl StoreState {
    /// The state of a store that was never rolled back.
    #[must_use]
    pub fn first() -> Self {
        Self { epoch: Epoch::default(), mode: StoreMode::Stored }
    }
}

/// The figures by which a person tells one state of a store from another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointTotals {
    /// All four counters together.
    pub tokens: u64,
    /// Responses.
    pub responses: u64,
    /// Sessions.
    pub sessions: u64,
}

/// A state of the store that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its name.
    pub name: CheckpointName,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The epoch of the store at that time.
    pub epoch: Epoch,
    /// What it holds.
    pub figures: CheckpointTotals,
}

/// A session that a rollback changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDifference {
    /// The session.
    pub session: SessionId,
    /// Its tokens as they are stored now; 0 where it is not stored.
    pub tokens_now: u64,
    /// Its tokens in the checkpoint; 0 where that does not know it.
    pub tokens_then: u64,
}

/// The store beside a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointComparison {
    /// What is stored now.
    pub now: CheckpointTotals,
    /// What the checkpoint holds.
    pub then: CheckpointTotals,
    /// How many sessions differ in any response, be their tokens equal or not.
    pub differing_sessions: u64,
    /// Those of them with the greatest difference in tokens, greatest first, equal ones by session.
    pub differences: Vec<SessionDifference>,
}

/// Result of a rollback, or of a dry run of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct RollbackResult {
    /// The checkpoint.
    pub checkpoint: CheckpointName,
    /// What was stored before. `None` where it could not be counted any more: the rollback was made nevertheless.
    pub before: Option<CheckpointTotals>,
    /// What is stored after: what the checkpoint holds. `None` as `before`.
    pub after: Option<CheckpointTotals>,
    /// Under this name the replaced state is kept; `None` of a dry run, which replaces nothing.
    pub replaced_state: Option<CheckpointName>,
    /// How many sessions differ; only a dry run looks.
    pub differing_sessions: Option<u64>,
    /// Those of them that differ most in tokens; only a dry run looks.
    pub differences: Vec<SessionDifference>,
    /// Where the store stands after it.
    pub state: StoreState,
    /// How long it took until the state was there. What was replaced is counted afterwards.
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word() {
        let long = "a".repeat(NAME_BYTES_MAX);
        assert!(["a", "_", "2026_11_23", &long].iter().all(|text| CheckpointName::new(text).is_ok()));
        let longer = "a".repeat(NAME_BYTES_MAX + 1);
        for text in ["", "a b", "a-b", "a`", "ä", "a.b", &longer] {
            assert!(CheckpointName::new(text).is_err(), "{text}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<CheckpointName>(&json).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rollback_names_what_it_replaces() {
        let name = CheckpointName::before_rollback(Epoch(3).next());
        assert_eq!(name.as_str(), "before_rollback_4");
        assert_eq!(
            (name.epoch_begun(), CheckpointName::new("a").unwrap().epoch_begun()),
            (Some(Epoch(4)), None)
        );
        assert!(name.is_automatic() && !CheckpointName::new("before").unwrap().is_automatic());
    }
}
