//! A store decorator that loses cursors or returns outdated ones.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bridge_core::{BridgeError, ResponseUsage, SupersededKey, TokenSummaryRecord};
use bridge_storage::{
    AuditStore, BackupStore, BreakdownRow, CheckpointStore, DashboardData, DashboardFilter, Dimension,
    HealthProbes, HostStore, IntegrityStore, PriceStore, ProjectStore, ReplacedRow, ResponseFilter,
    SourceFilter, SourceRecord, StoreCapabilities, StoreTotals, SummaryFilter, TokenStore, UpsertOptions,
    UpsertOutcome,
};

/// A fault that affects the next read of cursors.
#[derive(Debug, Clone)]
pub(crate) enum CursorFault {
    Lost,
    Stale(Vec<SourceRecord>),
}

#[derive(Debug)]
pub(crate) struct CursorFaultStore {
    store: Arc<dyn TokenStore>,
    fault: Mutex<Option<CursorFault>>,
}

impl CursorFaultStore {
    pub(crate) fn new(store: Arc<dyn TokenStore>) -> Self {
        Self { store, fault: Mutex::default() }
    }

    pub(crate) fn inject(&self, fault: CursorFault) {
        *self.fault.lock().unwrap() = Some(fault);
    }
}

/// Delegates all capabilities. Only one says something about cursors, and it is missing while they are faulty.
#[deny(clippy::missing_trait_methods)]
impl StoreCapabilities for CursorFaultStore {
    fn audit(&self) -> Option<&dyn AuditStore> {
        self.store.audit()
    }

    fn checkpoints(&self) -> Option<&dyn CheckpointStore> {
        self.store.checkpoints()
    }

    fn backup(&self) -> Option<&dyn BackupStore> {
        self.store.backup()
    }

    fn probes(&self) -> Option<&dyn HealthProbes> {
        self.store.probes()
    }

    fn hosts(&self) -> Option<&dyn HostStore> {
        let is_faulty = self.fault.lock().unwrap().is_some();
        self.store.hosts().filter(|_| !is_faulty)
    }

    fn integrity(&self) -> Option<&dyn IntegrityStore> {
        self.store.integrity()
    }

    fn prices(&self) -> Option<&dyn PriceStore> {
        self.store.prices()
    }

    fn projects(&self) -> Option<&dyn ProjectStore> {
        self.store.projects()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for CursorFaultStore {
    async fn migrate(&self) -> Result<(), BridgeError> {
        self.store.migrate().await
    }

    async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        self.store.upsert(rows, options).await
    }

    async fn cover(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError> {
        self.store.cover(keys, options).await
    }

    async fn put_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        self.store.put_sources(records).await
    }

    async fn sources(&self, filter: &SourceFilter) -> Result<Vec<SourceRecord>, BridgeError> {
        let fault = self.fault.lock().unwrap().take();
        match fault {
            None => self.store.sources(filter).await,
            Some(CursorFault::Lost) => Ok(Vec::new()),
            Some(CursorFault::Stale(mut records)) => {
                records.retain(|record| filter.host.as_ref().is_none_or(|host| *host == record.host));
                Ok(records)
            }
        }
    }

    async fn totals(&self, filter: &ResponseFilter) -> Result<StoreTotals, BridgeError> {
        self.store.totals(filter).await
    }

    async fn breakdown(
        &self,
        dimension: Dimension,
        filter: &ResponseFilter,
        limit: Option<u32>,
    ) -> Result<Vec<BreakdownRow>, BridgeError> {
        self.store.breakdown(dimension, filter, limit).await
    }

    async fn summaries(&self, filter: &SummaryFilter) -> Result<Vec<TokenSummaryRecord>, BridgeError> {
        self.store.summaries(filter).await
    }

    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError> {
        self.store.dashboard(filter).await
    }

    async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError> {
        self.store.responses(filter).await
    }
}

/// Runs the conformance suite, as another crate would: the decorator keeps every promise of a store.
mod promises {
    use super::CursorFaultStore;

    async fn fresh() -> CursorFaultStore {
        CursorFaultStore::new(std::sync::Arc::new(bridge_storage::InMemoryStore::default()))
    }

    bridge_storage::conformance_tests!(fresh: audit, checkpoints, hosts, integrity, prices, probes, projects);
}
