//! A store of the service's own: it counts the writes, and refuses them while the tenant is suspended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bridge::storage::{
    AuditStore, BackupStore, BreakdownRow, CheckpointStore, DashboardData, DashboardFilter, Dimension,
    HealthProbes, HostStore, IntegrityStore, PriceStore, ProjectStore, ReplacedRow, SourceFilter,
    SourceRecord, StoreCapabilities, SummaryFilter, UpsertOptions, UpsertOutcome,
};
use bridge::{
    BridgeError, ResponseFilter, ResponseUsage, StorageKind, StoreTotals, SupersededKey, TokenStore,
    TokenSummaryRecord,
};

/// A decorator of any store. Reads pass through; so do checkpoints and backups, which are an administrator's.
#[derive(Debug)]
pub struct TenantStore {
    inner: Arc<dyn TokenStore>,
    suspended: AtomicBool,
    writes: AtomicU64,
    refused: AtomicU64,
}

impl TenantStore {
    /// Returns the decorated store of a tenant that is not suspended.
    pub fn new(inner: Arc<dyn TokenStore>) -> Self {
        Self {
            inner,
            suspended: AtomicBool::new(false),
            writes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Refuses writes from now on, or accepts them again.
    pub fn suspend(&self, suspended: bool) {
        self.suspended.store(suspended, Ordering::Relaxed);
    }

    /// Returns the number of writes that were passed on and the number of those that were refused.
    pub fn writes(&self) -> (u64, u64) {
        (self.writes.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    fn admit(&self, operation: &'static str) -> Result<(), BridgeError> {
        if self.suspended.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(BridgeError::storage(StorageKind::Denied, operation, "the tenant is suspended"));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
impl TokenStore for TenantStore {
    async fn migrate(&self) -> Result<(), BridgeError> {
        self.inner.migrate().await
    }

    async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        self.admit("upsert")?;
        self.inner.upsert(rows, options).await
    }

    async fn cover(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError> {
        self.admit("cover")?;
        self.inner.cover(keys, options).await
    }

    async fn put_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        self.admit("put_sources")?;
        self.inner.put_sources(records).await
    }

    async fn sources(&self, filter: &SourceFilter) -> Result<Vec<SourceRecord>, BridgeError> {
        self.inner.sources(filter).await
    }

    async fn totals(&self, filter: &ResponseFilter) -> Result<StoreTotals, BridgeError> {
        self.inner.totals(filter).await
    }

    async fn breakdown(
        &self,
        dimension: Dimension,
        filter: &ResponseFilter,
        limit: Option<u32>,
    ) -> Result<Vec<BreakdownRow>, BridgeError> {
        self.inner.breakdown(dimension, filter, limit).await
    }

    async fn summaries(&self, filter: &SummaryFilter) -> Result<Vec<TokenSummaryRecord>, BridgeError> {
        self.inner.summaries(filter).await
    }

    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError> {
        self.inner.dashboard(filter).await
    }

    async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError> {
        self.inner.responses(filter).await
    }
}

impl StoreCapabilities for TenantStore {
    fn audit(&self) -> Option<&dyn AuditStore> {
        self.inner.audit()
    }

    fn checkpoints(&self) -> Option<&dyn CheckpointStore> {
        self.inner.checkpoints()
    }

    fn backup(&self) -> Option<&dyn BackupStore> {
        self.inner.backup()
    }

    fn probes(&self) -> Option<&dyn HealthProbes> {
        self.inner.probes()
    }

    fn hosts(&self) -> Option<&dyn HostStore> {
        self.inner.hosts()
    }

    fn integrity(&self) -> Option<&dyn IntegrityStore> {
        self.inner.integrity()
    }

    fn prices(&self) -> Option<&dyn PriceStore> {
        self.inner.prices()
    }

    fn projects(&self) -> Option<&dyn ProjectStore> {
        self.inner.projects()
    }
}

#[cfg(test)]
mod tests {
    use bridge::SessionId;
    use bridge::storage::InMemoryStore;

    use super::*;

    async fn fresh() -> TenantStore {
        TenantStore::new(Arc::new(InMemoryStore::default()))
    }

    bridge::storage::conformance_tests!(fresh: audit, checkpoints, hosts, integrity, prices, probes, projects);

    #[tokio::test]
    async fn suspended_it_refuses_writes_and_answers_reads() {
        let store = fresh().await;
        let time = "2026-01-31T12:00:00Z".parse().expect("a time");
        let row = ResponseUsage::new(bridge::ResponseKey(1), SessionId::new("s").expect("an id"), time);
        store.suspend(true);
        let refused = store.upsert(std::slice::from_ref(&row), &UpsertOptions::default()).await;
        assert_eq!(refused.expect_err("suspended").kind(), "denied");
        assert!(store.responses(&ResponseFilter::default()).await.expect("readable").is_empty());
        store.suspend(false);
        store.upsert(&[row], &UpsertOptions::default()).await.expect("accepted");
        assert_eq!(store.writes(), (1, 1));
    }
}
