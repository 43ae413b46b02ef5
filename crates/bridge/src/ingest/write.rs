//! Writes the rows and records of read transcripts to the store.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bridge_core::{
    AnalysisId, BridgeError, CostChange, EnhancedTokenAnalysis, Epoch, ResponseUsage, SessionId,
    SupersededKey, TokenChanges,
};
use bridge_storage::{ReplacedRow, SourceRecord, UpsertOptions, UpsertOutcome};
use tokio::task::JoinSet;

use crate::ingest::Ingest;
use crate::ingest::costs::{WrittenCosts, prices_in_use};
use crate::ingest::read::Batch;
use crate::ingest::upsert::{StoredRows, upsert};
use crate::telemetry::current::in_current_operation;
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::write_counters::WriteCounters;

/// The rows of a batch that pass validation.
struct Valid {
    rows: Vec<ResponseUsage>,
    /// No session of the batch was rejected.
    is_whole: bool,
}

/// Writes batches, and sums up what changed.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    ingest: &'a Ingest,
    options: UpsertOptions,
    /// Number of rows sent to the store.
    pub(crate) rows: u64,
    /// Number of rows that were not stored before.
    pub(crate) new: u64,
    /// Number of rows that replaced a lesser version.
    pub(crate) replaced: u64,
    /// Tokens of the replaced versions.
    pub(crate) tokens_replaced: u64,
    /// The changes of each session's total.
    pub(crate) changes: BTreeMap<SessionId, TokenChanges>,
    /// Cost of the written rows, if it was requested and there are prices.
    costs: WriterCosts,
    /// Sessions of which at least one batch was invalid, with the reason. That batch is not stored, and files that hold
    /// the session get no new cursor.
    pub(crate) rejected: BTreeMap<SessionId, String>,
    /// The write of the last batch's cursors, while the next batch is written.
    cursors: JoinSet<Result<(), BridgeError>>,
}

impl<'a> Writer<'a> {
    /// Returns the writer of an operation that began in this epoch.
    pub(crate) fn new(ingest: &'a Ingest, epoch: Epoch) -> Self {
        Self {
            ingest,
            options: UpsertOptions::default().with_run_id(fastrand::u128(1..)).begun_in(epoch),
            rows: 0,
            new: 0,
            replaced: 0,
            tokens_replaced: 0,
            changes: BTreeMap::new(),
            costs: WriterCosts::Omitted,
            rejected: BTreeMap::new(),
            cursors: JoinSet::new(),
        }
    }

    /// Returns the writer, with rows that replace greater ones.
    pub(crate) fn forced(mut self) -> Self {
        self.options = self.options.forced();
        self
    }

    /// Returns the writer that prices what it writes, and what is replaced, by the price list in use.
    pub(crate) fn with_costs(self) -> Self {
        Self { costs: WriterCosts::Wanted, ..self }
    }

    /// Returns what was written cost, by session.
    pub(crate) fn take_costs(&mut self) -> BTreeMap<SessionId, CostChange> {
        match std::mem::replace(&mut self.costs, WriterCosts::Omitted) {
            WriterCosts::Known(costs) => costs.into_sessions(),
            WriterCosts::Omitted | WriterCosts::Wanted => BTreeMap::new(),
        }
    }

    /// Reads the prices before the first write.
    async fn read_prices(&mut self) {
        if !matches!(self.costs, WriterCosts::Wanted) {
            return;
        }
        self.costs = WriterCosts::Omitted;
        if let Some(prices) = prices_in_use(&*self.ingest.store).await {
            self.costs = WriterCosts::Known(WrittenCosts::new(prices));
            self.options = std::mem::take(&mut self.options).with_replaced_rows();
        }
    }

    /// Writes the rows. Their cursors are written when
    /// [`finish_cursors`](Self::finish_cursors) returns.
    pub(crate) async fn write(&mut self, batch: Batch) -> Result<(), BridgeError> {
        let Valid { mut rows, is_whole } = self.valid(batch.rows);
        let seen = batch.sessions.into_iter().filter(|session| !self.rejected.contains_key(session));
        rows.extend(seen.map(ResponseUsage::covered_sums));
        if !rows.is_empty() || !batch.superseded.is_empty() {
            self.read_prices().await;
        }
        if !rows.is_empty() {
            let StoredRows { rows, outcomes, covered } = upsert(self.ingest, rows, &self.options).await?;
            let responses = rows.iter().zip(outcomes).filter(|(row, _)| row.origin.is_counted());
            responses.for_each(|(row, outcome)| {
                self.rows += 1;
                self.record_change(row, outcome);
            });
            covered.into_iter().for_each(|sums| self.record_covered(sums));
        }
        // If some of it is not stored, the replacements of older rows may be incomplete, so these stay and the files
        // are read again.
        if !is_whole && !batch.superseded.is_empty() {
            return Ok(());
        }
        self.cover(&batch.superseded).await?;
        // Only now, because a record states that the rows of its file are stored.
        let sources = self.without_rejected(batch.sources);
        if !sources.is_empty() {
            self.finish_cursors().await?;
            let (store, kept) = (Arc::clone(&self.ingest.store), Arc::clone(&self.ingest.kept));
            self.cursors.spawn(in_current_operation(async move {
                store.put_sources(&sources).await?;
                kept.note_written(&sources);
                Ok(())
            }));
        }
        Ok(())
    }

    /// Covers keys whose rows are superseded by rows that are now stored.
    pub(crate) async fn cover(&mut self, keys: &[SupersededKey]) -> Result<(), BridgeError> {
        if keys.is_empty() {
            return Ok(());
        }
        let covered = self.ingest.store.cover(keys, &self.options).await?;
        self.ingest.telemetry.record_write(&WriteCounters::of_cover(&covered));
        for row in &covered {
            self.replaced += 1;
            self.costs.remove(row);
            let changes = self.changes.entry(row.session.clone()).or_default();
            changes.rule_revision.add(-signed(row.tokens));
        }
        Ok(())
    }

    /// Waits until the cursors of everything that was written are stored.
    pub(crate) async fn finish_cursors(&mut self) -> Result<(), BridgeError> {
        while let Some(written) = self.cursors.join_next().await {
            written.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))?;
        }
        Ok(())
    }

    /// Returns the number of rows that the store took.
    pub(crate) fn written(&self) -> u64 {
        self.new + self.replaced
    }

    fn record_covered(&mut self, sums: ReplacedRow) {
        self.tokens_replaced = self.tokens_replaced.saturating_add(sums.tokens);
        self.costs.remove(&sums);
        self.changes.entry(sums.session).or_default().covered_sums.add(-signed(sums.tokens));
    }

    fn record_change(&mut self, row: &ResponseUsage, outcome: UpsertOutcome) {
        let tokens = signed(row.counts.total());
        match outcome {
            UpsertOutcome::Unchanged | UpsertOutcome::Covered => {}
            UpsertOutcome::New => {
                self.new += 1;
                self.costs.add(row);
                self.changes.entry(row.session.clone()).or_default().new_responses.add(tokens);
            }
            UpsertOutcome::Replaced(old) => {
                self.replaced += 1;
                self.costs.add(row);
                self.costs.remove(&old);
                self.tokens_replaced = self.tokens_replaced.saturating_add(old.tokens);
                let before = signed(old.tokens);
                let changes = self.changes.entry(row.session.clone()).or_default();
                let is_of_older_rule = old.rule_revision < row.rule_revision;
                if is_of_older_rule && old.session == row.session {
                    changes.rule_revision.add(tokens - before);
                } else if is_of_older_rule {
                    changes.rule_revision.add(tokens);
                    self.changes.entry(old.session).or_default().rule_revision.add(-before);
                } else if old.session == row.session {
                    changes.later_snapshots.add(tokens - before);
                } else {
                    changes.from_other_sessions.add(tokens);
                    self.changes.entry(old.session).or_default().to_other_sessions.add(-before);
                }
            }
        }
    }

    /// Returns the rows of the valid sessions, and notes the others.
    fn valid(&mut self, rows: Vec<ResponseUsage>) -> Valid {
        let Some(validator) = &self.ingest.validator else { return Valid { rows, is_whole: true } };
        let mut sessions: BTreeMap<SessionId, Vec<ResponseUsage>> = BTreeMap::new();
        for row in rows {
            sessions.entry(row.session.clone()).or_default().push(row);
        }
        let mut valid = Valid { rows: Vec::new(), is_whole: true };
        let now = self.ingest.clock.now();
        for (session, rows) in sessions {
            let id =
                AnalysisId::new(format!("{:032x}", self.options.run_id)).expect("32 characters are an id");
            let reason = match EnhancedTokenAnalysis::from_responses(id, session.clone(), now, rows) {
                Err(overflow) => overflow.to_string(),
                Ok(analysis) => {
                    let result = validator.validate_transcripts(&analysis);
                    if result.is_valid() {
                        valid.rows.extend(analysis.responses);
                        continue;
                    }
                    result.to_string()
                }
            };
            self.ingest.telemetry.error_rate.record(Outcome::Failure);
            self.rejected.insert(session, reason);
            valid.is_whole = false;
        }
        valid
    }

    /// Returns the records of files without a rejected session. The others are read again once it is valid.
    fn without_rejected(&self, mut sources: Vec<SourceRecord>) -> Vec<SourceRecord> {
        let is_rejected = |record: &&SourceRecord| self.rejected.contains_key(&record.session);
        let files: HashSet<PathBuf> =
            sources.iter().filter(is_rejected).map(|record| record.path.clone()).collect();
        sources.retain(|record| !files.contains(&record.path));
        sources
    }

    /// Returns an error text for each rejected session.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = String> {
        let text = |(session, reason)| format!("the analysis of session {session} is invalid: {reason}");
        self.rejected.iter().map(text)
    }
}

/// The costs of what a writer writes.
#[derive(Debug)]
enum WriterCosts {
    /// They are not wanted, or there are no prices.
    Omitted,
    /// The prices are read before the first write.
    Wanted,
    Known(WrittenCosts),
}

impl WriterCosts {
    fn add(&mut self, row: &ResponseUsage) {
        if let Self::Known(costs) = self {
            costs.add(row);
        }
    }

    fn remove(&mut self, replaced: &ReplacedRow) {
        if let Self::Known(costs) = self {
            costs.remove(replaced);
        }
    }
}

fn signed(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bridge_core::{ResponseKey, RuleRevision};
    use bridge_storage::{InMemoryStore, ResponseFilter, TokenStore};
    use bridge_testkit::fixtures::response;

    use super::*;
    use crate::EnhancedTokenDatabaseBridge;

    /// A session whose batches are invalid one after the other: its replacements are not stored.
    #[tokio::test]
    async fn a_session_that_is_rejected_again_keeps_its_rows_of_older_revisions() {
        let store = Arc::new(InMemoryStore::default());
        let old = ResponseUsage { rule_revision: RuleRevision::FIRST, ..response("s", 1, 10) };
        store.upsert(std::slice::from_ref(&old), &UpsertOptions::default()).await.unwrap();
        let bridge = EnhancedTokenDatabaseBridge::builder(Arc::clone(&store) as Arc<dyn TokenStore>).build();
        let mut writer = Writer::new(bridge.ingest(), Epoch::default());
        for key in [2, 3] {
            // No response has so many tokens.
            let row = response("s", key, 1 << 60);
            let superseded = vec![SupersededKey::new(ResponseKey(1), true, old.counts)];
            let batch = Batch { rows: vec![row], superseded, sources: Vec::new(), sessions: BTreeSet::new() };
            writer.write(batch).await.unwrap();
        }
        assert_eq!(writer.rejections().count(), 1);
        assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.output, 10);
    }
}
