//! The log event of an operation.

use bridge_core::{Actor, AuditOutcome, AuditRecord, BridgeError, SessionId, StorageKind};

use crate::telemetry::operation::Operation;

/// Logs how an operation ended: writes and failures at the level at which an operator searches for them, reads at debug
/// level.
pub(crate) fn log_operation(record: &AuditRecord, operation: Operation, error: Option<&BridgeError>) {
    // One macro for all levels, which must be constants.
    macro_rules! event {
        ($level:ident, $message:literal $(, $more:ident = $value:expr)*) => {
            tracing::$level!(
                operation = record.operation.as_str(),
                actor = record.actor.as_ref().map(Actor::as_str),
                session_id = record.session.as_ref().map(SessionId::as_str),
                tokens_stored = record.tokens,
                records_stored = record.records_stored,
                new_responses = record.new_responses,
                forced = record.forced,
                tokens_replaced = record.tokens_replaced,
                tokens_written = record.tokens_written,
                processing_time = record.duration.as_secs_f64(),
                correlation_id = %record.correlation_id,
                counts = ?record.counts,
                $($more = $value,)*
                $message
            )
        };
    }
    match (record.outcome, error) {
        (AuditOutcome::Failed, Some(error)) if is_callers_fault(error) => {
            event!(
                warn,
                "bridge operation failed",
                error = record.error.as_str(),
                kind = error.kind(),
                advice = crate::advice(error)
            );
        }
        (AuditOutcome::Failed, Some(error)) => {
            event!(
                error,
                "bridge operation failed",
                error = record.error.as_str(),
                kind = error.kind(),
                advice = crate::advice(error)
            );
        }
        (AuditOutcome::Cancelled, _) => event!(info, "bridge operation cancelled"),
        (AuditOutcome::Incomplete, _) => {
            event!(warn, "bridge operation partially completed", error = record.error.as_str());
        }
        _ if record.records_stored == 0 && (operation.reads() || operation.refreshes()) => {
            event!(debug, "bridge operation completed");
        }
        _ => event!(info, "bridge operation completed"),
    }
}

/// Returns whether the caller's input, or a rule of an embedder's store, is the reason rather than a fault.
fn is_callers_fault(error: &BridgeError) -> bool {
    matches!(
        error,
        BridgeError::Validation { .. }
            | BridgeError::UnknownSession { .. }
            | BridgeError::InvertedRange { .. }
            | BridgeError::OutOfOrder { .. }
            | BridgeError::Storage { kind: StorageKind::Denied | StorageKind::UnknownPrices, .. }
    )
}

/// Returns the error and its causes, as one clause.
pub(crate) fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
