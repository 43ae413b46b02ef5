//! Results of reading sources without files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{DamageCounts, DamagedLine, SessionId, TokenChanges};

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
}
