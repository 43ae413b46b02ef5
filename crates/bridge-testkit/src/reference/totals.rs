//! All snapshots together: grouped by key, the greatest of each, and the sums.

use super::{
    file::FileContent,
    snapshot::{Iteration, MessageKey, Place, ResponseKey, Snapshot},
};
use crate::Counters;
use std::collections::{BTreeMap, BTreeSet};

/// What the rule says about a set of files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReferenceTotals {
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lines that are not blank, damaged, pending and oversize ones included.
    pub lines: u64,
    /// Damaged lines that end with a newline.
    pub bad_lines: u64,
    /// Last lines without newline that are not valid yet.
    pub pending: u64,
    /// Lines over the size limit.
    pub oversize: u64,
    /// Snapshots whose usage cannot be read.
    pub bad_usage: u64,
    /// Snapshots of assistant records with readable usage, iterations not counted.
    pub usage_lines: u64,
    /// Snapshots in progress records with readable usage, iterations not counted.
    pub nested_snapshots: u64,
    /// The plain sum of the assistant records' usage.
    pub naive: u64,
    /// The plain sum of the nested records' usage.
    pub nested_naive: u64,
    /// What stands only in iterations.
    pub from_iterations: u64,
    /// By how much iterations raise what stands above them.
    pub raised: u64,
    /// The plain sum of advisor iterations.
    pub advisor_naive: u64,
    /// The plain sum of compaction iterations.
    pub compaction_naive: u64,
    /// The plain sum of declined attempts.
    pub declined_naive: u64,
    /// The plain sum of iterations of unknown types that are responses.
    pub other_naive: u64,
    /// Snapshots whose key is weak, their iterations included.
    pub weak_snapshots: u64,
    /// Responses whose key is weak, and their tokens.
    pub weak: (u64, u64),
    /// What is repeated within a file.
    pub repeats_within_files: u64,
    /// What is copied from file to file.
    pub copies_across_files: u64,
    /// Distinct responses with readable usage, those worth no tokens included.
    pub responses: u64,
    /// Their counters.
    pub counters: Counters,
    /// The sum of the counters.
    pub total: u64,
    /// The part of the total that stands only in progress records.
    pub total_nested_only: u64,
    /// Each session's sums. A response whose session is open counts for the least of its candidates here.
    pub sessions: BTreeMap<String, SessionTotals>,
    /// Sessions of responses whose session only the unspecified last tie-break decides: not to be compared.
    pub open_sessions: BTreeSet<String>,
    /// Each response, by key.
    pub by_response: Vec<ReferenceResponse>,
}

/// A session's sums: of the responses whose winning snapshot names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTotals {
    /// Its responses.
    pub responses: u64,
    /// Those worth tokens.
    pub worth_tokens: u64,
    /// Those worth tokens of which only unfinished snapshots exist.
    pub unfinished: u64,
    /// The counters.
    pub counters: Counters,
    /// The sum over all snapshots of its responses, nothing deduplicated.
    pub all_snapshots: u64,
}

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceResponse {
    /// Its key.
    pub key: ResponseKey,
    /// What the winning snapshot says: several where only the unspecified last tie-break decides between them.
    pub outcomes: BTreeSet<Outcome>,
    /// The sum over all its snapshots.
    pub all_snapshots: u64,
    /// It stands only in progress records.
    pub nested_only: bool,
}

/// What a winning snapshot says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// The session.
    pub session: String,
    /// The model, where one is named.
    pub model: Option<String>,
    /// The counters.
    pub counters: Counters,
    /// Whether a `stop_reason` is there.
    pub finished: bool,
    /// The time in milliseconds since 1970.
    pub time_millis: i64,
}

impl ReferenceTotals {
    /// The receipt's upper sum: all snapshots.
    pub fn all_snapshots(&self) -> u64 {
        let top = self.naive + self.nested_naive + self.from_iterations + self.raised;
        top + self.advisor_naive + self.apart_naive()
    }

    /// The plain sum of the iterations that are responses, advisors aside.
    pub fn apart_naive(&self) -> u64 {
        self.compaction_naive + self.declined_naive + self.other_naive
    }

    /// Whether the split into the four counters is decided by the stated part of the order.
    pub fn counters_are_certain(&self) -> bool {
        self.by_response.iter().all(|response| {
            let first = response.outcome().counters;
            response.outcomes.iter().all(|outcome| outcome.counters == first)
        })
    }
}

impl ReferenceResponse {
    /// The least of the outcomes: their total, `finished` and time are all the same.
    ///
    /// # Panics
    /// Without an outcome; no totals hold such a response.
    pub fn outcome(&self) -> &Outcome {
        self.outcomes.first().expect("a response has a snapshot")
    }

    /// The sessions it may belong to.
    pub fn sessions(&self) -> BTreeSet<&str> {
        self.outcomes.iter().map(|outcome| outcome.session.as_str()).collect()
    }
}

impl SessionTotals {
    /// `accuracy_ratio`: 1 where nothing is counted.
    pub fn accuracy_ratio(&self) -> f64 {
        if self.all_snapshots == 0 { 1.0 } else { self.counters.total() as f64 / self.all_snapshots as f64 }
    }

    /// `undercount_percentage`: 0 where nothing is worth tokens.
    pub fn undercount_percentage(&self) -> f64 {
        if self.worth_tokens == 0 { 0.0 } else { 100.0 * self.unfinished as f64 / self.worth_tokens as f64 }
    }
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    files: Vec<FileContent>,
}

impl Collection {
    pub(crate) fn add(&mut self, file: FileContent) {
        self.files.push(file);
    }

    pub(crate) fn totals(&self) -> ReferenceTotals {
        let mut totals = ReferenceTotals::default();
        for file in &self.files {
            totals.files += 1;
            totals.bytes += file.bytes;
            totals.lines += file.lines;
            totals.bad_lines += file.bad_lines;
            totals.pending += file.pending;
            totals.oversize += file.oversize;
            totals.bad_usage += file.bad_usage;
            file.snapshots.iter().for_each(|snapshot| totals.add_to_receipt(snapshot));
        }
        totals.by_response = group(self.files.iter().flat_map(|file| &file.snapshots));
        totals.sum_responses();
        let file_winners: u64 = self.files.iter().map(|file| total(&group(&file.snapshots))).sum();
        totals.repeats_within_files = totals.all_snapshots() - file_winners;
        totals.copies_across_files = file_winners - totals.total;
        totals
    }
}

impl ReferenceTotals {
    fn add_to_receipt(&mut self, snapshot: &Snapshot) {
        let tokens = snapshot.counters.total();
        self.weak_snapshots += u64::from(is_weak(&snapshot.key));
        if let Some((iteration, _)) = snapshot.key.iteration {
            *match iteration {
                Iteration::Advisor => &mut self.advisor_naive,
                Iteration::Compaction => &mut self.compaction_naive,
                Iteration::Declined => &mut self.declined_naive,
                Iteration::Other => &mut self.other_naive,
            } += tokens;
            return;
        }
        let (number, naive) = match snapshot.place {
            Place::Assistant => (&mut self.usage_lines, &mut self.naive),
            Place::Nested => (&mut self.nested_snapshots, &mut self.nested_naive),
        };
        *number += 1;
        *naive += snapshot.written;
        let from_below = if snapshot.written == 0 { &mut self.from_iterations } else { &mut self.raised };
        *from_below += tokens - snapshot.written;
    }

    fn sum_responses(&mut self) {
        for response in &self.by_response {
            let outcome = response.outcome();
            let tokens = outcome.counters.total();
            self.responses += 1;
            self.counters += outcome.counters;
            self.total += tokens;
            if is_weak(&response.key) {
                self.weak.0 += 1;
                self.weak.1 += tokens;
            }
            self.total_nested_only += if response.nested_only { tokens } else { 0 };
            let session = self.sessions.entry(outcome.session.clone()).or_default();
            session.responses += 1;
            session.worth_tokens += u64::from(tokens > 0);
            session.unfinished += u64::from(tokens > 0 && !outcome.finished);
            session.counters += outcome.counters;
            session.all_snapshots += response.all_snapshots;
            if response.sessions().len() > 1 {
                self.open_sessions.extend(response.sessions().into_iter().map(str::to_owned));
            }
        }
    }
}

fn is_weak(key: &ResponseKey) -> bool {
    matches!(key.message, MessageKey::Weak(..))
}

fn total(responses: &[ReferenceResponse]) -> u64 {
    responses.iter().map(|response| response.outcome().counters.total()).sum()
}

/// The responses of the snapshots, in the order of their keys.
fn group<'s>(snapshots: impl IntoIterator<Item = &'s Snapshot>) -> Vec<ReferenceResponse> {
    let mut groups: BTreeMap<&ResponseKey, Vec<&Snapshot>> = BTreeMap::new();
    for snapshot in snapshots {
        groups.entry(&snapshot.key).or_default().push(snapshot);
    }
    groups.into_iter().map(|(key, snapshots)| response(key, &snapshots)).collect()
}

fn response(key: &ResponseKey, snapshots: &[&Snapshot]) -> ReferenceResponse {
    let greatest = snapshots.iter().map(|snapshot| snapshot.rank()).max();
    let winners = snapshots.iter().filter(|snapshot| Some(snapshot.rank()) == greatest);
    ReferenceResponse {
        key: key.clone(),
        outcomes: winners.map(|snapshot| outcome(snapshot)).collect(),
        all_snapshots: snapshots.iter().map(|snapshot| snapshot.counters.total()).sum(),
        nested_only: snapshots.iter().all(|snapshot| snapshot.place == Place::Nested),
    }
}

fn outcome(snapshot: &Snapshot) -> Outcome {
    Outcome {
        session: snapshot.session.clone(),
        model: snapshot.model.clone(),
        counters: snapshot.counters,
        finished: snapshot.finished,
        time_millis: snapshot.time_millis,
    }
}
