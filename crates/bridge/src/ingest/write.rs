//! The storing half of a backfill or a synchronization.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use bridge_core::{
    AnalysisId, BridgeError, EnhancedTokenAnalysis, Epoch, ResponseUsage, SessionId, SupersededKey,
    TokenChanges,
};
use bridge_storage::{ReplacedRow, SourceRecord, UpsertOptions, UpsertOutcome};
use tokio::task::JoinSet;

use crate::EnhancedTokenDatabaseBridge;
use crate::ingest::read::Batch;
use crate::operations::store::StoredRows;
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::run::carried;

/// Stores what was found, and books what it changed.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) bridge: &'a EnhancedTokenDatabaseBridge,
    upsert: UpsertOptions,
    /// Rows sent to the store.
    pub(crate) rows: u64,
    /// Of those, responses that were not there.
    pub(crate) new: u64,
    /// Of those, responses that were there in a lesser version.
    pub(crate) replaced: u64,
    /// What was replaced said before, in tokens.
    pub(crate) tokens_replaced: u64,
    /// By session, why its total changed.
    pub(crate) changes: BTreeMap<SessionId, TokenChanges>,
    /// Sessions that are not valid, with the reason; nothing of them is stored.
    pub(crate) rejected: BTreeMap<SessionId, String>,
    /// The write of the last batch's cursors, while the next batch is stored.
    cursors: JoinSet<Result<(), BridgeError>>,
}

impl<'a> Writer<'a> {
    /// For an operation that began in this epoch.
    pub(crate) fn new(bridge: &'a EnhancedTokenDatabaseBridge, epoch: Epoch) -> Self {
        Self {
            bridge,
            upsert: UpsertOptions::default().with_run_id(fastrand::u128(1..)).begun_in(epoch),
            rows: 0,
            new: 0,
            replaced: 0,
            tokens_replaced: 0,
            changes: BTreeMap::new(),
            rejected: BTreeMap::new(),
            cursors: JoinSet::new(),
        }
    }

    /// Stores by force: rows replace greater ones.
    pub(crate) fn forced(bridge: &'a EnhancedTokenDatabaseBridge, epoch: Epoch) -> Self {
        let mut storing = Self::new(bridge, epoch);
        storing.upsert = storing.upsert.forced();
        storing
    }

    /// Stores the rows; the cursors that stand for them are written by the time of
    /// [`cursors_written`](Self::cursors_written).
    pub(crate) async fn store(&mut self, found: Batch) -> Result<(), BridgeError> {
        let rejected_before = self.rejected.len();
        let mut rows = self.admit(found.rows);
        let seen = found.sessions.into_iter().filter(|session| !self.rejected.contains_key(session));
        rows.extend(seen.map(ResponseUsage::covered_sums));
        if !rows.is_empty() {
            let StoredRows { rows, outcomes, covered } = self.bridge.upsert(rows, &self.upsert).await?;
            let responses = rows.iter().zip(outcomes).filter(|(row, _)| row.origin.is_counted());
            responses.for_each(|(row, outcome)| {
                self.rows += 1;
                self.book(row, outcome);
            });
            covered.into_iter().for_each(|sums| self.book_covered(sums));
        }
        // Where some of it is not stored, nobody knows whether all is that counts in the place of older rows: they
        // stay, and the files are read again.
        let is_whole = self.rejected.len() == rejected_before;
        if !is_whole && !found.superseded.is_empty() {
            return Ok(());
        }
        self.cover(&found.superseded).await?;
        // Only now: a record says that the rows it stands for are stored.
        let sources = self.without_rejected(found.sources);
        if !sources.is_empty() {
            self.cursors_written().await?;
            let bridge = self.bridge.clone();
            self.cursors.spawn(carried(async move { bridge.put_sources(&sources).await }));
        }
        Ok(())
    }

    /// Covers keys that the rows stored before count in the place of. Answers with the number of rows replaced.
    pub(crate) async fn cover(&mut self, keys: &[SupersededKey]) -> Result<u64, BridgeError> {
        if keys.is_empty() {
            return Ok(0);
        }
        let covered = self.bridge.cover(keys, &self.upsert).await?;
        for row in &covered {
            self.replaced += 1;
            let changes = self.changes.entry(row.session.clone()).or_default();
            changes.rule_revision.add(-signed(row.tokens));
        }
        Ok(covered.len() as u64)
    }

    /// Waits until the cursors of everything that was stored are written.
    pub(crate) async fn cursors_written(&mut self) -> Result<(), BridgeError> {
        while let Some(written) = self.cursors.join_next().await {
            match written {
                Ok(written) => written?,
                Err(died) => std::panic::resume_unwind(died.into_panic()),
            }
        }
        Ok(())
    }

    fn book_covered(&mut self, sums: ReplacedRow) {
        self.tokens_replaced = self.tokens_replaced.saturating_add(sums.tokens);
        let tokens = i64::try_from(sums.tokens).unwrap_or(i64::MAX);
        self.changes.entry(sums.session).or_default().covered_sums.add(-tokens);
    }

    /// Rows that the store took in and that it did not have in this version or a greater one.
    pub(crate) fn written(&self) -> u64 {
        self.new + self.replaced
    }

    fn book(&mut self, row: &ResponseUsage, outcome: UpsertOutcome) {
        let tokens = signed(row.counts.total());
        match outcome {
            UpsertOutcome::Unchanged | UpsertOutcome::Covered => {}
            UpsertOutcome::New => {
                self.new += 1;
                self.changes.entry(row.session.clone()).or_default().new_responses.add(tokens);
            }
            UpsertOutcome::Replaced(old) => {
                self.replaced += 1;
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

    /// Leaves out the rows of sessions that are not valid.
    fn admit(&mut self, rows: Vec<ResponseUsage>) -> Vec<ResponseUsage> {
        let Some(validator) = &self.bridge.inner.validator else { return rows };
        let mut sessions: BTreeMap<SessionId, Vec<ResponseUsage>> = BTreeMap::new();
        for row in rows {
            sessions.entry(row.session.clone()).or_default().push(row);
        }
        let mut admitted = Vec::new();
        let now = self.bridge.inner.clock.now();
        for (session, rows) in sessions {
            let id =
                AnalysisId::new(format!("{:032x}", self.upsert.run_id)).expect("32 characters are an id");
            let why = match EnhancedTokenAnalysis::from_responses(id, session.clone(), now, rows) {
                Err(overflow) => overflow.to_string(),
                Ok(analysis) => {
                    let result = validator.validate_transcripts(&analysis);
                    if result.is_valid() {
                        admitted.extend(analysis.responses);
                        continue;
                    }
                    result.to_string()
                }
            };
            self.bridge.count(Outcome::Failure);
            self.rejected.insert(session, why);
        }
        admitted
    }

    /// A file with a rejected session is not recorded: it is read again once its session is valid.
    fn without_rejected(&self, mut sources: Vec<SourceRecord>) -> Vec<SourceRecord> {
        let is_rejected = |record: &&SourceRecord| self.rejected.contains_key(&record.session);
        let files: HashSet<PathBuf> =
            sources.iter().filter(is_rejected).map(|record| record.path.clone()).collect();
        sources.retain(|record| !files.contains(&record.path));
        sources
    }

    /// What went wrong, by session.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = String> {
        let told = |(session, why)| format!("the analysis of session {session} is not valid: {why}");
        self.rejected.iter().map(told)
    }
}

fn signed(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}
