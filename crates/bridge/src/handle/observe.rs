//! Health, statistics and the log.

use bridge_core::{BridgeResult, HealthStatus, OperationName, SessionId};

use crate::operations::monitor::{Monitor, Observation};
use crate::telemetry::stats::BridgeStats;

use super::EnhancedTokenDatabaseBridge;

impl EnhancedTokenDatabaseBridge {
    /// Records an operation of the embedder in the audit; the bridge records its own operations itself. Never waits and
    /// never fails: the record is kept in the audit's spool or in memory until the store has it, or dropped and counted
    /// if there is no room.
    ///
    /// Of the result's errors only the number is recorded, because the bridge cannot know what their texts contain.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, StoreOptions, storage::InMemoryStore};
    /// # use bridge::{AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp};
    /// use bridge::{AuditFilter, OperationName};
    ///
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// # let (session, time) = (SessionId::new("s")?, "2026-01-31T12:00:00Z".parse::<Timestamp>()?);
    /// # let mut response = ResponseUsage::new(ResponseKey(1), session.clone(), time);
    /// # response.counts.output = 900;
    /// # let analysis = EnhancedTokenAnalysis::from_responses(AnalysisId::new("a")?, session.clone(), time, vec![response])?;
    /// let result = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await?;
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
        self.runner.record_own(operation, session, result);
    }

    /// Returns the statistics of the bridge since it was built.
    #[must_use]
    pub fn stats(&self) -> BridgeStats {
        self.parts.monitoring.stats()
    }

    /// Updates the metrics that are counted elsewhere: of caches, pool and audit, and the data's freshness.
    /// [`monitor`](Self::monitor) and a bridge that [watches itself](crate::BridgeBuilder::watch_itself) do this
    /// periodically; without them, call it when the metrics are collected.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bridge::EnhancedTokenDatabaseBridge;
    /// use bridge::storage::InMemoryStore;
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    ///
    /// let recorder = PrometheusBuilder::new().build_recorder();
    /// let store = Arc::new(InMemoryStore::default());
    /// let bridge =
    ///     metrics::with_local_recorder(&recorder, || EnhancedTokenDatabaseBridge::builder(store).build());
    /// bridge.export_metrics();
    /// assert!(recorder.handle().render().contains("bridge_cache_requests_total"));
    /// ```
    pub fn export_metrics(&self) {
        self.parts.monitoring.export_metrics();
    }

    /// Checks whether the bridge can do its work: whether the database answers and accepts writes, the transcripts can
    /// be read and are stored, operations succeed, connections are free, the circuit is closed and the disks have room.
    ///
    /// It never fails and is never late: a probe that does not answer within
    /// [`HealthLimits::probe_timeout`](crate::HealthLimits::probe_timeout) is reported as such, and does not delay the
    /// others. Nothing is written.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::{HealthState, Probe};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path(), "/nonexistent".as_ref()])
    ///     .build();
    /// let health = bridge.health_check().await;
    /// assert_eq!(health.overall, HealthState::Degraded);
    /// assert_eq!(health.probe(Probe::Connectivity).map(|probe| probe.state), Some(HealthState::Healthy));
    /// assert!(health.reasons()[0].starts_with("sources degraded: /nonexistent"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn health_check(&self) -> HealthStatus {
        self.parts.monitoring.health.run().await
    }

    /// Calls the observer with the bridge's health and with its statistics: once at the start, then as often as the
    /// bridge's [`MonitoringOptions`](crate::MonitoringOptions) say, until the returned value is dropped. An observer
    /// that panics is called again the next time; the metrics and the health check show it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::Observation;
    /// use bridge::{HealthState, Probe};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    /// let monitor = bridge.monitor(move |observation| drop(sender.send(observation)));
    /// let health = loop {
    ///     if let Some(Observation::Health(health)) = received.recv().await {
    ///         break health;
    ///     }
    /// };
    /// let connectivity = health.probe(Probe::Connectivity).map(|probe| probe.state);
    /// assert_eq!(connectivity, Some(HealthState::Healthy));
    /// drop(monitor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn monitor(&self, observer: impl Fn(Observation) + Send + Sync + 'static) -> Monitor {
        self.parts.monitoring.spawn(&self.parts.lifetime, observer)
    }
}
