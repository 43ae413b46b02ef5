//! The audit of operations.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{AuditFilter, AuditRecord, BridgeError};

/// Keeps the records of operations.
#[async_trait]
pub trait AuditStore: Send + Sync + fmt::Debug {
    /// Writes the records. When it returns, they are durable. Writing a record again does not duplicate it.
    async fn put_audit(&self, records: &[AuditRecord]) -> Result<(), BridgeError>;

    /// Returns the records that the filter admits, newest first: by time, then id.
    async fn audit_records(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError>;
}
