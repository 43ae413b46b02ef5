//! The audit.

use std::collections::BTreeMap;

use bridge_core::{
    Actor, AuditId, AuditOutcome, AuditRecord, CorrelationId, HostName, OperationName, SessionId, Timestamp,
};
use serde::Serialize;

use super::sums::Count;

#[derive(Serialize)]
pub(in crate::web) struct AuditPage {
    records: Vec<AuditEntry>,
    /// The parameter `after` of the next page, if there is one.
    next: Option<String>,
}

impl AuditPage {
    pub(in crate::web) fn new(records: Vec<AuditRecord>, next: Option<String>) -> Self {
        Self { records: records.into_iter().map(AuditEntry::from).collect(), next }
    }
}

#[derive(Serialize)]
struct AuditEntry {
    id: AuditId,
    time: Timestamp,
    correlation_id: CorrelationId,
    operation: OperationName,
    actor: Option<Actor>,
    session: Option<SessionId>,
    outcome: AuditOutcome,
    forced: bool,
    records_stored: Count,
    new_responses: Count,
    tokens: Count,
    tokens_replaced: Count,
    tokens_written: Count,
    counts: BTreeMap<String, Count>,
    duration_seconds: f64,
    error_kind: String,
    error: String,
    host: Option<HostName>,
    version: String,
}

impl From<AuditRecord> for AuditEntry {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            time: record.time,
            correlation_id: record.correlation_id,
            operation: record.operation,
            actor: record.actor,
            session: record.session,
            outcome: record.outcome,
            forced: record.forced,
            records_stored: Count(record.records_stored),
            new_responses: Count(record.new_responses),
            tokens: Count(record.tokens),
            tokens_replaced: Count(record.tokens_replaced),
            tokens_written: Count(record.tokens_written),
            counts: record.counts.into_iter().map(|(name, count)| (name, Count(count))).collect(),
            duration_seconds: record.duration.as_secs_f64(),
            error_kind: record.error_kind,
            error: record.error,
            host: record.host,
            version: record.version,
        }
    }
}
