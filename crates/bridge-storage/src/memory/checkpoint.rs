//! Checkpoints in memory: whole copies.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bridge_core::{
    BridgeError, Checkpoint, CheckpointComparison, CheckpointName, CheckpointTotals, Epoch, ResponseKey,
    ResponseVersion, SessionDifference, SessionId, StoreMode, StoreState, Timestamp,
};

use super::{InMemoryStore, Tables, sum};
use crate::capabilities::{
    CheckpointStore, DIFFERENCES_MAX, RESERVED, TAKEN, UNKNOWN, rolled_back, unusable,
};

/// The saved states, and the state of the store.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    kept: BTreeMap<CheckpointName, (Checkpoint, Tables)>,
    epoch: Epoch,
    /// The checkpoint that the store was rolled back to, until it is resumed.
    direct: Option<CheckpointName>,
}

impl Checkpoints {
    fn state(&self) -> StoreState {
        let mode = match self.direct.clone() {
            Some(checkpoint) => StoreMode::Direct { checkpoint },
            None => StoreMode::Stored,
        };
        StoreState { epoch: self.epoch, mode }
    }

    /// Refuses an operation that began in this epoch, if it must.
    pub(super) fn admit(&self, operation: &'static str, begun_in: Option<Epoch>) -> Result<(), BridgeError> {
        self.state().admit(operation, begun_in).map(drop)
    }

    fn keep(&mut self, name: &CheckpointName, now: Timestamp, tables: Tables) -> Checkpoint {
        let checkpoint =
            Checkpoint { name: name.clone(), taken_at: now, epoch: self.epoch, totals: tables.totals() };
        self.kept.insert(name.clone(), (checkpoint.clone(), tables));
        checkpoint
    }

    fn get(&self, operation: &'static str, name: &CheckpointName) -> Result<&Tables, BridgeError> {
        self.kept.get(name).map(|(_, tables)| tables).ok_or_else(|| unusable(operation, name, UNKNOWN))
    }
}

/// A session of a state: its tokens, and everything that makes it differ.
type SessionState = (u64, BTreeSet<(ResponseKey, ResponseVersion)>);

impl Tables {
    fn totals(&self) -> CheckpointTotals {
        let totals = sum(self.counted());
        let (tokens, responses) = (totals.counts.total(), totals.responses);
        CheckpointTotals { tokens, responses, sessions: totals.sessions }
    }

    fn sessions(&self) -> BTreeMap<&SessionId, SessionState> {
        let mut sessions: BTreeMap<&SessionId, SessionState> = BTreeMap::new();
        for (key, stored) in self.usage.iter().filter(|(_, stored)| stored.row.origin.is_counted()) {
            let (tokens, rows) = sessions.entry(&stored.row.session).or_default();
            *tokens = tokens.saturating_add(stored.row.counts.total());
            rows.insert((*key, stored.version));
        }
        sessions
    }

    fn compare(&self, then: &Self) -> CheckpointComparison {
        let (sessions, sessions_then) = (self.sessions(), then.sessions());
        let names: BTreeSet<&SessionId> = sessions.keys().chain(sessions_then.keys()).copied().collect();
        let differing = names.into_iter().filter(|name| sessions.get(name) != sessions_then.get(name));
        let tokens = |state: Option<&SessionState>| state.map_or(0, |(tokens, _)| *tokens);
        let mut differences: Vec<SessionDifference> = differing
            .map(|session| SessionDifference {
                session: session.clone(),
                tokens_now: tokens(sessions.get(session)),
                tokens_then: tokens(sessions_then.get(session)),
            })
            .collect();
        let differing_sessions = differences.len() as u64;
        differences.sort_by_key(|difference| {
            std::cmp::Reverse(difference.tokens_now.abs_diff(difference.tokens_then))
        });
        differences.truncate(DIFFERENCES_MAX);
        CheckpointComparison { now: self.totals(), then: then.totals(), differing_sessions, differences }
    }
}

#[async_trait]
impl CheckpointStore for InMemoryStore {
    async fn state(&self) -> Result<StoreState, BridgeError> {
        Ok(self.content().checkpoints.state())
    }

    async fn create_checkpoint(
        &self,
        name: &CheckpointName,
        now: Timestamp,
    ) -> Result<Checkpoint, BridgeError> {
        let mut content = self.content();
        if name.is_automatic() {
            return Err(unusable("create a checkpoint", name, RESERVED));
        }
        if content.checkpoints.kept.contains_key(name) {
            return Err(unusable("create a checkpoint", name, TAKEN));
        }
        let copy = content.tables.clone();
        Ok(content.checkpoints.keep(name, now, copy))
    }

    async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, BridgeError> {
        let content = self.content();
        let mut all: Vec<Checkpoint> =
            content.checkpoints.kept.values().map(|(checkpoint, _)| checkpoint.clone()).collect();
        all.sort_by_key(|checkpoint| checkpoint.taken_at);
        Ok(all)
    }

    async fn drop_checkpoint(&self, name: &CheckpointName) -> Result<(), BridgeError> {
        let dropped = self.content().checkpoints.kept.remove(name);
        dropped.map(drop).ok_or_else(|| unusable("drop a checkpoint", name, UNKNOWN))
    }

    async fn compare_with_checkpoint(
        &self,
        name: &CheckpointName,
    ) -> Result<CheckpointComparison, BridgeError> {
        let content = self.content();
        let then = content.checkpoints.get("compare with a checkpoint", name)?;
        Ok(content.tables.compare(then))
    }

    async fn roll_back(&self, name: &CheckpointName, now: Timestamp) -> Result<CheckpointName, BridgeError> {
        let mut content = self.content();
        let then = content.checkpoints.get("roll back", name)?.clone();
        let then = Tables { projects: content.tables.projects.clone(), ..then };
        let next = content.checkpoints.epoch.next();
        if next == content.checkpoints.epoch {
            return Err(rolled_back("roll back", "there are no more epochs".to_owned()));
        }
        let replaced = std::mem::replace(&mut content.tables, then);
        let kept = CheckpointName::before_rollback(next);
        content.checkpoints.keep(&kept, now, replaced);
        content.checkpoints.epoch = next;
        content.checkpoints.direct = Some(name.clone());
        Ok(kept)
    }

    async fn resume(&self) -> Result<StoreState, BridgeError> {
        let mut content = self.content();
        content.checkpoints.direct = None;
        Ok(content.checkpoints.state())
    }
}
