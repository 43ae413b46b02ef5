//! Reads the audit.

use bridge_core::{AuditFilter, AuditRecord, BridgeError};
use bridge_storage::require;

use crate::ingest::Ingest;

/// Returns the records that the filter admits, after writing those that wait.
pub(crate) async fn records(ingest: &Ingest, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError> {
    filter.time.validated()?;
    let telemetry = &ingest.telemetry;
    telemetry.audit.flush_within(telemetry.flush_deadline).await;
    require(ingest.store.audit(), "read the audit")?.audit_records(filter).await
}
