//! The true totals of a history, recorded during its generation.

use super::line::LineTotals;
use crate::Counters;
use std::collections::{BTreeMap, BTreeSet};

/// The true totals of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryTruth {
    /// Number of files, including those without usage.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Lines that are not blank.
    pub lines: u64,
    /// Damaged lines that end with a newline.
    pub bad_lines: u64,
    /// Truncated last lines.
    pub pending: u64,
    /// Snapshots with invalid usage.
    pub bad_usage: u64,
    /// Distinct responses, including those without tokens.
    pub responses: u64,
    /// The sums of the responses' counters.
    pub counters: Counters,
    /// The naive sum over assistant lines.
    pub naive: u64,
    /// The naive sum over nested records.
    pub nested_naive: u64,
    /// Tokens of usages that have them only in their iterations, over all snapshots.
    pub from_iterations: u64,
    /// Tokens by which iterations exceed the top-level counters.
    pub raised: u64,
    /// The naive sum over advisor iterations.
    pub advisor_naive: u64,
    /// The naive sum over the other iterations that are responses.
    pub apart_naive: u64,
    /// The totals of each session. A copied response counts for its first session here, also in `open_sessions`.
    pub sessions: BTreeMap<String, SessionTruth>,
    /// Sessions that share a copied response, whose session depends on the last tie-break.
    pub open_sessions: BTreeSet<String>,
    /// All responses.
    pub by_response: Vec<TrueResponse>,
}

/// The true totals of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTruth {
    /// Number of responses.
    pub responses: u64,
    /// Responses with tokens that never finished.
    pub unfinished: u64,
    /// The sums of the counters.
    pub counters: Counters,
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueResponse {
    /// The session that the response belongs to.
    pub session: String,
    /// The model.
    pub model: String,
    /// The counters.
    pub counters: Counters,
    /// `true` if a snapshot has a stop reason.
    pub finished: bool,
}

impl HistoryTruth {
    /// Returns the sum of the counters.
    pub fn total(&self) -> u64 {
        self.counters.total()
    }

    pub(crate) fn add_response(&mut self, response: TrueResponse) {
        self.responses += 1;
        self.counters += response.counters;
        let session = self.sessions.entry(response.session.clone()).or_default();
        session.responses += 1;
        session.unfinished += u64::from(!response.finished && response.counters.total() > 0);
        session.counters += response.counters;
        self.by_response.push(response);
    }

    pub(crate) fn add_line(&mut self, totals: &LineTotals) {
        self.lines += 1;
        self.bad_lines += u64::from(totals.is_bad_line);
        self.bad_usage += totals.bad_usage;
        self.naive += totals.naive;
        self.nested_naive += totals.nested_naive;
        self.from_iterations += totals.from_iterations;
        self.raised += totals.raised;
        self.advisor_naive += totals.advisor_naive;
        self.apart_naive += totals.apart_naive;
    }
}
