//! The audit: a record of every operation, kept in memory until the store has it.
//!
//! An operation that stores something is on record before it returns. An insert of its own behind that of the rows would make
//! storing an analysis take half as long again. So an operation is announced: a record of what it sets out to store is
//! written beside its rows, and the record of how it ended replaces it, under the same id, from the buffer. A program
//! that is killed leaves the announcement, which says that the operation's end is not on record.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bridge_analysis::ProjectNames;
use bridge_core::{
    AuditId, AuditOutcome, AuditRecord, BridgeError, Clock, CorrelationId, HostName, OperationName,
    StorageKind,
};
use bridge_storage::{TokenStore, require};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::telemetry::operation::Operation;

/// Options of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditOptions {
    /// Maximum number of records that wait for the store. Further records are dropped, counted, and reported by a
    /// record of its own (`audit_gap`) when there is room again.
    pub buffer_records_max: usize,
    /// After this time at the latest a record is written, where the store answers. Operations that store something are
    /// on record before they return.
    pub write_within: Duration,
    /// The operations that are recorded.
    pub operations: AuditedOperations,
}

/// The operations that are recorded. The audit does not record who reads it, nor that a synchronization of
/// [`keep_in_sync`](crate::EnhancedTokenDatabaseBridge::keep_in_sync) had nothing to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditedOperations {
    /// All.
    #[default]
    All,
    /// Those that may change the store, and those that failed.
    Changes,
    /// None, the embedder's own included: for a database user who may only read. Logs and metrics tell of all.
    Nothing,
}

impl Default for AuditOptions {
    /// Ten thousand records (some 5 MB), five seconds, all operations.
    fn default() -> Self {
        let write_within = Duration::from_secs(5);
        Self { buffer_records_max: 10_000, write_within, operations: AuditedOperations::All }
    }
}

impl AuditOptions {
    /// Returns the options with room for this number of records that wait.
    #[must_use]
    pub fn with_buffer_records_max(mut self, records: usize) -> Self {
        self.buffer_records_max = records.max(1);
        self
    }

    /// Returns the options with records written after this time.
    #[must_use]
    pub fn with_write_within(mut self, time: Duration) -> Self {
        self.write_within = time;
        self
    }

    /// Returns the options with these operations on record.
    #[must_use]
    pub fn with_operations(mut self, operations: AuditedOperations) -> Self {
        self.operations = operations;
        self
    }
}

/// Statistics of the audit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditStats {
    /// Records that wait for the store.
    pub buffered: u64,
    /// Records written.
    pub written: u64,
    /// Records for which there was no room.
    pub dropped: u64,
}

/// Maximum number of records of one write.
const BATCH_RECORDS: usize = 1000;
/// Maximum length of an error's text.
const ERROR_CHARS_MAX: usize = 1000;

/// The records that the store does not have yet.
///
/// Invariant: a record leaves the buffer only when the store has it, and only at the front. So a caller that is dropped
/// while writing leaves records that are written again, under their ids, and in their order.
#[derive(Debug)]
pub(crate) struct AuditTrail {
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    host: HostName,
    project_names: ProjectNames,
    options: AuditOptions,
    buffer: Mutex<Buffer>,
    /// One writes at a time.
    turn: tokio::sync::Mutex<()>,
    half_full: Arc<Notify>,
    is_failing: AtomicBool,
    /// An administrator has to act before the store takes the audit: no operation waits for that.
    is_refused: AtomicBool,
}

#[derive(Debug, Default)]
struct Buffer {
    records: VecDeque<AuditRecord>,
    /// As many at the front are being written, as they are.
    in_flight: usize,
    sequence: u32,
    written: u64,
    dropped: u64,
    /// Of the dropped ones, those that no record tells of yet.
    untold: u64,
    /// A task in the background will write what is there.
    has_writer: bool,
}

impl AuditTrail {
    pub(crate) fn new(
        store: Arc<dyn TokenStore>,
        clock: Arc<dyn Clock>,
        host: HostName,
        project_names: ProjectNames,
        mut options: AuditOptions,
    ) -> Self {
        if store.audit().is_none() {
            options.operations = AuditedOperations::Nothing;
        }
        Self {
            store,
            clock,
            host,
            project_names,
            options,
            buffer: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            half_full: Arc::default(),
            is_failing: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
        }
    }

    /// A record of now.
    pub(crate) fn record(
        &self,
        operation: OperationName,
        id: CorrelationId,
        fill: impl FnOnce(&mut AuditRecord),
    ) -> AuditRecord {
        let mut buffer = self.buffer();
        let time = self.clock.now();
        let audit_id = AuditId::new(time, buffer.sequence, fastrand::u64(..));
        buffer.sequence = buffer.sequence.wrapping_add(1);
        drop(buffer);
        let mut record = AuditRecord::new(audit_id, time, id, operation);
        record.host = Some(self.host.clone());
        env!("CARGO_PKG_VERSION").clone_into(&mut record.version);
        fill(&mut record);
        record
    }

    /// Keeps the record of an operation, if such operations are recorded.
    pub(crate) fn keep(self: &Arc<Self>, operation: Operation, record: AuditRecord) {
        if self.wants(operation, record.outcome) {
            self.push(record);
        }
    }

    fn wants(&self, operation: Operation, outcome: AuditOutcome) -> bool {
        match self.options.operations {
            AuditedOperations::All => operation != Operation::AuditLog,
            AuditedOperations::Changes => !operation.reads() || outcome == AuditOutcome::Failed,
            AuditedOperations::Nothing => false,
        }
    }

    /// Keeps the record of an operation that has not ended yet, if there is room. Returns whether it is to be written
    /// now, with [`flush_within`](Self::flush_within).
    pub(crate) fn announce(self: &Arc<Self>, operation: Operation, record: &AuditRecord) -> bool {
        let mut buffer = self.buffer();
        let has_room = buffer.records.len() < self.options.buffer_records_max;
        if !has_room || self.is_refused() || !self.wants(operation, record.outcome) {
            return false;
        }
        buffer.records.push_back(record.clone());
        self.ensure_flush_task(&mut buffer);
        true
    }

    /// Returns whether the store refuses the audit, as far as is known.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Keeps the record of an operation of the embedder's own.
    pub(crate) fn keep_own(self: &Arc<Self>, record: AuditRecord) {
        if self.options.operations != AuditedOperations::Nothing {
            self.push(record);
        }
    }

    /// Keeps the record until the store has it.
    fn push(self: &Arc<Self>, record: AuditRecord) {
        let mut buffer = self.buffer();
        let Some(record) = buffer.replace_announced(record) else { return };
        if buffer.records.len() >= self.options.buffer_records_max {
            buffer.dropped += 1;
            buffer.untold += 1;
            if buffer.untold == 1 {
                tracing::error!(
                    records = buffer.records.len(),
                    "the audit's buffer is full: records are dropped"
                );
            }
            return;
        }
        buffer.records.push_back(record);
        self.ensure_flush_task(&mut buffer);
    }

    fn ensure_flush_task(self: &Arc<Self>, buffer: &mut Buffer) {
        let is_half_full = buffer.records.len() * 2 >= self.options.buffer_records_max;
        if is_half_full && !self.is_failing.load(Ordering::Relaxed) {
            self.half_full.notify_one();
        }
        // Without a runtime there is no background task.
        if !buffer.has_writer
            && let Ok(runtime) = Handle::try_current()
        {
            buffer.has_writer = true;
            let (writer, half_full) = (Writer(Arc::downgrade(self)), Arc::clone(&self.half_full));
            runtime.spawn(writer.run(half_full, self.options.write_within));
        }
    }

    /// Writes what waits at the time of the call, in its order. Returns the number of records it wrote itself.
    ///
    /// Concurrent callers commit as a group: the one that has the turn writes everything that waits, and the others
    /// find theirs written. Records that come later are not waited for, or a busy store would never let a caller go.
    pub(crate) async fn flush(&self) -> Result<u64, BridgeError> {
        let due = self.buffer().end();
        let _turn = self.turn.lock().await;
        let mut written = 0;
        loop {
            let batch = self.buffer().take_off(due);
            if batch.is_empty() {
                return Ok(written);
            }
            let in_flight = InFlight(self);
            let result = put(&*self.store, &batch).await;
            drop(in_flight);
            self.log_change(result.as_ref().err());
            result?;
            self.forget(batch.len());
            written += batch.len() as u64;
        }
    }

    /// The same where an operation waits for it: whatever comes of it, the operation is done.
    pub(crate) async fn flush_within(&self, limit: Duration) {
        if tokio::time::timeout(limit, self.flush()).await.is_err() {
            tracing::warn!(?limit, "the audit was not written in time and is kept");
        }
    }

    /// The store has the first records.
    fn forget(&self, records: usize) {
        let mut buffer = self.buffer();
        buffer.records.drain(..records);
        buffer.written += records as u64;
        let untold = std::mem::take(&mut buffer.untold);
        drop(buffer);
        if untold == 0 {
            return;
        }
        let operation = OperationName::new("audit_gap").expect("a constant is a name");
        let id = CorrelationId(fastrand::u128(1..));
        let record = self.record(operation, id, |record| {
            record.outcome = AuditOutcome::Incomplete;
            record.error = format!("{untold} records were dropped while the store was away");
            record.counts.insert("dropped_records".to_owned(), untold);
        });
        self.buffer().records.push_back(record);
    }

    /// Logs once that the audit waits, and once that it is written again.
    fn log_change(&self, error: Option<&BridgeError>) {
        let was_failing = self.is_failing.swap(error.is_some(), Ordering::Relaxed);
        self.is_refused.store(error.is_some_and(is_refusal), Ordering::Relaxed);
        match error {
            Some(error) if !was_failing => {
                tracing::warn!(%error, kind = error.kind(), advice = crate::advice(error), "the audit cannot be written and is kept");
            }
            None if was_failing => tracing::info!("the audit is written again"),
            _ => {}
        }
    }

    pub(crate) fn stats(&self) -> AuditStats {
        let buffer = self.buffer();
        AuditStats { buffered: buffer.records.len() as u64, written: buffer.written, dropped: buffer.dropped }
    }

    /// The kind of an error and its text, without the paths that the store is not to hold.
    pub(crate) fn redacted_error(&self, error: &BridgeError) -> (String, String) {
        let (root, mut text) = (root_cause(error), self.text(error));
        if !std::ptr::eq(root, error) {
            text = format!("{text}: {}", self.text(root));
        }
        (root.kind().to_owned(), text.chars().take(ERROR_CHARS_MAX).collect())
    }

    fn text(&self, error: &BridgeError) -> String {
        let (BridgeError::Source { path, .. } | BridgeError::OutOfOrder { path, .. }) = error else {
            return error.to_string();
        };
        let recorded = self.project_names.recorded_path(path);
        error.to_string().replace(&*path.to_string_lossy(), &recorded.to_string_lossy())
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn put(store: &dyn TokenStore, records: &[AuditRecord]) -> Result<(), BridgeError> {
    require(store.audit(), "write the audit")?.put_audit(records).await
}

impl Buffer {
    /// Returns the number of records that have been written when everything that waits now is written, with the
    /// record of a gap that will follow it.
    fn end(&self) -> u64 {
        self.written + self.records.len() as u64 + u64::from(self.untold > 0)
    }

    /// Returns the next records to be written, none once this number is written. Until [`InFlight`] is dropped they
    /// stay as they are.
    fn take_off(&mut self, due: u64) -> Vec<AuditRecord> {
        if self.written >= due {
            return Vec::new();
        }
        let batch: Vec<_> = self.records.iter().take(BATCH_RECORDS).cloned().collect();
        self.in_flight = batch.len();
        batch
    }

    /// Puts the record in the place of its announcement, where that waits still; else it is the answer. One that is
    /// being written leaves the buffer when the store has it, and would take what replaced it along.
    fn replace_announced(&mut self, record: AuditRecord) -> Option<AuditRecord> {
        let in_flight = self.in_flight;
        match self.records.iter_mut().skip(in_flight).find(|waiting| waiting.id == record.id) {
            Some(waiting) => {
                *waiting = record;
                None
            }
            None => Some(record),
        }
    }
}

/// Records are being written, until the writer has an answer or gives up.
struct InFlight<'a>(&'a AuditTrail);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.buffer().in_flight = 0;
    }
}

impl Drop for AuditTrail {
    fn drop(&mut self) {
        let records = self.buffer().records.len();
        if records > 0 {
            tracing::warn!(records, "records of the audit are lost: `shutdown` was not called");
        }
    }
}

/// Returns the cause of a failed operation: the store's error under a backfill's.
pub(crate) fn root_cause(error: &BridgeError) -> &BridgeError {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref::<BridgeError>()).map_or(error, root_cause)
}

/// Returns whether an operator must act before the store takes the audit.
fn is_refusal(error: &BridgeError) -> bool {
    use StorageKind::{PermissionDenied, Schema, Unsupported};
    matches!(error, BridgeError::Storage { kind: PermissionDenied | Schema | Unsupported, .. })
}

/// The shortest pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause while the store refuses the audit.
const REFUSED_PAUSE_MAX: Duration = Duration::from_mins(5);

/// Writes in the background until nothing is left. Does not keep the bridge alive.
struct Writer(Weak<AuditTrail>);

impl Writer {
    async fn run(self, half_full: Arc<Notify>, write_within: Duration) {
        let mut pause = write_within;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = half_full.notified() => {}
            }
            let Some(trail) = self.0.upgrade() else { return };
            // A failure has been logged, and is retried.
            pause = match trail.flush().await {
                Ok(_) => write_within,
                Err(error) if is_refusal(&error) => {
                    (pause * 2).clamp(PAUSE_MIN, REFUSED_PAUSE_MAX.max(write_within))
                }
                Err(_) => write_within.max(PAUSE_MIN),
            };
            let mut buffer = trail.buffer();
            if buffer.records.is_empty() {
                buffer.has_writer = false;
                return;
            }
        }
    }
}

impl Drop for Writer {
    /// Its runtime may have ended; the next record finds another.
    fn drop(&mut self) {
        if let Some(trail) = self.0.upgrade() {
            trail.buffer().has_writer = false;
        }
    }
}
