//! When each host of a store was last seen.

use std::time::Duration;

use bridge_core::{BridgeError, HostName, Timestamp};
use bridge_storage::{HostActivity, TokenStore, require};

use super::DashboardBridgeAdapter;
use crate::telemetry::operation::Operation;

/// Time after which the client deletes a transcript. What a host has not stored by then is lost, so it is not waited
/// for.
const FORGOTTEN: Duration = Duration::from_hours(24 * 30);

/// When a host of the store was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFreshness {
    /// The host.
    pub host: HostName,
    /// The number of its files and streams in the store.
    pub sources: u64,
    /// When something of one of them was read last.
    pub last_read: Option<Timestamp>,
    /// When it read something, or ended an operation that is on record.
    pub last_seen: Timestamp,
    /// The time since then.
    pub silent_for: Duration,
}

impl HostFreshness {
    fn of(activity: HostActivity, now: Timestamp) -> Option<Self> {
        let last_seen = activity.last_seen()?;
        let HostActivity { host, sources, last_read, .. } = activity;
        Some(Self { host, sources, last_read, last_seen, silent_for: now.saturating_since(last_seen) })
    }

    /// Returns whether the host was not seen for longer than this, and not for so long that its client has deleted what
    /// it has not stored: 30 days.
    #[must_use]
    pub fn is_silent(&self, limit: Duration) -> bool {
        self.silent_for > limit && self.silent_for < FORGOTTEN
    }
}

impl DashboardBridgeAdapter {
    /// Returns each host of the store and when it was last seen, by name. Any number of hosts may share a store.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{sync::Arc, time::Duration};
    /// # use bridge::{AnalyzerOptions, EnhancedTokenDatabaseBridge, HostName, SyncOptions, TokenStore, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    /// # std::fs::write(folder.path().join("s.jsonl"), line)?;
    /// let store: Arc<dyn TokenStore> = Arc::new(InMemoryStore::default());
    /// for name in ["laptop", "workstation"] {
    ///     let mut analyzer = AnalyzerOptions::default();
    ///     analyzer.host = Some(HostName::new(name)?);
    ///     let bridge = EnhancedTokenDatabaseBridge::builder(store.clone())
    ///         .sources([folder.path()])
    ///         .analyzer(analyzer)
    ///         .build();
    ///     let _ = bridge.sync_all_sessions(SyncOptions::default()).await?;
    /// }
    /// let bridge = EnhancedTokenDatabaseBridge::builder(store).build();
    /// let hosts = bridge.dashboard().hosts().await?;
    /// assert_eq!(hosts.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), ["laptop", "workstation"]);
    /// assert!(hosts.iter().all(|host| !host.is_silent(Duration::from_hours(1))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer, or does not know its hosts
    /// ([`StoreCapabilities::hosts`](bridge_storage::StoreCapabilities::hosts)).
    pub async fn hosts(&self) -> Result<Vec<HostFreshness>, BridgeError> {
        let work = host_freshness(&*self.store, self.clock.now());
        let hosts = self.run(Operation::Hosts, work).await?;
        if let Some(runner) = &self.runner {
            runner.telemetry.metrics.hosts(&hosts);
        }
        Ok(hosts)
    }
}

/// Returns each host of the store and when it was last seen, by name.
pub(crate) async fn host_freshness(
    store: &dyn TokenStore,
    now: Timestamp,
) -> Result<Vec<HostFreshness>, BridgeError> {
    let hosts = require(store.hosts(), "read the activity of hosts")?;
    let activity = hosts.host_activity(now.saturating_sub(FORGOTTEN)).await?;
    Ok(activity.into_iter().filter_map(|activity| HostFreshness::of(activity, now)).collect())
}
