//! The true figures of a history, noted while it is written.

use super::line::Tally;
use crate::Counters;
use std::collections::{BTreeMap, BTreeSet};

/// What stands in a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryTruth {
    /// Files, those without usage included.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Lines that are not blank.
    pub lines: u64,
    /// Damaged lines that end with a newline.
    pub bad_lines: u64,
    /// Torn last lines.
    pub pending: u64,
    /// Snapshots whose usage cannot be read.
    pub bad_usage: u64,
    /// Distinct responses, those worth no tokens included.
    pub responses: u64,
    /// Their counters.
    pub counters: Counters,
    /// The plain sum of assistant lines.
    pub naive: u64,
    /// The plain sum of nested records.
    pub nested_naive: u64,
    /// What stands only in iterations, over all snapshots.
    pub from_iterations: u64,
    /// By how much iterations raise what stands above them.
    pub raised: u64,
    /// The plain sum of advisor iterations.
    pub advisor_naive: u64,
    /// The plain sum of the other iterations that are responses.
    pub apart_naive: u64,
    /// Each session's sums; of the sessions in `open_sessions` only as if each copied response were its first session's.
    pub sessions: BTreeMap<String, SessionTruth>,
    /// Sessions that share a copied response, which only the last tie-break gives to one of them.
    pub open_sessions: BTreeSet<String>,
    /// Each response.
    pub by_response: Vec<TrueResponse>,
}

/// A session's sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTruth {
    /// Its responses.
    pub responses: u64,
    /// Those worth tokens that never finished.
    pub unfinished: u64,
    /// The counters.
    pub counters: Counters,
}

/// One response as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueResponse {
    /// The session it was given in.
    pub session: String,
    /// The model.
    pub model: String,
    /// The counters.
    pub counters: Counters,
    /// Whether its end is recorded.
    pub finished: bool,
}

impl HistoryTruth {
    /// The sum of the counters.
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

    pub(crate) fn add_line(&mut self, tally: &Tally) {
        self.lines += 1;
        self.bad_lines += u64::from(tally.is_bad_line);
        self.bad_usage += tally.bad_usage;
        self.naive += tally.naive;
        self.nested_naive += tally.nested_naive;
        self.from_iterations += tally.from_iterations;
        self.raised += tally.raised;
        self.advisor_naive += tally.advisor_naive;
        self.apart_naive += tally.apart_naive;
    }
}
