//! The audit and the metrics, as an embedder and an operator use them.

use bridge_core::{
    AuditFilter, AuditOutcome, AuditRecord, BridgeError, BridgeResult, OperationName, SessionId,
};
use bridge_storage::require;

use crate::EnhancedTokenDatabaseBridge;
use crate::telemetry::audit::AuditStats;
use crate::telemetry::metrics::{BridgeMetrics, Snapshot};
use crate::telemetry::operation::Operation;

impl EnhancedTokenDatabaseBridge {
    /// Puts an operation of the embedder's own on record; the bridge records its own operations itself. Never
    /// waits and never fails: the record is kept until the store has it.
    ///
    /// The texts of the result's errors are recorded in their number only, for the bridge cannot know what they hold.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, StoreOptions, storage::InMemoryStore};
    /// # use bridge::core::{AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp};
    /// use bridge::core::{AuditFilter, OperationName};
    ///
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// # let (session, time) = (SessionId::new("s")?, "2026-01-31T12:00:00Z".parse::<Timestamp>()?);
    /// # let mut response = ResponseUsage::new(ResponseKey(1), session.clone(), time);
    /// # response.counts.output = 900;
    /// # let analysis = EnhancedTokenAnalysis::from_responses(AnalysisId::new("a")?, session.clone(), time, vec![response])?;
    /// let result = bridge.store_enhanced_analysis(&analysis, &StoreOptions::default()).await?;
    /// bridge.log_bridge_operation(&OperationName::new("import_invoice")?, Some(&session), &result);
    ///
    /// let audit = bridge.audit_log(&AuditFilter::default().with_session(session)).await?;
    /// let names: Vec<_> = audit.iter().map(|record| (record.operation.as_str(), record.tokens)).collect();
    /// assert_eq!(names, [("import_invoice", 900), ("store_enhanced_analysis", 900)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn log_bridge_operation(
        &self,
        operation: &OperationName,
        session: Option<&SessionId>,
        result: &BridgeResult,
    ) {
        let inner = &self.inner;
        let id = self.correlation_id.unwrap_or_else(|| inner.correlation_ids.next());
        let record = inner.audit.record(operation.clone(), id, |record| {
            record.session = session.cloned().or_else(|| result.session_id.clone());
            (record.records_stored, record.new_responses) = (result.records_stored, result.new_responses);
            (record.tokens, record.duration) = (result.total_tokens, result.processing_time);
            if !result.success {
                record.outcome = AuditOutcome::Failed;
                record.error = format!("{} errors stand in the result", result.errors.len());
            }
        });
        inner.metrics.operation_ended(Operation::Other, record.outcome, record.duration);
        crate::telemetry::log::tell(&record, Operation::Other, None);
        inner.audit.keep_own(record);
    }

    /// The records of the audit that the filter admits, newest first. What is not written yet is written before,
    /// if the store takes it.
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer; [`BridgeError::InvertedRange`] where the filter's time ends
    /// before it starts.
    pub async fn audit_log(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError> {
        self.run(Operation::AuditLog, None, async {
            filter.time.validated()?;
            self.inner.audit.flush_within(self.inner.store_deadline).await;
            require(self.inner.store.audit(), "read the audit")?.audit_records(filter).await
        })
        .await
    }

    /// Writes what is on record and not in the store yet; answers with the number of records. They are written by
    /// themselves within [`AuditOptions::write_within`](crate::AuditOptions::write_within).
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// bridge.get_stored_token_summaries(None, 7, false).await?;
    /// assert_eq!(bridge.flush_audit().await?, 1);
    /// assert_eq!(bridge.flush_audit().await?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not take them; they are kept.
    pub async fn flush_audit(&self) -> Result<u64, BridgeError> {
        self.inner.audit.flush().await
    }

    /// To be called before the program ends: nothing that is on record stays behind. The bridge can still be used.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// bridge.get_stored_token_summaries(None, 7, false).await?;
    /// bridge.shutdown().await?;
    /// assert_eq!((bridge.audit_stats().written, bridge.audit_stats().buffered), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not take what is on record.
    pub async fn shutdown(&self) -> Result<(), BridgeError> {
        self.flush_audit().await?;
        self.export_metrics();
        Ok(())
    }

    /// How far the audit is.
    #[must_use]
    pub fn audit_stats(&self) -> AuditStats {
        self.inner.audit.figures()
    }

    /// Returns the specification's metrics of this bridge, as they stand.
    #[must_use]
    pub fn metrics(&self) -> BridgeMetrics {
        self.inner.metrics.read_back(self.inner.clock.now())
    }

    /// Brings the metrics up to date that are counted elsewhere: of caches, pool and audit, and the data's
    /// freshness. [`monitor`](Self::monitor) and a bridge that [watches itself](crate::BridgeBuilder::watch_itself) do it at
    /// intervals; without them, call it when the metrics are collected.
    pub fn export_metrics(&self) {
        self.inner.metrics.export(&Snapshot {
            now: self.inner.clock.now(),
            summaries: self.cache_stats(),
            analyses: self.analysis_cache_stats(),
            store: self.inner.store.stats(),
            audit: self.audit_stats(),
        });
    }
}
