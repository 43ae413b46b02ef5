//! Totals of an analyzed history.

use serde::{Deserialize, Serialize};

use crate::{DamagedLine, Receipt, ReceiptLine, TokenCounts};

/// Totals of an analysis of many files.
///
/// Responses, sessions and counters cover the requested time range; the receipt and the file counts cover everything
/// that was read.
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
    /// Of those, responses worth tokens with only unfinished snapshots. If there are any, the total is a floor.
    pub unfinished_responses: u64,
    /// The four counters.
    pub counts: TokenCounts,
    /// The whole total divided by the tokens of all snapshots; 1 if nothing is counted.
    pub accuracy_ratio: f64,
    /// Responses outside the range of time.
    pub outside_range: ReceiptLine,
    /// Derivation of the whole total from the lines.
    pub receipt: Receipt,
    /// The first damaged lines by path. The receipt has their number.
    pub damaged_lines: Vec<DamagedLine>,
}
