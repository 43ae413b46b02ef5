//! Groups all snapshots by key, selects the greatest of each group, and sums them.

use super::{
    attribution::Attribution,
    file::FileContent,
    snapshot::{Iteration, MessageKey, Place, ResponseKey, Snapshot},
};
use crate::Counters;
use std::collections::{BTreeMap, BTreeSet};

/// The totals of a set of files by the counting rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReferenceTotals {
    /// Number of files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Lines that are not blank, including damaged, pending and oversize ones.
    pub lines: u64,
    /// Damaged lines that end with a newline.
    pub bad_lines: u64,
    /// Last lines without a newline that are not valid yet.
    pub pending: u64,
    /// Lines over the size limit.
    pub oversize: u64,
    /// Snapshots with invalid usage.
    pub bad_usage: u64,
    /// Snapshots of assistant records with valid usage, without iterations.
    pub usage_lines: u64,
    /// Snapshots in progress records with valid usage, without iterations.
    pub nested_snapshots: u64,
    /// The naive sum over the assistant records.
    pub naive: u64,
    /// The naive sum over the nested records.
    pub nested_naive: u64,
    /// Tokens of usages that have them only in their iterations.
    pub from_iterations: u64,
    /// Tokens by which iterations exceed the top-level counters.
    pub raised: u64,
    /// The naive sum over advisor iterations.
    pub advisor_naive: u64,
    /// The naive sum over compaction iterations.
    pub compaction_naive: u64,
    /// The naive sum over declined attempts.
    pub declined_naive: u64,
    /// The naive sum over iterations of unknown types that are responses.
    pub other_naive: u64,
    /// Snapshots with a weak key, including their iterations.
    pub weak_snapshots: u64,
    /// Responses with a weak key, and their tokens.
    pub weak: (u64, u64),
    /// Tokens repeated within a file.
    pub repeats_within_files: u64,
    /// Tokens copied from other files.
    pub copies_across_files: u64,
    /// Distinct responses with valid usage, including those without tokens.
    pub responses: u64,
    /// The sums of the responses' counters.
    pub counters: Counters,
    /// The sum of the counters.
    pub total: u64,
    /// The part of the total that occurs only in progress records.
    pub total_nested_only: u64,
    /// The totals of each session. A response with an undecided session counts for the first of its candidates.
    pub sessions: BTreeMap<String, SessionTotals>,
    /// Candidate sessions of responses whose session depends on the last tie-break; their totals cannot be compared.
    pub open_sessions: BTreeSet<String>,
    /// All responses, by key.
    pub by_response: Vec<ReferenceResponse>,
}

/// The totals of a session, over the responses whose winning snapshot belongs to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTotals {
    /// Number of responses.
    pub responses: u64,
    /// Responses with tokens.
    pub with_tokens: u64,
    /// Responses with tokens that have only unfinished snapshots.
    pub unfinished: u64,
    /// The sums of the counters.
    pub counters: Counters,
    /// The sum over all snapshots of the responses, without deduplication.
    pub all_snapshots: u64,
}

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceResponse {
    /// The response's key.
    pub key: ResponseKey,
    /// The contents of the winning snapshot: several if only the last tie-break decides between them.
    pub outcomes: BTreeSet<Outcome>,
    /// The sum over all snapshots.
    pub all_snapshots: u64,
    /// `true` if the response occurs only in progress records.
    pub nested_only: bool,
}

/// The content of a winning snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// The session.
    pub session: String,
    /// The model, if the message names one.
    pub model: Option<String>,
    /// The project: the path of its working tree, or the name of its folder.
    pub project: Option<String>,
    /// The counters.
    pub counters: Counters,
    /// `true` if the snapshot has a `stop_reason`.
    pub finished: bool,
    /// The time in milliseconds since 1970.
    pub time_millis: i64,
    /// The response's attribution.
    pub attribution: Attribution,
}

impl ReferenceTotals {
    /// Returns the sum over all snapshots, which the receipt starts from.
    pub fn all_snapshots(&self) -> u64 {
        let top = self.naive + self.nested_naive + self.from_iterations + self.raised;
        top + self.advisor_naive + self.apart_naive()
    }

    /// Returns the naive sum over the iterations that are responses, except advisors.
    pub fn apart_naive(&self) -> u64 {
        self.compaction_naive + self.declined_naive + self.other_naive
    }

    /// Returns `true` if no counter depends on the last tie-break.
    pub fn counters_are_certain(&self) -> bool {
        self.by_response.iter().all(|response| {
            let first = response.outcome().counters;
            response.outcomes.iter().all(|outcome| outcome.counters == first)
        })
    }
}

impl ReferenceResponse {
    /// Returns the first of the outcomes, which all have the same total, `finished` and time.
    ///
    /// # Panics
    /// Panics without an outcome, which never occurs in totals.
    pub fn outcome(&self) -> &Outcome {
        self.outcomes.first().expect("a response has a snapshot")
    }

    /// Returns the sessions that the response may belong to.
    pub fn sessions(&self) -> BTreeSet<&str> {
        self.outcomes.iter().map(|outcome| outcome.session.as_str()).collect()
    }
}

impl SessionTotals {
    /// Returns the `accuracy_ratio`; 1 if nothing is counted.
    pub fn accuracy_ratio(&self) -> f64 {
        if self.all_snapshots == 0 { 1.0 } else { self.counters.total() as f64 / self.all_snapshots as f64 }
    }

    /// Returns the `undercount_percentage`; 0 if no response has tokens.
    pub fn undercount_percentage(&self) -> f64 {
        if self.with_tokens == 0 { 0.0 } else { 100.0 * self.unfinished as f64 / self.with_tokens as f64 }
    }
}

/// The contents of all files.
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
        let from_iterations =
            if snapshot.written == 0 { &mut self.from_iterations } else { &mut self.raised };
        *from_iterations += tokens - snapshot.written;
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
            session.with_tokens += u64::from(tokens > 0);
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

/// Groups the snapshots by response, ordered by key.
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
        project: snapshot.project.clone(),
        counters: snapshot.counters,
        finished: snapshot.finished,
        time_millis: snapshot.time_millis,
        attribution: snapshot.attribution.clone(),
    }
}
