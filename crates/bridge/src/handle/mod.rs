//! The bridge's handle. Each method delegates to [`operations`](crate::operations).

mod maintain;
mod observe;
mod read;
mod store;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use bridge_cache::BridgeCache;
use bridge_core::{Actor, Assignment, CorrelationId};
use bridge_storage::TokenStore;

use crate::dashboard::DashboardBridgeAdapter;
use crate::ingest::Ingest;
use crate::operations::background::Background;
use crate::operations::fallback::Fallback;
use crate::operations::lifetime::Lifetime;
use crate::operations::monitor::Monitoring;
use crate::operations::shutdown::{ShutdownRequest, StoreEngine};
use crate::telemetry::run::OperationRunner;

/// Bridges the analysis of transcripts to the database: analyzes, validates, stores and reads back.
///
/// A thin handle: cheap to clone, `Send` and `Sync`. Built by [`builder`](Self::builder).
#[derive(Debug, Clone)]
pub struct EnhancedTokenDatabaseBridge {
    pub(crate) parts: Arc<Parts>,
    pub(crate) runner: OperationRunner,
}

/// The parts that the clones of a handle share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) cache: Arc<BridgeCache>,
    pub(crate) fallback: Fallback,
    pub(crate) monitoring: Arc<Monitoring>,
    /// Kept, because it learns where the stored responses begin.
    pub(crate) dashboard: DashboardBridgeAdapter,
    /// The longest interruption that belongs to the active time of a session.
    pub(crate) activity_pause: Duration,
    /// Default number of rows of one insert of a batch.
    pub(crate) batch_size: usize,
    /// Maximum number of batches stored, or files synchronized, at once.
    pub(crate) parallel: usize,
    pub(crate) _background: Option<Background>,
    pub(crate) lifetime: Lifetime,
    /// The engine that `shutdown` closes.
    pub(crate) engine: Option<StoreEngine>,
}

impl EnhancedTokenDatabaseBridge {
    /// Returns a handle whose operations carry this correlation id, for example that of a request the caller serves.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{SummaryQuery, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::{AuditFilter, CorrelationId};
    ///
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let request: CorrelationId = "00f067aa0ba902b74bf92f3577b34da6".parse()?;
    /// let _ = bridge.with_correlation_id(request).get_stored_token_summaries(SummaryQuery::last_days(7)).await?;
    ///
    /// let audit = bridge.audit_log(&AuditFilter::default().with_correlation_id(request)).await?;
    /// assert_eq!(audit[0].operation.as_str(), "get_stored_token_summaries");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_correlation_id(&self, id: CorrelationId) -> Self {
        let runner = OperationRunner { correlation_id: Some(id), ..self.runner.clone() };
        Self { parts: Arc::clone(&self.parts), runner }
    }

    /// Returns a handle whose operations this actor asked for, who appears in log and audit: the user of a request that
    /// the caller serves, or the job that runs. Without one, operations have no actor.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{SummaryQuery, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::{Actor, AuditFilter};
    ///
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let alice = Actor::new("alice@example.com")?;
    /// let _ = bridge.with_actor(alice.clone()).get_stored_token_summaries(SummaryQuery::last_days(7)).await?;
    ///
    /// let audit = bridge.audit_log(&AuditFilter::default().with_actor(alice.clone())).await?;
    /// assert_eq!((audit.len(), &audit[0].actor), (1, &Some(alice)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_actor(&self, actor: Actor) -> Self {
        let runner = OperationRunner { actor: Some(actor), ..self.runner.clone() };
        Self { parts: Arc::clone(&self.parts), runner }
    }

    /// Returns a handle whose operations assign the responses that they store to this developer, this team and these
    /// labels, before what the [rules](crate::BridgeBuilder::assignments) say. For a service with a tenant for each
    /// call.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(async {
    /// use std::sync::Arc;
    ///
    /// use bridge::assignment::{Assignment, Labels};
    /// use bridge::storage::InMemoryStore;
    /// use bridge::stream::SessionEntries;
    /// use bridge::{DashboardQuery, Dimension, EnhancedTokenDatabaseBridge, SessionId};
    ///
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let acme = bridge.with_assignment(Assignment::of_labels(Labels::new([("tenant", "acme")])?));
    /// let entry = r#"{"type":"assistant","timestamp":"2026-01-31T12:00:00Z","requestId":"req_1","message":
    ///     {"id":"msg_01ABCDEFGHIJKLMNOPQRSTUV","stop_reason":"end_turn","usage":{"output_tokens":42}}}"#;
    /// let entries = SessionEntries::from_values([serde_json::from_str::<serde_json::Value>(entry)?])?;
    /// let _ = acme.append(&SessionId::new("s")?, entries).await?;
    ///
    /// let of_acme = DashboardQuery::default().with_values(Dimension::label("tenant")?, ["acme"]);
    /// assert_eq!(bridge.dashboard().get_dashboard_token_metrics(of_acme).await?.total_tokens, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_assignment(&self, assignment: Assignment) -> Self {
        let runner = OperationRunner { assignment: assignment.into(), ..self.runner.clone() };
        Self { parts: Arc::clone(&self.parts), runner }
    }

    /// Returns the store that the bridge reads and writes. Calls of it affect error rate, metrics and cache like the
    /// bridge's own, but are not operations: they are not on record.
    #[must_use]
    pub fn token_store(&self) -> &Arc<dyn TokenStore> {
        &self.parts.ingest.store
    }

    /// Shuts the bridge down, within 30 seconds or the deadline that is [given](ShutdownRequest::within): ends
    /// [`keep_in_sync`](Self::keep_in_sync), each [`monitor`](Self::monitor) and the bridge's own health checks after
    /// what they are doing, writes all waiting audit records, exports the metrics, and closes the embedded engine if a
    /// configuration started it. Await it before the program ends.
    ///
    /// Operations can be called afterwards, and start the engine again; tasks that have ended do not come back.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{sync::Arc, time::Duration};
    /// # use bridge::{SummaryQuery, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await?;
    /// if let Err(incomplete) = bridge.shutdown().within(Duration::from_secs(10)).await {
    ///     eprintln!("warning: {incomplete}");
    /// }
    /// assert_eq!((bridge.stats().audit.written, bridge.stats().audit.buffered), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`IncompleteShutdown`](crate::IncompleteShutdown) states what could not be done, for example because the store
    /// cannot be reached. Everything else was done.
    pub fn shutdown(&self) -> ShutdownRequest<'_> {
        ShutdownRequest::new(self)
    }

    pub(crate) fn ingest(&self) -> &Arc<Ingest> {
        &self.parts.ingest
    }

    /// Returns the time after which an unseen host is silent, if there is a limit.
    #[cfg(feature = "axum")]
    pub(crate) fn host_silent_max(&self) -> Option<Duration> {
        self.parts.monitoring.options.limits.host_silent_max
    }

    pub(crate) fn runner(&self) -> &OperationRunner {
        &self.runner
    }
}
