//! A store with a layer around its calls.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bridge_core::{
    AuditFilter, AuditRecord, BridgeError, Checkpoint, CheckpointComparison, CheckpointName, Epoch, HostName,
    PriceRow, ProjectName, ProjectRecord, ResponseKey, ResponseUsage, ResponseVersion, StoreState,
    SupersededKey, Timestamp, TokenSummaryRecord,
};
use bridge_storage::{
    AuditStore, BackupFormat, BackupStore, BreakdownRow, CheckpointStore, CostRow, DashboardData,
    DashboardFilter, Dimension, ExportSummary, HealthProbes, HostActivity, HostStore, IntegrityStore,
    PriceList, PriceStore, ProjectStore, ReplacedRow, ResponseFilter, ServerPlace, SourceFilter,
    SourceRecord, SourcesDigest, StoreCapabilities, StoreTotals, StoredResponse, StoredScope, SummaryFilter,
    TableExport, TablePart, TokenStore, UpsertOptions, UpsertOutcome, require,
};

/// A kind of store call, as far as layers distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreCall {
    Upsert,
    PutSources,
    Remove,
    Cover,
    /// Any other call that may change rows.
    OtherWrite,
    RollBack,
    /// Any call that changes no rows of `token_usage`: reads, and whatever concerns the audit or checkpoints.
    KeepsRows,
}

impl StoreCall {
    /// The writes whose durations are measured.
    pub(crate) const MEASURED: [Self; 4] = [Self::Upsert, Self::PutSources, Self::Remove, Self::Cover];

    /// Returns the name of a measured write in the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::PutSources => "put_sources",
            Self::Remove => "remove",
            Self::Cover => "cover",
            Self::OtherWrite | Self::RollBack | Self::KeepsRows => "other",
        }
    }
}

/// Work before and after each call of a store.
pub(crate) trait Layer: Debug + Send + Sync {
    /// Runs a call.
    fn around<T: Send>(
        &self,
        call: StoreCall,
        work: impl Future<Output = Result<T, BridgeError>> + Send,
    ) -> impl Future<Output = Result<T, BridgeError>> + Send;
}

/// A store, and a layer around each of its calls. Health probes, which are not operations, bypass the layer.
#[derive(Debug)]
pub(crate) struct Layered<L> {
    store: Arc<dyn TokenStore>,
    layer: L,
}

impl<L: Layer> Layered<L> {
    pub(crate) fn new(store: Arc<dyn TokenStore>, layer: L) -> Self {
        Self { store, layer }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<L: Layer> StoreCapabilities for Layered<L> {
    fn audit(&self) -> Option<&dyn AuditStore> {
        self.store.audit().map(|_| self as &dyn AuditStore)
    }

    fn checkpoints(&self) -> Option<&dyn CheckpointStore> {
        self.store.checkpoints().map(|_| self as &dyn CheckpointStore)
    }

    fn backup(&self) -> Option<&dyn BackupStore> {
        self.store.backup().map(|_| self as &dyn BackupStore)
    }

    fn probes(&self) -> Option<&dyn HealthProbes> {
        self.store.probes()
    }

    fn hosts(&self) -> Option<&dyn HostStore> {
        self.store.hosts().map(|_| self as &dyn HostStore)
    }

    fn integrity(&self) -> Option<&dyn IntegrityStore> {
        self.store.integrity().map(|_| self as &dyn IntegrityStore)
    }

    fn prices(&self) -> Option<&dyn PriceStore> {
        self.store.prices().map(|_| self as &dyn PriceStore)
    }

    fn projects(&self) -> Option<&dyn ProjectStore> {
        self.store.projects().map(|_| self as &dyn ProjectStore)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> TokenStore for Layered<L> {
    async fn migrate(&self) -> Result<(), BridgeError> {
        self.layer.around(StoreCall::OtherWrite, self.store.migrate()).await
    }

    async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        self.layer.around(StoreCall::Upsert, self.store.upsert(rows, options)).await
    }

    async fn cover(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError> {
        self.layer.around(StoreCall::Cover, self.store.cover(keys, options)).await
    }

    async fn put_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        self.layer.around(StoreCall::PutSources, self.store.put_sources(records)).await
    }

    async fn sources(&self, filter: &SourceFilter) -> Result<Vec<SourceRecord>, BridgeError> {
        self.layer.around(StoreCall::KeepsRows, self.store.sources(filter)).await
    }

    async fn totals(&self, filter: &ResponseFilter) -> Result<StoreTotals, BridgeError> {
        self.layer.around(StoreCall::KeepsRows, self.store.totals(filter)).await
    }

    async fn breakdown(
        &self,
        dimension: Dimension,
        filter: &ResponseFilter,
        limit: Option<u32>,
    ) -> Result<Vec<BreakdownRow>, BridgeError> {
        self.layer.around(StoreCall::KeepsRows, self.store.breakdown(dimension, filter, limit)).await
    }

    async fn summaries(&self, filter: &SummaryFilter) -> Result<Vec<TokenSummaryRecord>, BridgeError> {
        self.layer.around(StoreCall::KeepsRows, self.store.summaries(filter)).await
    }

    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError> {
        self.layer.around(StoreCall::KeepsRows, self.store.dashboard(filter)).await
    }

    async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError> {
        self.layer.around(StoreCall::KeepsRows, self.store.responses(filter)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> AuditStore for Layered<L> {
    async fn put_audit(&self, records: &[AuditRecord]) -> Result<(), BridgeError> {
        let store = require(self.store.audit(), "write the audit")?;
        self.layer.around(StoreCall::KeepsRows, store.put_audit(records)).await
    }

    async fn audit_records(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError> {
        let store = require(self.store.audit(), "read the audit")?;
        self.layer.around(StoreCall::KeepsRows, store.audit_records(filter)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> CheckpointStore for Layered<L> {
    async fn state(&self) -> Result<StoreState, BridgeError> {
        let store = require(self.store.checkpoints(), "read the state")?;
        self.layer.around(StoreCall::KeepsRows, store.state()).await
    }

    async fn create_checkpoint(
        &self,
        name: &CheckpointName,
        now: Timestamp,
    ) -> Result<Checkpoint, BridgeError> {
        let store = require(self.store.checkpoints(), "create a checkpoint")?;
        self.layer.around(StoreCall::KeepsRows, store.create_checkpoint(name, now)).await
    }

    async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, BridgeError> {
        let store = require(self.store.checkpoints(), "list checkpoints")?;
        self.layer.around(StoreCall::KeepsRows, store.list_checkpoints()).await
    }

    async fn drop_checkpoint(&self, name: &CheckpointName) -> Result<(), BridgeError> {
        let store = require(self.store.checkpoints(), "drop a checkpoint")?;
        self.layer.around(StoreCall::KeepsRows, store.drop_checkpoint(name)).await
    }

    async fn compare_with_checkpoint(
        &self,
        name: &CheckpointName,
    ) -> Result<CheckpointComparison, BridgeError> {
        let store = require(self.store.checkpoints(), "compare with a checkpoint")?;
        self.layer.around(StoreCall::KeepsRows, store.compare_with_checkpoint(name)).await
    }

    async fn roll_back(&self, name: &CheckpointName, now: Timestamp) -> Result<CheckpointName, BridgeError> {
        let store = require(self.store.checkpoints(), "roll back")?;
        self.layer.around(StoreCall::RollBack, store.roll_back(name, now)).await
    }

    async fn resume(&self) -> Result<StoreState, BridgeError> {
        let store = require(self.store.checkpoints(), "resume")?;
        self.layer.around(StoreCall::OtherWrite, store.resume()).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> BackupStore for Layered<L> {
    fn schema(&self) -> u32 {
        self.store.backup().map_or(0, BackupStore::schema)
    }

    fn backup_format(&self) -> BackupFormat {
        self.store.backup().map_or(BackupFormat::JsonLines, BackupStore::backup_format)
    }

    async fn begin_export(&self, format: BackupFormat) -> Result<Box<dyn TableExport + '_>, BridgeError> {
        let store = require(self.store.backup(), "export")?;
        self.layer.around(StoreCall::KeepsRows, store.begin_export(format)).await
    }

    async fn import_part(&self, part: &TablePart, begun_in: Epoch) -> Result<(), BridgeError> {
        let store = require(self.store.backup(), "import")?;
        self.layer.around(StoreCall::OtherWrite, store.import_part(part, begun_in)).await
    }

    async fn back_up(&self, place: &ServerPlace) -> Result<ExportSummary, BridgeError> {
        let store = require(self.store.backup(), "back up")?;
        self.layer.around(StoreCall::KeepsRows, store.back_up(place)).await
    }

    async fn restore(&self, place: &ServerPlace, begun_in: Epoch) -> Result<ExportSummary, BridgeError> {
        let store = require(self.store.backup(), "restore")?;
        self.layer.around(StoreCall::OtherWrite, store.restore(place, begun_in)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> HostStore for Layered<L> {
    async fn sources_digest(&self, host: &HostName) -> Result<SourcesDigest, BridgeError> {
        let store = require(self.store.hosts(), "read the digest of sources")?;
        self.layer.around(StoreCall::KeepsRows, store.sources_digest(host)).await
    }

    async fn host_activity(&self, since: Timestamp) -> Result<Vec<HostActivity>, BridgeError> {
        let store = require(self.store.hosts(), "read the activity of hosts")?;
        self.layer.around(StoreCall::KeepsRows, store.host_activity(since)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> PriceStore for Layered<L> {
    async fn use_prices(&self, digest: &str, rows: &[PriceRow], now: Timestamp) -> Result<bool, BridgeError> {
        let store = require(self.store.prices(), "store prices")?;
        self.layer.around(StoreCall::OtherWrite, store.use_prices(digest, rows, now)).await
    }

    async fn prices_in_use(&self) -> Result<Option<String>, BridgeError> {
        let store = require(self.store.prices(), "read the price list in use")?;
        self.layer.around(StoreCall::KeepsRows, store.prices_in_use()).await
    }

    async fn price_list(&self, digest: &str) -> Result<Arc<PriceList>, BridgeError> {
        let store = require(self.store.prices(), "read a price list")?;
        self.layer.around(StoreCall::KeepsRows, store.price_list(digest)).await
    }

    async fn costs(&self, filter: &ResponseFilter) -> Result<Vec<CostRow>, BridgeError> {
        let store = require(self.store.prices(), "read costs")?;
        self.layer.around(StoreCall::KeepsRows, store.costs(filter)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> IntegrityStore for Layered<L> {
    async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError> {
        let store = require(self.store.integrity(), "read stored rows")?;
        self.layer.around(StoreCall::KeepsRows, store.stored(scope)).await
    }

    async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError> {
        let store = require(self.store.integrity(), "remove rows")?;
        self.layer.around(StoreCall::Remove, store.remove(versions)).await
    }

    async fn retention_cutoff(&self, now: Timestamp) -> Result<Option<Timestamp>, BridgeError> {
        let store = require(self.store.integrity(), "read the retention")?;
        self.layer.around(StoreCall::KeepsRows, store.retention_cutoff(now)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> ProjectStore for Layered<L> {
    async fn recorded_projects(&self, filter: &ResponseFilter) -> Result<Vec<ProjectName>, BridgeError> {
        let store = require(self.store.projects(), "read projects")?;
        self.layer.around(StoreCall::KeepsRows, store.recorded_projects(filter)).await
    }

    async fn project_records(&self) -> Result<Vec<ProjectRecord>, BridgeError> {
        let store = require(self.store.projects(), "read projects")?;
        self.layer.around(StoreCall::KeepsRows, store.project_records()).await
    }

    /// Changes what summaries say.
    async fn put_project_records(&self, records: &[ProjectRecord]) -> Result<(), BridgeError> {
        let store = require(self.store.projects(), "store projects")?;
        self.layer.around(StoreCall::OtherWrite, store.put_project_records(records)).await
    }
}
