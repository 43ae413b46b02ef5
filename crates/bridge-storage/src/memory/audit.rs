//! The audit in memory.

use async_trait::async_trait;
use bridge_core::{AuditFilter, AuditRecord, BridgeError};

use super::InMemoryStore;
use crate::capabilities::AuditStore;

#[async_trait]
impl AuditStore for InMemoryStore {
    async fn put_audit(&self, records: &[AuditRecord]) -> Result<(), BridgeError> {
        let mut audit = self.audit_table();
        audit.extend(records.iter().map(|record| ((record.time, record.id), record.clone())));
        Ok(())
    }

    async fn audit_records(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError> {
        let audit = self.audit_table();
        let admitted = audit.values().rev().filter(|record| filter.admits(record));
        Ok(admitted.take(filter.limit as usize).cloned().collect())
    }
}
