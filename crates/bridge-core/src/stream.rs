//! Results of reading sources without files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CostChange, DamageCounts, DamagedLine, SessionId, TokenChanges};

/// The position up to which a stream is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamPosition {
    /// Offset in bytes. An incomplete last line is after it.
    pub bytes: u64,
    /// Lines that end before the offset; for pushed entries, their number.
    pub lines: u64,
}

impl StreamPosition {
    /// Returns the position after this many bytes and lines.
    #[must_use]
    pub fn new(bytes: u64, lines: u64) -> Self {
        Self { bytes, lines }
    }
}

/// Result of storing pushed entries or a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[must_use]
#[non_exhaustive]
pub struct StreamResult {
    /// True if everything up to [`position`](Self::position) is stored.
    pub success: bool,
    /// The name under which the stream is recorded.
    #[serde(serialize_with = "crate::escaped::serialize_path")]
    pub source: PathBuf,
    /// Position up to which the stream is stored. The next entries are expected there.
    pub position: StreamPosition,
    /// Lines read, not counting blank ones.
    pub lines_read: u64,
    /// Lines skipped because they were already stored.
    pub lines_known: u64,
    /// Rows written: responses that were new or had a lesser version.
    pub records_stored: u64,
    /// Of those, responses that were not in the store before.
    pub new_responses: u64,
    /// Changes of the sessions' totals.
    pub changes: BTreeMap<SessionId, TokenChanges>,
    /// Cost of the rows that were written for each of those sessions, and of those that they replaced, by the price
    /// list in use: its tokens are those of `changes`. Empty if none is in use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cost_changes: BTreeMap<SessionId, CostChange>,
    /// Damage in the lines read. A pending line is an incomplete last one: it is not stored, and is expected again.
    pub damage: DamageCounts,
    /// The first damaged lines.
    pub damaged_lines: Vec<DamagedLine>,
    /// Duration of the operation.
    #[serde(rename = "processing_time_seconds", with = "crate::seconds")]
    pub processing_time: Duration,
    /// Errors, one clause each; empty on success.
    pub errors: Vec<String>,
}

impl StreamResult {
    /// Returns the change of all sessions' totals in tokens.
    #[must_use]
    pub fn tokens(&self) -> i64 {
        self.changes.values().fold(0, |sum, changes| sum.saturating_add(changes.tokens()))
    }

    /// Returns the change of all sessions' cost; `None` if no price list is in use, or nothing changed.
    ///
    /// ```
    /// use bridge_core::{Cost, CostChange, SessionId, StreamResult, TokenChanges};
    ///
    /// let mut result = StreamResult::default();
    /// assert_eq!(result.cost_change(), None);
    ///
    /// let session = SessionId::new("8f14e45f")?;
    /// let cost = Cost { amount: "0.25".parse().unwrap(), ..Cost::default() };
    /// result.changes.insert(session.clone(), TokenChanges::default());
    /// result.cost_changes.insert(session, CostChange::new(cost, Cost::default()));
    /// assert_eq!(result.cost_change().unwrap().amount().to_string(), "$0.2500");
    /// # Ok::<(), bridge_core::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn cost_change(&self) -> Option<CostChange> {
        let mut sum = CostChange::default();
        // A sum without one of its parts would not be that of `tokens`.
        for session in self.changes.keys() {
            sum.add(self.cost_changes.get(session)?);
        }
        (!self.changes.is_empty()).then_some(sum)
    }
}
