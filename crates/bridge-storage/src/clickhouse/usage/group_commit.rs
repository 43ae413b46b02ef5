//! Group commit: while one upsert is under way, small ones that arrive wait, and then share a look-up and an insert.
//!
//! A round trip and a part on disk cost the same for one row as for thousands, and the database handles them one
//! after another: without groups, ten callers who store one row each take ten times as long as one. A caller that
//! arrives when nothing is under way pays nothing for this. The requests of a group carry the correlation id of the
//! caller that writes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bridge_core::{BridgeError, Epoch, ResponseUsage};

use super::write::STORE;
use crate::clickhouse::ClickHouseStore;
use crate::store::{UpsertOptions, UpsertOutcome};

/// Upserts of more rows are written alone, because sharing would save them little and delay others.
const SMALL_ROWS_MAX: usize = 4_096;

/// The most rows in a group. With their markers they fit into one insert, so that no upsert is split.
const GROUP_ROWS_MAX: usize = 32_768;

/// Upserts waiting to become part of a group.
#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    waiting: Mutex<Vec<Arc<Member>>>,
    /// One group is written at a time; others gather meanwhile.
    turn: tokio::sync::Mutex<()>,
    /// The last upsert failed. Until one succeeds each is written alone, so that no caller waits for others' timeouts.
    is_failing: AtomicBool,
}

#[derive(Debug)]
struct Member {
    rows: Vec<ResponseUsage>,
    run_id: u128,
    epoch: Option<Epoch>,
    replaced_rows: bool,
    fate: Mutex<Fate>,
}

#[derive(Debug)]
enum Fate {
    Waiting,
    Written(Vec<UpsertOutcome>),
    /// The group failed. Each member then retries alone, so that one caller's error does not fail the others.
    Alone,
}

/// The run id of each row of a group: for each member, the end of its rows and its run id.
pub(crate) struct RunIds(Vec<(usize, u128)>);

impl RunIds {
    pub(crate) fn one(run_id: u128) -> Self {
        Self(vec![(usize::MAX, run_id)])
    }

    /// Returns the run id of the row at this place.
    pub(crate) fn run_id(&self, place: usize) -> u128 {
        let run = self.0.partition_point(|(end, _)| *end <= place);
        self.0.get(run).map_or(0, |(_, run_id)| *run_id)
    }
}

/// Leaves the queue when its caller does: rows of a call that is dropped while it waits are not written. Once another
/// caller has gathered them into its group, they may be.
struct Ticket<'a> {
    group: &'a GroupCommit,
    member: Arc<Member>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.group.waiting().retain(|member| !Arc::ptr_eq(member, &self.member));
    }
}

impl Member {
    fn settle(&self, fate: Fate) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }

    fn take_fate(&self) -> Fate {
        std::mem::replace(&mut *self.fate.lock().unwrap_or_else(PoisonError::into_inner), Fate::Waiting)
    }
}

impl GroupCommit {
    fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Notes whether the last upsert failed. Call it before the turn ends, so that the waiting callers know.
    fn note<T>(&self, result: &Result<T, BridgeError>) {
        let is_failing = matches!(result, Err(BridgeError::Connection { .. }));
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Arc<Member>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, rows: &[ResponseUsage], options: &UpsertOptions) -> Ticket<'_> {
        let UpsertOptions { run_id, epoch, replaced_rows, .. } = *options;
        let fate = Mutex::new(Fate::Waiting);
        let member = Arc::new(Member { rows: rows.to_vec(), run_id, epoch, replaced_rows, fate });
        self.waiting().push(Arc::clone(&member));
        Ticket { group: self, member }
    }

    /// Removes this member, and those that can be written with it, from the waiting ones, and returns them.
    fn gather(&self, first: &Arc<Member>, rows_max: usize) -> Vec<Arc<Member>> {
        let mut room = rows_max.saturating_sub(first.rows.len());
        let mut members = vec![Arc::clone(first)];
        self.waiting().retain(|member| {
            let is_first = Arc::ptr_eq(member, first);
            let joins = !is_first
                && (member.epoch, member.replaced_rows) == (first.epoch, first.replaced_rows)
                && member.rows.len() <= room;
            if joins {
                room -= member.rows.len();
                members.push(Arc::clone(member));
            }
            !is_first && !joins
        });
        members
    }
}

/// Members of a group; the first one writes it. If that fails or is dropped, each of the others retries alone.
struct Group(Vec<Arc<Member>>);

impl Group {
    fn rows(&self) -> (Vec<ResponseUsage>, RunIds) {
        let (mut rows, mut runs) = (Vec::new(), Vec::with_capacity(self.0.len()));
        for member in &self.0 {
            rows.extend_from_slice(&member.rows);
            runs.push((rows.len(), member.run_id));
        }
        (rows, RunIds(runs))
    }

    /// Hands the members their outcomes. Returns those of the first one, which wrote them.
    fn written(mut self, mut outcomes: Vec<UpsertOutcome>) -> Vec<UpsertOutcome> {
        // From the last to the first, so that the writer's are left.
        for member in self.0.drain(1..).rev() {
            member.settle(Fate::Written(outcomes.split_off(outcomes.len() - member.rows.len())));
        }
        outcomes
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.0.iter().for_each(|member| member.settle(Fate::Alone));
    }
}

impl ClickHouseStore {
    /// Upserts rows, together with those of concurrent callers if that is cheaper.
    pub(crate) async fn upsert_in_group(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        let group_commit = &self.group_commit;
        if options.force || rows.len() > SMALL_ROWS_MAX || group_commit.is_failing() {
            return self.upsert_alone(rows, options).await;
        }
        // The lock is fair: it is free only if no other caller waits.
        if let Ok(_turn) = group_commit.turn.try_lock() {
            return self.upsert_alone(rows, options).await;
        }
        self.join_group(rows, options).await
    }

    async fn upsert_alone(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        let result = self.upsert_rows(rows, options, RunIds::one(options.run_id)).await;
        self.group_commit.note(&result);
        result
    }

    async fn join_group(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        // The epoch of this call, not of the moment at which its group is written: a rollback may lie between.
        let epoch = self.admit(STORE, options.epoch).await?;
        let options = &options.clone().begun_in(epoch);
        let ticket = self.group_commit.enter(rows, options);
        let turn = self.group_commit.turn.lock().await;
        match ticket.member.take_fate() {
            Fate::Written(outcomes) => Ok(outcomes),
            Fate::Waiting if !self.group_commit.is_failing() => {
                // Each row may bring a marker, and the rows of a member must not be divided between inserts.
                let rows_max = GROUP_ROWS_MAX.min(self.options.insert_rows / 2);
                let group = Group(self.group_commit.gather(&ticket.member, rows_max));
                let (rows, runs) = group.rows();
                let result = self.upsert_rows(&rows, options, runs).await;
                self.group_commit.note(&result);
                Ok(group.written(result?))
            }
            Fate::Waiting | Fate::Alone => {
                drop(turn);
                self.upsert_alone(rows, options).await
            }
        }
    }
}
