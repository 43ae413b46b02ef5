//! Runs operations: with a correlation id, a span, a log event, metrics and a record in the audit.

use std::sync::Arc;

use bridge_analysis::platform::return_freed_memory;
use bridge_core::{
    Actor, AuditOutcome, BridgeError, BridgeResult, CorrelationId, OperationName, SessionId,
    SharedAssignment, Stopwatch,
};
use bridge_storage::with_correlation_id;
use tracing::Instrument;

use crate::telemetry::Telemetry;
use crate::telemetry::audit::RecordStorage;
use crate::telemetry::audit_summary::{AuditSummary, ToAuditSummary};
use crate::telemetry::current::{Caller, CurrentOperation, within};
use crate::telemetry::log;
use crate::telemetry::operation::Operation;

/// Runs operations and records them.
#[derive(Debug, Clone)]
pub(crate) struct OperationRunner {
    pub(crate) telemetry: Arc<Telemetry>,
    /// The caller's correlation id for all operations; if it is `None`, each gets its own.
    pub(crate) correlation_id: Option<CorrelationId>,
    /// Who asks for the operations.
    pub(crate) actor: Option<Actor>,
    /// The assignment of what they store.
    pub(crate) assignment: SharedAssignment,
}

impl OperationRunner {
    pub(crate) fn next_correlation_id(&self) -> CorrelationId {
        self.correlation_id.unwrap_or_else(|| self.telemetry.correlation_ids.next())
    }

    /// Records an operation of the embedder.
    pub(crate) fn record_own(
        &self,
        operation: &OperationName,
        session: Option<&SessionId>,
        result: &BridgeResult,
    ) {
        let Telemetry { audit, metrics, .. } = &*self.telemetry;
        let record = audit.record(operation.clone(), self.next_correlation_id(), |record| {
            record.actor.clone_from(&self.actor);
            record.session = session.cloned().or_else(|| result.session_id.clone());
            (record.records_stored, record.new_responses) = (result.records_stored, result.new_responses);
            (record.tokens, record.duration) = (result.total_tokens, result.processing_time);
            if !result.success {
                record.outcome = AuditOutcome::Failed;
                record.error = format!("{} errors are in the result", result.errors.len());
            }
        });
        metrics.operation_ended(Operation::Other, record.outcome, record.duration);
        log::log_operation(&record, Operation::Other, None);
        audit.keep_own(&record);
    }

    /// Runs the work as this operation.
    pub(crate) async fn run<T: ToAuditSummary>(
        &self,
        operation: Operation,
        session: Option<&SessionId>,
        work: impl Future<Output = Result<T, BridgeError>>,
    ) -> Result<T, BridgeError> {
        // Boxed: these futures are large, and each layer around one would copy it onto the stack.
        let work = Box::pin(work);
        let id = self.next_correlation_id();
        let span = operation.span(session, id, self.actor.as_ref());
        let caller = Caller { id, actor: self.actor.clone(), assignment: self.assignment.clone() };
        let current = Arc::new(CurrentOperation::new(&self.telemetry, operation, session, caller));
        let guard = OperationGuard { current: Arc::clone(&current), watch: Stopwatch::start(), ended: false };
        async move {
            let result = within(Arc::clone(&current), work).await;
            let result = result.map_err(|error| error.with_correlation(id, session));
            let place = guard.end(&result);
            if current.needs_flush(place, &result) {
                let audit = &self.telemetry.audit;
                with_correlation_id(id, audit.flush_within(self.telemetry.flush_deadline)).await;
            }
            if current.is_large() {
                // It takes a few milliseconds, and a shutdown of the runtime meanwhile is harmless.
                let _ = tokio::task::spawn_blocking(return_freed_memory).await;
            }
            result
        }
        .instrument(span)
        .await
    }
}

/// Records how an operation ends. If it is dropped before its end, the operation was cancelled.
struct OperationGuard {
    current: Arc<CurrentOperation>,
    watch: Stopwatch,
    ended: bool,
}

impl OperationGuard {
    /// Returns where the record is.
    fn end<T: ToAuditSummary>(mut self, result: &Result<T, BridgeError>) -> RecordStorage {
        self.ended = true;
        match result {
            Ok(value) => {
                let summary = value.audit_summary();
                self.record(summary.outcome(), summary, None)
            }
            Err(error) => self.record(AuditOutcome::Failed, AuditSummary::default(), Some(error)),
        }
    }

    fn record(
        &self,
        outcome: AuditOutcome,
        summary: AuditSummary,
        error: Option<&BridgeError>,
    ) -> RecordStorage {
        let CurrentOperation { telemetry, operation, session, caller, announced, .. } = &*self.current;
        let (duration, written) = (self.watch.elapsed(), self.current.written());
        telemetry.metrics.operation_ended(*operation, outcome, duration);
        if let Some(error) = error {
            telemetry.metrics.failed(error);
        } else if operation.refreshes() && outcome == AuditOutcome::Succeeded {
            telemetry.metrics.refreshed(telemetry.clock.now());
        }
        let audit = &telemetry.audit;
        let record = audit.record(operation.audit_name(), caller.id, |record| {
            record.actor.clone_from(&caller.actor);
            if let Some(announced) = announced.get() {
                (record.id, record.time) = (announced.id, announced.time);
            }
            record.session = session.clone().or(summary.session);
            record.outcome = outcome;
            written.set_in(record);
            record.tokens = summary.tokens;
            record.counts = summary.counts;
            record.duration = duration;
            record.error = summary.incomplete.unwrap_or_default();
            if let Some(error) = error {
                (record.error_kind, record.error) = audit.redacted_error(error);
            }
        });
        log::log_operation(&record, *operation, error);
        let is_kept = telemetry.heartbeat.keeps(summary.is_idle, telemetry.clock.now());
        if is_kept { audit.keep(*operation, &record) } else { RecordStorage::Nowhere }
    }
}

impl Drop for OperationGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.record(AuditOutcome::Cancelled, AuditSummary::default(), None);
        }
    }
}
