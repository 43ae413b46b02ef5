//! A store that loses cursors, or shows old ones.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bridge_core::{
    AuditFilter, AuditRecord, BridgeError, Checkpoint, CheckpointComparison, CheckpointName, Epoch, HostName,
    ResponseKey, ResponseUsage, ResponseVersion, StoreState, SupersededKey, Timestamp, TokenSummaryRecord,
};
use bridge_storage::{
    AuditStore, BackupFormat, BackupStore, BreakdownRow, CheckpointStore, DashboardData, DashboardFilter,
    Dimension, DiskSpace, ExportSummary, HealthProbes, NewestSource, ReplacedRow, ResponseFilter,
    ServerPlace, SourceFilter, SourceRecord, StoreStats, StoreTotals, StoredResponse, StoredScope,
    SummaryFilter, TableExport, TablePart, TokenStore, UpsertOptions, UpsertOutcome,
};

/// What it says of cursors, once.
#[derive(Debug, Clone)]
pub(crate) enum Lapse {
    Lost,
    Stale(Vec<SourceRecord>),
}

#[derive(Debug)]
pub(crate) struct Forgetful {
    store: Arc<dyn TokenStore>,
    lapse: Mutex<Option<Lapse>>,
}

impl Forgetful {
    pub(crate) fn of(store: Arc<dyn TokenStore>) -> Self {
        Self { store, lapse: Mutex::default() }
    }

    pub(crate) fn lapse(&self, lapse: Lapse) {
        *self.lapse.lock().unwrap() = Some(lapse);
    }
}

#[async_trait]
impl BackupStore for Forgetful {
    fn schema(&self) -> u32 {
        self.store.schema()
    }

    fn backup_format(&self) -> BackupFormat {
        self.store.backup_format()
    }

    async fn begin_export(&self, format: BackupFormat) -> Result<Box<dyn TableExport + '_>, BridgeError> {
        self.store.begin_export(format).await
    }

    async fn import_part(&self, part: &TablePart, begun_in: Epoch) -> Result<(), BridgeError> {
        self.store.import_part(part, begun_in).await
    }

    async fn back_up(&self, place: &ServerPlace) -> Result<ExportSummary, BridgeError> {
        self.store.back_up(place).await
    }

    async fn restore(&self, place: &ServerPlace, begun_in: Epoch) -> Result<ExportSummary, BridgeError> {
        self.store.restore(place, begun_in).await
    }
}

#[async_trait]
impl CheckpointStore for Forgetful {
    async fn state(&self) -> Result<StoreState, BridgeError> {
        self.store.state().await
    }

    async fn create_checkpoint(
        &self,
        name: &CheckpointName,
        now: Timestamp,
    ) -> Result<Checkpoint, BridgeError> {
        self.store.create_checkpoint(name, now).await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, BridgeError> {
        self.store.checkpoints().await
    }

    async fn drop_checkpoint(&self, name: &CheckpointName) -> Result<(), BridgeError> {
        self.store.drop_checkpoint(name).await
    }

    async fn compare_with_checkpoint(
        &self,
        name: &CheckpointName,
    ) -> Result<CheckpointComparison, BridgeError> {
        self.store.compare_with_checkpoint(name).await
    }

    async fn roll_back(&self, name: &CheckpointName, now: Timestamp) -> Result<CheckpointName, BridgeError> {
        self.store.roll_back(name, now).await
    }

    async fn resume(&self) -> Result<StoreState, BridgeError> {
        self.store.resume().await
    }
}

#[async_trait]
impl AuditStore for Forgetful {
    async fn put_audit(&self, records: &[AuditRecord]) -> Result<(), BridgeError> {
        self.store.put_audit(records).await
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError> {
        self.store.audit(filter).await
    }
}

#[async_trait]
impl HealthProbes for Forgetful {
    async fn probe_connection(&self) -> Result<(), BridgeError> {
        self.store.probe_connection().await
    }

    async fn probe_write(&self) -> Result<(), BridgeError> {
        self.store.probe_write().await
    }

    async fn newest_source(
        &self,
        host: &HostName,
        until: Timestamp,
    ) -> Result<Option<NewestSource>, BridgeError> {
        self.store.newest_source(host, until).await
    }

    async fn disks(&self) -> Result<Vec<DiskSpace>, BridgeError> {
        self.store.disks().await
    }
}

#[async_trait]
impl TokenStore for Forgetful {
    async fn migrate(&self) -> Result<(), BridgeError> {
        self.store.migrate().await
    }

    fn figures(&self) -> StoreStats {
        self.store.figures()
    }

    async fn ping(&self) -> Result<(), BridgeError> {
        self.store.ping().await
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
        let lapse = self.lapse.lock().unwrap().take();
        match lapse {
            None => self.store.sources(filter).await,
            Some(Lapse::Lost) => Ok(Vec::new()),
            Some(Lapse::Stale(mut records)) => {
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

    async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError> {
        self.store.stored(scope).await
    }

    async fn retention_cutoff(&self, now: Timestamp) -> Result<Option<Timestamp>, BridgeError> {
        self.store.retention_cutoff(now).await
    }

    async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError> {
        self.store.remove(versions).await
    }
}

/// The suite as another crate uses it: a decorator keeps every promise of a store.
mod promises {
    use super::Forgetful;

    async fn fresh() -> Forgetful {
        Forgetful::of(std::sync::Arc::new(bridge_storage::InMemoryStore::default()))
    }

    bridge_storage::conformance_tests!(fresh);
}
