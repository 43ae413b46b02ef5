//! The analysis of many files together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use bridge_core::{
    ANALYSIS_VERSION, AnalysisId, AnalysisSummary, ContentCategories, CountOverflow, DamagedLine,
    EnhancedTokenAnalysis, Receipt, ReceiptLine, ResponseKey, ResponseUsage, SessionId, SupersededKey,
    TimeRange, Timestamp, TokenCounts,
};

use crate::count::batch::Batch;
use crate::count::context::Contexts;
use crate::count::response::Response;
use crate::count::table::ResponseTable;
use crate::error::SourceError;
use crate::report::{DamagePlace, FileAnalysis};

/// Files merged into one analysis. The result does not depend on their order.
#[derive(Debug, Default)]
pub struct History {
    responses: ResponseTable,
    contexts: Contexts,
    /// The terms that are added, and the damage.
    receipt: Receipt,
    /// The number of files begun. Each file's number is unique.
    files_begun: u32,
    sources: BTreeMap<SessionId, SessionSources>,
    /// The keys that revision 1 of the rule gave to snapshots, if the current one does not.
    superseded: HashMap<ResponseKey, SupersededKey>,
    files: u64,
    bytes: u64,
    lines: u64,
    errors: Vec<SourceError>,
    /// The first by path, at most [`History::DAMAGED_LINES_MAX`], whatever the order of the files.
    damaged: BTreeSet<DamagedLine>,
}

/// A session's totals over files that are not in its responses.
#[derive(Debug, Default, Clone)]
struct SessionSources {
    files: u64,
    content_categories: ContentCategories,
}

/// Facts that all analyses of one run share.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// When the run took place.
    pub timestamp: Timestamp,
    /// Identifies the run.
    pub run_id: u128,
    /// The duration of the run.
    pub duration: Duration,
    /// Peak memory of the process, in MiB; 0 if unknown.
    pub memory_mib: f64,
}

impl History {
    /// The maximum of damaged lines kept with their places; the counts are complete.
    pub const DAMAGED_LINES_MAX: usize = 1000;

    /// Begins a file that will be read, and returns its number.
    pub(crate) fn begin_file(&mut self) -> u32 {
        let file = self.files_begun;
        self.files_begun += 1;
        self.responses.begin_file(file);
        file
    }

    /// Merges snapshots of a file and leaves the batch empty.
    pub(crate) fn merge(&mut self, file: u32, batch: &mut Batch) {
        let sums = std::mem::take(&mut batch.sums);
        self.receipt.assistant_lines += sums.assistant_lines;
        self.receipt.nested += sums.nested;
        self.receipt.from_iterations += sums.from_iterations;
        self.receipt.raised += sums.raised;
        self.receipt.advisor += sums.advisor;
        self.receipt.compaction += sums.compaction;
        self.receipt.declined += sums.declined;
        self.receipt.other += sums.other;
        self.receipt.weak_snapshots += sums.weak;
        for key in batch.superseded.drain(..) {
            let known = self.superseded.entry(key.key).or_insert(key);
            *known = known.merge(key);
        }
        let unplaced = &batch.contexts.all()[batch.placed.len()..];
        batch.placed.extend(unplaced.iter().map(|context| self.contexts.place(context)));
        for mut candidate in batch.candidates.drain(..) {
            candidate.context = batch.placed[candidate.context as usize];
            let request = batch.requests.get(candidate.request);
            self.responses.candidate(candidate, request, file, &self.contexts);
        }
        batch.requests.clear();
    }

    /// Ends a file; all its snapshots were merged.
    pub(crate) fn end_file(&mut self, file: u32, analysis: &FileAnalysis) {
        self.responses.end_file(file);
        self.files += u64::from(analysis.complete);
        self.bytes += analysis.bytes;
        self.lines += analysis.lines;
        self.receipt.damage += analysis.damage;
        for place in &analysis.damage_places {
            let DamagePlace { line, offset, kind } = *place;
            self.damaged.insert(DamagedLine { path: analysis.file.path.clone(), line, offset, kind });
            if self.damaged.len() > Self::DAMAGED_LINES_MAX {
                self.damaged.pop_last();
            }
        }
        for session in analysis.sessions.keys() {
            self.sources.entry(session.clone()).or_default().files += 1;
        }
        let home = self.sources.entry(analysis.home_session.clone()).or_default();
        for (category, tokens) in &analysis.content_categories {
            let sum = home.content_categories.entry(*category).or_default();
            *sum = sum.saturating_add(*tokens);
        }
    }

    /// Returns the tokens of all responses.
    pub(crate) fn tokens(&self) -> u64 {
        self.responses.total().tokens
    }

    /// Records a file or folder that could not be read.
    pub fn add_error(&mut self, error: SourceError) {
        self.errors.push(error);
    }

    /// Returns the responses of all files, in no particular order.
    #[must_use]
    pub fn responses(&self) -> impl ExactSizeIterator<Item = Response<'_>> {
        self.responses.winners().map(|(winner, snapshot_tokens)| {
            let request = self.responses.request(&winner);
            Response::new(winner, self.contexts.get(winner.context), request, snapshot_tokens)
        })
    }

    /// Returns the number of rows that [`take_changed`](Self::take_changed) would return now.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.responses.changed()
    }

    /// Takes the rows that changed since the last call and must be sent to the store.
    pub fn take_changed(&mut self) -> Vec<ResponseUsage> {
        self.responses.take_changed(&self.contexts)
    }

    /// Returns the keys of older revisions of the rule that the current one does not give, in no particular order.
    #[must_use]
    pub fn superseded(&self) -> impl ExactSizeIterator<Item = SupersededKey> {
        self.superseded.values().copied()
    }

    /// Takes those keys of the files that were read since the last call.
    pub fn take_superseded(&mut self) -> Vec<SupersededKey> {
        std::mem::take(&mut self.superseded).into_values().collect()
    }

    /// Returns the errors of files and folders that could not be read.
    #[must_use]
    pub fn errors(&self) -> &[SourceError] {
        &self.errors
    }

    /// Returns the sums of the four counters over all responses.
    ///
    /// # Errors
    ///
    /// A sum does not fit 64 bits.
    pub fn counts(&self) -> Result<TokenCounts, CountOverflow> {
        TokenCounts::checked_sum(self.responses().map(|response| response.counts))
    }

    /// Returns the receipt.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let (file_winners, total) = (self.responses.file_winners(), self.responses.total());
        let mut receipt = self.receipt;
        receipt.repeats_within_files = difference(receipt.all_snapshots(), file_winners);
        receipt.copies_across_files = difference(file_winners, total);
        receipt.total = total;
        receipt.weak_responses = self.responses.weak();
        receipt
    }

    /// Returns the totals of the responses in this time range, and of everything that was read.
    ///
    /// # Errors
    ///
    /// A sum does not fit 64 bits.
    pub fn summary(&self, range: &TimeRange) -> Result<AnalysisSummary, CountOverflow> {
        let receipt = self.receipt();
        let mut summary = AnalysisSummary {
            files: self.files,
            bytes: self.bytes,
            lines: self.lines,
            accuracy_ratio: ratio(receipt.total.tokens, receipt.all_snapshots().tokens),
            receipt,
            damaged_lines: self.damaged.iter().cloned().collect(),
            ..AnalysisSummary::default()
        };
        let mut contexts = vec![false; self.contexts.len()];
        for (winner, _) in self.responses.winners() {
            if !range.contains(winner.time) {
                summary.outside_range.add(winner.tokens());
                continue;
            }
            summary.responses += 1;
            summary.unfinished_responses += u64::from(!winner.finished && !winner.counts.is_zero());
            summary.counts = summary.counts.checked_add(winner.counts)?;
            contexts[winner.context as usize] = true;
        }
        let in_range = (0..).zip(contexts).filter(|(_, in_range)| *in_range);
        let sessions: HashSet<_> = in_range.map(|(place, _)| &self.contexts.get(place).session).collect();
        summary.sessions = sessions.len() as u64;
        Ok(summary)
    }

    /// Returns one analysis for each session that has responses, by session id.
    ///
    /// # Errors
    ///
    /// A sum does not fit 64 bits.
    pub fn analyses(&self, facts: &RunFacts) -> Result<Vec<EnhancedTokenAnalysis>, CountOverflow> {
        let mut sessions: BTreeMap<&SessionId, (u64, Vec<ResponseUsage>)> = BTreeMap::new();
        for response in self.responses() {
            let (snapshot_tokens, responses) = sessions.entry(response.session).or_default();
            *snapshot_tokens = snapshot_tokens.saturating_add(response.snapshot_tokens);
            responses.push(response.to_usage());
        }
        sessions
            .into_iter()
            .map(|(session, (snapshot_tokens, responses))| {
                self.analysis(session, responses, snapshot_tokens, facts)
            })
            .collect()
    }

    fn analysis(
        &self,
        session: &SessionId,
        mut responses: Vec<ResponseUsage>,
        snapshot_tokens: u64,
        facts: &RunFacts,
    ) -> Result<EnhancedTokenAnalysis, CountOverflow> {
        responses.sort_by_key(|response| response.key);
        let id = analysis_id(facts.run_id, session);
        let sources = self.sources.get(session).cloned().unwrap_or_default();
        let mut analysis =
            EnhancedTokenAnalysis::from_responses(id, session.clone(), facts.timestamp, responses)?;
        analysis.accuracy_ratio = ratio(analysis.calculated_total_tokens, snapshot_tokens);
        analysis.files_processed = sources.files;
        analysis.content_categories = sources.content_categories;
        analysis.processing_duration = facts.duration;
        analysis.memory_usage_mb = facts.memory_mib;
        analysis.analysis_version = ANALYSIS_VERSION.to_owned();
        Ok(analysis)
    }
}

/// Returns an id that is unique for the run and the session, with a length that does not depend on the session's.
fn analysis_id(run_id: u128, session: &SessionId) -> AnalysisId {
    let place = ResponseKey::of_uuid(session.as_str());
    AnalysisId::new(format!("{run_id:032x}-{place}")).expect("65 characters are an id")
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

fn difference(more: ReceiptLine, less: ReceiptLine) -> ReceiptLine {
    // Winners are some of the snapshots, so neither difference can be negative.
    ReceiptLine { count: more.count - less.count, tokens: more.tokens - less.tokens }
}
