//! Results of reading sources that are no files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{DamageCounts, DamagedLine, SessionId, TokenChanges};

/// The position up to which a stream is stored: where the next entries belong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamPosition {
    /// Bytes, without a last line that is still incomplete.
    pub bytes: u64,
    /// Lines that end before. Of pushed entries this is their number.
    pub lines: u64,
}

impl StreamPosition {
    /// Returns the position behind this many bytes and lines.
    #[must_use]
    pub fn new(bytes: u64, lines: u64) -> Self {
        Self { bytes, lines }
    }
}

/// Result of storing entries that were pushed, or a stream that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[must_use]
#[non_exhaustive]
pub struct StreamResult {
    /// True if everything is stored, up to [`position`](Self::position).
    pub success: bool,
    /// The name that the stream is recorded under.
    #[serde(serialize_with = "crate::escaped::serialize_path")]
    pub source: PathBuf,
    /// Position up to which it is stored now. The next entries are expected there.
    pub position: StreamPosition,
    /// Lines that were read, without blank ones.
    pub lines_read: u64,
    /// Lines that were stored before, and passed over.
    pub lines_known: u64,
    /// Rows written: responses that were new or had a lesser version.
    pub records_stored: u64,
    /// Of those, responses that were not in the store before.
    pub new_responses: u64,
    /// Changes of the sessions' totals.
    pub changes: BTreeMap<SessionId, TokenChanges>,
    /// Damage in the lines that were read. A pending line is the last one, still incomplete: it is not stored, and
    /// expected again.
    pub damage: DamageCounts,
    /// The first damaged lines.
    pub damaged_lines: Vec<DamagedLine>,
    /// Duration of the operation.
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
