//! The figures of an analyzed history.

use serde::{Deserialize, Serialize};

use crate::{DamagedLine, Receipt, ReceiptLine, TokenCounts};

/// What an analysis of many files found, in figures.
///
/// Responses, sessions and counters are those in the range of time that was asked for; the receipt and
/// everything about files is about all that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnalysisSummary {
    /// Files that were read to their end.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Lines that are not blank.
    pub lines: u64,
    /// Sessions with responses.
    pub sessions: u64,
    /// Responses.
    pub responses: u64,
    /// Of those, responses worth tokens of which only unfinished snapshots exist: with any, the total is a floor.
    pub unfinished_responses: u64,
    /// The four counters.
    pub counts: TokenCounts,
    /// The whole total divided by the tokens of all snapshots; 1 where nothing is counted.
    pub accuracy_ratio: f64,
    /// Responses outside the range of time.
    pub outside_range: ReceiptLine,
    /// How the whole total follows from the lines.
    pub receipt: Receipt,
    /// The first damaged lines, by path; how many there are in all stands in the receipt.
    pub damaged_lines: Vec<DamagedLine>,
}
