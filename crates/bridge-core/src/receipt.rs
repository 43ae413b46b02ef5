//! Receipts: proofs that a total adds up from the files.

use serde::{Deserialize, Serialize};

/// One line of a receipt: a number of snapshots and their tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLine {
    /// Number of snapshots or responses.
    pub count: u64,
    /// Their tokens.
    pub tokens: u64,
}

impl ReceiptLine {
    /// Adds one snapshot worth `tokens`.
    pub fn add(&mut self, tokens: u64) {
        *self += Self { count: 1, tokens };
    }
}

impl std::ops::AddAssign for ReceiptLine {
    fn add_assign(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

/// Derivation of an analysis's total from the snapshots read. It adds up exactly:
///
/// `assistant_lines + nested + from_iterations + raised + advisor + compaction + declined + other` = all snapshots;
/// all snapshots `- repeats_within_files - copies_across_files` = `total`.
///
/// `from_iterations` and `raised` hold only the tokens that the iterations add. Their snapshots are counted where
/// they occur, with the tokens of the top level, as a counter that adds lines sees them. Their counts are for
/// information.
///
/// Apart from the sum, `weak_snapshots` and `weak_responses` are the parts of all snapshots and of the total whose
/// identity rests on a weak key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Receipt {
    /// The usages of `assistant` lines: what a counter that adds lines shows.
    pub assistant_lines: ReceiptLine,
    /// The usages nested in `progress` lines.
    pub nested: ReceiptLine,
    /// Tokens found only in the iterations of a usage.
    pub from_iterations: ReceiptLine,
    /// Tokens by which iterations raise the counters of a usage that reports too few.
    pub raised: ReceiptLine,
    /// Advisors' iterations, each a separate response.
    pub advisor: ReceiptLine,
    /// Compaction steps, each a separate response.
    pub compaction: ReceiptLine,
    /// Attempts that were refused before a fallback answered, each a separate response.
    pub declined: ReceiptLine,
    /// Iterations of unknown types that the top level leaves out, each a separate response.
    pub other: ReceiptLine,
    /// Earlier and repeated snapshots of a response in the same file.
    pub repeats_within_files: ReceiptLine,
    /// Snapshots of a response that another file holds too.
    pub copies_across_files: ReceiptLine,
    /// Counted responses and their tokens.
    pub total: ReceiptLine,
    /// Snapshots whose key is weak: a short `message.id` without a request id.
    pub weak_snapshots: ReceiptLine,
    /// The part of the total whose keys are weak.
    pub weak_responses: ReceiptLine,
    /// Damage, apart from the sum.
    pub damage: DamageCounts,
}

/// Numbers of lines and snapshots that could not be read or counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DamageCounts {
    /// Lines of invalid JSON.
    pub bad_lines: u64,
    /// Snapshots with a counter that is not an integer from 0 to 10^9.
    pub bad_usage: u64,
    /// Lines over the size limit.
    pub oversize_lines: u64,
    /// Last lines without a newline that are not valid yet.
    pub pending_lines: u64,
}

impl DamageCounts {
    /// Returns the lines of which something is not counted and never will be: all but pending ones.
    #[must_use]
    pub fn damaged_lines(&self) -> u64 {
        self.bad_lines.saturating_add(self.bad_usage).saturating_add(self.oversize_lines)
    }
}

impl std::ops::AddAssign for DamageCounts {
    fn add_assign(&mut self, other: Self) {
        self.bad_lines = self.bad_lines.saturating_add(other.bad_lines);
        self.bad_usage = self.bad_usage.saturating_add(other.bad_usage);
        self.oversize_lines = self.oversize_lines.saturating_add(other.oversize_lines);
        self.pending_lines = self.pending_lines.saturating_add(other.pending_lines);
    }
}

impl Receipt {
    /// Returns all snapshots that were read.
    #[must_use]
    pub fn all_snapshots(&self) -> ReceiptLine {
        let tokens = self.from_iterations.tokens.saturating_add(self.raised.tokens);
        let mut all = ReceiptLine { count: 0, tokens };
        let lines =
            [self.assistant_lines, self.nested, self.advisor, self.compaction, self.declined, self.other];
        lines.into_iter().for_each(|line| all += line);
        all
    }

    /// Returns whether the receipt adds up, in snapshots and in tokens.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let all = self.all_snapshots();
        let mut explained = self.total;
        explained += self.repeats_within_files;
        explained += self.copies_across_files;
        all == explained && self.weak_responses.tokens <= self.total.tokens
    }
}

/// Derivation of a store's total from the snapshots read from source files. It adds up exactly:
///
/// `read + kept - repeated` = `total`.
///
/// The tokens read are known per session, not per response. So `kept` is what a session has beyond
/// that, summed over the sessions. It is a floor if a session has lost some sources and repeats others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoreReceipt {
    /// All snapshots covered by the records of the source files.
    pub read: ReceiptLine,
    /// Responses that no recorded source explains: the source was rewritten, or they came without a file.
    pub kept: ReceiptLine,
    /// Snapshots that do not count: earlier and repeated ones, and copies across files and sessions.
    pub repeated: ReceiptLine,
    /// Stored responses and their tokens.
    pub total: ReceiptLine,
    /// The part of the total whose keys are weak.
    #[serde(default)]
    pub weak: ReceiptLine,
}

impl StoreReceipt {
    /// Returns the receipt of a store; snapshots that are read or kept but not in the total are repeats.
    #[must_use]
    pub fn new(read: ReceiptLine, kept: ReceiptLine, total: ReceiptLine) -> Self {
        let repeated = ReceiptLine {
            count: read.count.saturating_add(kept.count).saturating_sub(total.count),
            tokens: read.tokens.saturating_add(kept.tokens).saturating_sub(total.tokens),
        };
        Self { read, kept, repeated, total, weak: ReceiptLine::default() }
    }

    /// Returns whether the receipt adds up, in snapshots and in tokens.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let mut given = self.read;
        given += self.kept;
        let mut explained = self.total;
        explained += self.repeated;
        given == explained
    }
}
