//! The operation that the current task runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bridge_core::{
    Actor, AuditOutcome, AuditRecord, BridgeError, CorrelationId, SessionId, SharedAssignment,
};
use bridge_storage::{current_correlation_id, with_correlation_id};
use tracing::{Instrument, Span};

use crate::telemetry::Telemetry;
use crate::telemetry::audit::{RecordStorage, root_cause};
use crate::telemetry::operation::Operation;
use crate::telemetry::write_counters::WriteCounters;

/// The request that an operation serves.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) id: CorrelationId,
    pub(crate) actor: Option<Actor>,
    /// The assignment of the rows that it stores.
    pub(crate) assignment: SharedAssignment,
}

/// A running operation, and its writes so far, which count even if the operation fails or is dropped.
#[derive(Debug)]
pub(crate) struct CurrentOperation {
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) operation: Operation,
    pub(crate) session: Option<SessionId>,
    pub(crate) caller: Caller,
    /// The record that announced the operation while it runs.
    pub(crate) announced: OnceLock<AuditRecord>,
    written: Mutex<WriteCounters>,
    /// It has read so much that a lot of freed memory remains allocated.
    is_large: AtomicBool,
}

impl CurrentOperation {
    pub(crate) fn new(
        telemetry: &Arc<Telemetry>,
        operation: Operation,
        session: Option<&SessionId>,
        caller: Caller,
    ) -> Self {
        Self {
            telemetry: Arc::clone(telemetry),
            operation,
            session: session.cloned(),
            caller,
            announced: OnceLock::new(),
            written: Mutex::default(),
            is_large: AtomicBool::new(operation.moves_the_store()),
        }
    }

    pub(crate) fn written(&self) -> WriteCounters {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the record of the ended operation is to be written before the call returns. Records of forced
    /// updates and of administrative operations are, unless the store is unreachable. Those of other writes are if they
    /// wait in memory, and the announcement does not say the same.
    pub(crate) fn needs_flush<T>(&self, place: RecordStorage, result: &Result<T, BridgeError>) -> bool {
        let cause = result.as_ref().err().map(root_cause);
        let is_away = matches!(cause, Some(BridgeError::Connection { .. }));
        let written = self.written();
        let is_due = match self.announced.get() {
            _ if self.operation.is_administrative() || written.forced => true,
            _ if place == RecordStorage::Spool || self.telemetry.audit.is_refused() => false,
            Some(announced) => result.is_err() || WriteCounters::of_record(announced) != written,
            None => written.records > 0,
        };
        is_due && !is_away
    }

    pub(crate) fn is_large(&self) -> bool {
        self.is_large.load(Ordering::Relaxed)
    }
}

tokio::task_local! {
    static CURRENT: Arc<CurrentOperation>;
}

/// Runs work as part of the operation.
pub(crate) async fn within<T>(operation: Arc<CurrentOperation>, work: impl Future<Output = T>) -> T {
    with_correlation_id(operation.caller.id, CURRENT.scope(operation, work)).await
}

/// Returns the work as part of the running operation, whatever task it will run in.
pub(crate) fn in_current_operation<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let operation = current_correlation_id().and(CURRENT.try_with(Arc::clone).ok());
    let work = async move {
        match operation {
            Some(operation) => within(operation, work).await,
            None => work.await,
        }
    };
    work.instrument(Span::current())
}

/// Returns the assignment of the rows that the running operation stores.
pub(crate) fn current_assignment() -> SharedAssignment {
    CURRENT.try_with(|current| current.caller.assignment.clone()).unwrap_or_default()
}

/// Adds a write to the running operation. Does nothing outside of an operation.
pub(crate) fn record_write(written: &WriteCounters) {
    let _ = CURRENT.try_with(|current| {
        current.written.lock().unwrap_or_else(PoisonError::into_inner).add(written);
    });
}

/// After reading this many bytes of transcripts, an operation leaves a lot of freed memory allocated.
const LARGE_BYTES: u64 = 32 << 20;

/// Records how many bytes of transcripts the running operation has read.
pub(crate) fn record_read(bytes: u64) {
    if bytes >= LARGE_BYTES {
        let _ = CURRENT.try_with(|current| current.is_large.store(true, Ordering::Relaxed));
    }
}

/// The error text of a record while the operation runs.
const UNDER_WAY: &str =
    "recorded while the operation was running, with what it was about to store; its outcome is unknown";

/// Records the running operation before it ends, with what it plans to write or has written: in the spool at the first
/// poll, and without one in the store. Await it concurrently with the operation's last calls of the store, so that it
/// takes no extra time.
pub(crate) async fn announce(planned: WriteCounters, tokens: u64) {
    let Ok(current) = CURRENT.try_with(Arc::clone) else { return };
    if planned.records == 0 {
        return;
    }
    let audit = &current.telemetry.audit;
    let record = audit.record(current.operation.audit_name(), current.caller.id, |record| {
        record.actor.clone_from(&current.caller.actor);
        record.session.clone_from(&current.session);
        (record.outcome, record.tokens) = (AuditOutcome::Incomplete, tokens);
        UNDER_WAY.clone_into(&mut record.error);
        planned.set_in(record);
    });
    let place = audit.announce(current.operation, &record);
    if place != RecordStorage::Nowhere
        && current.announced.set(record).is_ok()
        && place == RecordStorage::Memory
    {
        audit.flush_within(current.telemetry.flush_deadline).await;
    }
}

/// Records the running operation with its writes so far.
pub(crate) async fn announce_written() {
    let written = CURRENT.try_with(|current| current.written()).unwrap_or_default();
    announce(written, written.tokens_written).await;
}
