//! The storing half of a backfill or a synchronisation.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use bridge_core::{
    AnalysisId, BridgeError, EnhancedTokenAnalysis, Epoch, ResponseUsage, SessionId, TokenChanges,
};
use bridge_storage::{SourceRecord, UpsertOptions, UpsertOutcome};
use tokio::task::JoinSet;

use crate::EnhancedTokenDatabaseBridge;
use crate::error_rate::Outcome;
use crate::reading::Found;
use crate::running::carried;

/// Stores what was found, and books what it changed.
#[derive(Debug)]
pub(crate) struct Storing<'a> {
    pub(crate) bridge: &'a EnhancedTokenDatabaseBridge,
    upsert: UpsertOptions,
    /// Rows sent to the store.
    pub(crate) rows: u64,
    /// Of those, responses that were not there.
    pub(crate) new: u64,
    /// Of those, responses that were there in a lesser version.
    pub(crate) replaced: u64,
    /// By session, why its total changed.
    pub(crate) changes: BTreeMap<SessionId, TokenChanges>,
    /// Sessions that are not valid, with the reason; nothing of them is stored.
    pub(crate) rejected: BTreeMap<SessionId, String>,
    /// The write of the last batch's cursors, while the next batch is stored.
    cursors: JoinSet<Result<(), BridgeError>>,
}

impl<'a> Storing<'a> {
    /// For an operation that began in this epoch.
    pub(crate) fn new(bridge: &'a EnhancedTokenDatabaseBridge, epoch: Epoch) -> Self {
        Self {
            bridge,
            upsert: UpsertOptions::default().with_run_id(fastrand::u128(1..)).begun_in(epoch),
            rows: 0,
            new: 0,
            replaced: 0,
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
    pub(crate) async fn store(&mut self, found: Found) -> Result<(), BridgeError> {
        let rows = self.admit(found.rows);
        if !rows.is_empty() {
            let outcomes = self.bridge.upsert(&rows, &self.upsert).await?;
            self.rows += rows.len() as u64;
            rows.iter().zip(outcomes).for_each(|(row, outcome)| self.book(row, outcome));
        }
        // Only now: a record says that the rows it stands for are stored.
        let sources = self.without_rejected(found.sources);
        if !sources.is_empty() {
            self.cursors_written().await?;
            let bridge = self.bridge.clone();
            self.cursors.spawn(carried(async move { bridge.put_sources(&sources).await }));
        }
        Ok(())
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

    /// Rows that the store took in and that it did not have in this version or a greater one.
    pub(crate) fn written(&self) -> u64 {
        self.new + self.replaced
    }

    fn book(&mut self, row: &ResponseUsage, outcome: UpsertOutcome) {
        let signed = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        let tokens = signed(row.counts.total());
        match outcome {
            UpsertOutcome::Unchanged => {}
            UpsertOutcome::New => {
                self.new += 1;
                self.changes.entry(row.session.clone()).or_default().new_responses.add(tokens);
            }
            UpsertOutcome::Replaced(old) => {
                self.replaced += 1;
                let before = signed(old.tokens);
                let changes = self.changes.entry(row.session.clone()).or_default();
                if old.session == row.session {
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
                    let result = validator.validate_analysis(&analysis);
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
