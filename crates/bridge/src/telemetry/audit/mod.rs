//! The audit: a record of every operation, kept until the store has it.
//!
//! An operation that stores something is on record before it returns, so that a killed program leaves a record of each
//! row that it stored. A separate insert for each record would make storing an analysis half as slow again. Therefore
//! records wait in a [spool](Spool), in files that outlive the program, and are written to the store in groups.
//!
//! Without a spool, records wait in memory. Then an operation is announced: a record of what it is about to store is
//! written to the store along with its rows, and the record of its outcome replaces it later, under the same id.
//! A spool gets the announcement too: the rows may be stored although the program is killed before the operation ends.

mod buffer;
mod flush;
mod options;
mod redacted;
mod spool;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bridge_analysis::ProjectNames;
use bridge_core::{
    AuditId, AuditOutcome, AuditRecord, BridgeError, Clock, CorrelationId, HostName, OperationName,
};
use bridge_storage::TokenStore;
use tokio::sync::Notify;

use crate::telemetry::operation::Operation;
use buffer::Buffer;
pub use options::{AuditOptions, AuditStats, AuditedOperations};
use redacted::redacted;
pub(crate) use redacted::root_cause;
use spool::{Appended, Spool};
use writer::Writer;

/// The records that the store does not have yet.
#[derive(Debug)]
pub(crate) struct AuditTrail {
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    host: HostName,
    project_names: ProjectNames,
    options: AuditOptions,
    spool: Option<Arc<Spool>>,
    state: Mutex<State>,
    /// Serializes writers.
    turn: tokio::sync::Mutex<()>,
    half_full: Arc<Notify>,
    is_failing: AtomicBool,
    /// True while the store accepts no audit until an administrator acts. No operation waits for that.
    is_refused: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    buffer: Buffer,
    sequence: u32,
    written: u64,
    dropped: u64,
    damaged: u64,
    /// Lost records that no `audit_gap` record reports yet.
    unreported: Gap,
    /// True while a background task writes.
    has_writer: bool,
}

/// Counters of lost records.
#[derive(Debug, Default)]
struct Gap {
    dropped: u64,
    damaged: u64,
}

/// The place where a record waits for the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordStorage {
    /// In a file: it outlives the program.
    Spool,
    /// In memory.
    Memory,
    /// It is not audited, or there was no room.
    Nowhere,
}

impl AuditTrail {
    pub(crate) fn new(
        store: Arc<dyn TokenStore>,
        clock: Arc<dyn Clock>,
        host: HostName,
        project_names: ProjectNames,
        mut options: AuditOptions,
    ) -> Arc<Self> {
        if store.audit().is_none() {
            options.operations = AuditedOperations::Nothing;
        }
        let spool = open_spool(&options).map(Arc::new);
        let has_others = spool.as_ref().is_some_and(|spool| spool.has_others());
        let trail = Arc::new(Self {
            store,
            clock,
            host,
            project_names,
            options,
            spool,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            half_full: Arc::default(),
            is_failing: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
        });
        if has_others {
            Writer::ensure(&trail);
        }
        trail
    }

    /// Returns a record with the current time.
    pub(crate) fn record(
        &self,
        operation: OperationName,
        id: CorrelationId,
        fill: impl FnOnce(&mut AuditRecord),
    ) -> AuditRecord {
        let mut state = self.state();
        let time = self.clock.now();
        let audit_id = AuditId::new(time, state.sequence, fastrand::u64(..));
        state.sequence = state.sequence.wrapping_add(1);
        drop(state);
        let mut record = AuditRecord::new(audit_id, time, id, operation);
        record.host = Some(self.host.clone());
        env!("CARGO_PKG_VERSION").clone_into(&mut record.version);
        fill(&mut record);
        record
    }

    /// Keeps the record of an operation, if such operations are recorded.
    pub(crate) fn keep(self: &Arc<Self>, operation: Operation, record: &AuditRecord) -> RecordStorage {
        if self.wants(operation, record.outcome) { self.push(record) } else { RecordStorage::Nowhere }
    }

    fn wants(&self, operation: Operation, outcome: AuditOutcome) -> bool {
        match self.options.operations {
            AuditedOperations::All => operation != Operation::AuditLog,
            AuditedOperations::Changes => !operation.reads() || outcome == AuditOutcome::Failed,
            AuditedOperations::Nothing => false,
        }
    }

    /// Keeps the record of an operation that has not ended yet, if there is room. In memory it helps only if it is
    /// written now, with [`flush_within`](Self::flush_within).
    pub(crate) fn announce(self: &Arc<Self>, operation: Operation, record: &AuditRecord) -> RecordStorage {
        if !self.wants(operation, record.outcome) {
            return RecordStorage::Nowhere;
        }
        let place = match self.spool.as_ref().map(|spool| spool.announce(record)) {
            Some(Appended::Kept) => RecordStorage::Spool,
            Some(Appended::Full) => RecordStorage::Nowhere,
            Some(Appended::Failed) | None if self.is_refused() => RecordStorage::Nowhere,
            Some(Appended::Failed) | None => self.buffer(record),
        };
        if place != RecordStorage::Nowhere {
            self.wake_writer();
        }
        place
    }

    /// Returns whether the store refused the audit when it was last written.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Keeps the record of an operation of the embedder's own.
    pub(crate) fn keep_own(self: &Arc<Self>, record: &AuditRecord) {
        if self.options.operations != AuditedOperations::Nothing {
            self.push(record);
        }
    }

    /// Keeps the record until the store has it.
    fn push(self: &Arc<Self>, record: &AuditRecord) -> RecordStorage {
        if self.state().buffer.replace_announced(record) {
            return RecordStorage::Memory;
        }
        let place = match self.spool.as_ref().map(|spool| spool.append(record)) {
            Some(Appended::Kept) => RecordStorage::Spool,
            Some(Appended::Full) => RecordStorage::Nowhere,
            Some(Appended::Failed) | None => self.buffer(record),
        };
        if place == RecordStorage::Nowhere {
            self.drop_record();
        } else {
            self.wake_writer();
        }
        place
    }

    /// Keeps the record in memory, if there is room.
    fn buffer(&self, record: &AuditRecord) -> RecordStorage {
        let buffer = &mut self.state().buffer;
        if buffer.len() >= self.options.buffer_records_max {
            return RecordStorage::Nowhere;
        }
        buffer.push(record.clone());
        RecordStorage::Memory
    }

    fn drop_record(&self) {
        let mut state = self.state();
        state.dropped += 1;
        state.unreported.dropped += 1;
        if state.unreported.dropped == 1 {
            tracing::error!("audit buffer full, dropping records");
        }
    }

    fn wake_writer(self: &Arc<Self>) {
        let is_half_full = self.state().buffer.len() * 2 >= self.options.buffer_records_max
            || self.spool.as_ref().is_some_and(|spool| spool.is_half_full());
        if is_half_full && !self.is_failing.load(Ordering::Relaxed) {
            self.half_full.notify_one();
        }
        Writer::ensure(self);
    }

    pub(crate) fn stats(&self) -> AuditStats {
        let spooled = self.spool.as_ref().map(|spool| spool.size()).unwrap_or_default();
        let state = self.state();
        AuditStats {
            buffered: state.buffer.len() as u64 + spooled.records,
            written: state.written,
            dropped: state.dropped,
            damaged: state.damaged,
            spool_bytes: spooled.bytes,
        }
    }

    /// Returns an error's kind and text as the audit holds them.
    pub(crate) fn redacted_error(&self, error: &BridgeError) -> (String, String) {
        redacted(error, &self.project_names)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the spool, if one is configured and its folder is writable.
fn open_spool(options: &AuditOptions) -> Option<Spool> {
    if options.operations == AuditedOperations::Nothing || options.spool_bytes_max == 0 {
        return None;
    }
    let Some(folder) = &options.spool_dir else {
        tracing::info!("no audit spool: storing waits until the database has the audit record");
        return None;
    };
    let opened = Spool::open(folder, options.spool_bytes_max);
    if let Err(error) = &opened {
        tracing::warn!(%error, "cannot open the audit spool: storing waits until the database has the audit record");
    }
    opened.ok()
}

impl Drop for AuditTrail {
    fn drop(&mut self) {
        let records = self.state().buffer.len();
        if records > 0 {
            tracing::warn!(records, "audit records lost: `shutdown` was not called");
        }
    }
}
