//! A mock of the store, for failures that cannot be provoked in a real one.

use std::sync::Arc;

use async_trait::async_trait;
use bridge_core::{
    AuditFilter, AuditRecord, BridgeError, Checkpoint, CheckpointComparison, CheckpointName, Epoch, HostName,
    PriceRow, ProjectName, ProjectRecord, ResponseKey, ResponseUsage, ResponseVersion, StoreState,
    SupersededKey, Timestamp, TokenSummaryRecord,
};

use crate::capabilities::{
    AuditStore, BackupFormat, BackupStore, CheckpointStore, DiskSpace, ExportSummary, HealthProbes,
    HostActivity, HostStore, IntegrityStore, NewestSource, PriceStore, ProjectStore, ServerPlace,
    SourcesDigest, StoreCapabilities, StoredResponse, StoredScope, TableExport, TablePart,
};
use crate::dashboard::{DashboardData, DashboardFilter};
use crate::dimension::Dimension;
use crate::prices::{CostRow, PriceList};
use crate::query::{BreakdownRow, ResponseFilter, StoreTotals, SummaryFilter};
use crate::source::{SourceFilter, SourceRecord};
use crate::stats::StoreStats;
use crate::store::{ReplacedRow, TokenStore, UpsertOptions, UpsertOutcome};

mockall::mock! {
    /// A store with prescribed answers.
    #[derive(Debug)]
    pub TokenStore {}

    #[async_trait]
    impl BackupStore for TokenStore {
        fn schema(&self) -> u32;

        fn backup_format(&self) -> BackupFormat;

        async fn begin_export<'a>(
            &'a self,
            format: BackupFormat,
        ) -> Result<Box<dyn TableExport + 'a>, BridgeError>;

        async fn import_part(&self, part: &TablePart, begun_in: Epoch) -> Result<(), BridgeError>;

        async fn back_up(&self, place: &ServerPlace) -> Result<ExportSummary, BridgeError>;

        async fn restore(&self, place: &ServerPlace, begun_in: Epoch) -> Result<ExportSummary, BridgeError>;
    }

    #[async_trait]
    impl CheckpointStore for TokenStore {
        async fn state(&self) -> Result<StoreState, BridgeError>;

        async fn create_checkpoint(
            &self,
            name: &CheckpointName,
            now: Timestamp,
        ) -> Result<Checkpoint, BridgeError>;

        async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, BridgeError>;

        async fn drop_checkpoint(&self, name: &CheckpointName) -> Result<(), BridgeError>;

        async fn compare_with_checkpoint(
            &self,
            name: &CheckpointName,
        ) -> Result<CheckpointComparison, BridgeError>;

        async fn roll_back(&self, name: &CheckpointName, now: Timestamp) -> Result<CheckpointName, BridgeError>;

        async fn resume(&self) -> Result<StoreState, BridgeError>;
    }

    #[async_trait]
    impl PriceStore for TokenStore {
        async fn use_prices(&self, digest: &str, rows: &[PriceRow], now: Timestamp) -> Result<bool, BridgeError>;

        async fn prices_in_use(&self) -> Result<Option<String>, BridgeError>;

        async fn price_list(&self, digest: &str) -> Result<Arc<PriceList>, BridgeError>;

        async fn costs(&self, filter: &ResponseFilter) -> Result<Vec<CostRow>, BridgeError>;
    }

    #[async_trait]
    impl AuditStore for TokenStore {
        async fn put_audit(&self, records: &[AuditRecord]) -> Result<(), BridgeError>;

        async fn audit_records(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError>;
    }

    #[async_trait]
    impl HealthProbes for TokenStore {
        async fn probe_connection(&self) -> Result<(), BridgeError>;

        async fn probe_write(&self) -> Result<(), BridgeError>;

        async fn newest_source(
            &self,
            host: &HostName,
            until: Timestamp,
        ) -> Result<Option<NewestSource>, BridgeError>;

        async fn disks(&self) -> Result<Vec<DiskSpace>, BridgeError>;

        fn stats(&self) -> StoreStats;
    }

    #[async_trait]
    impl HostStore for TokenStore {
        async fn sources_digest(&self, host: &HostName) -> Result<SourcesDigest, BridgeError>;

        async fn host_activity(&self, since: Timestamp) -> Result<Vec<HostActivity>, BridgeError>;
    }

    #[async_trait]
    impl IntegrityStore for TokenStore {
        async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError>;

        async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError>;

        async fn retention_cutoff(&self, now: Timestamp) -> Result<Option<Timestamp>, BridgeError>;
    }

    #[async_trait]
    impl ProjectStore for TokenStore {
        async fn recorded_projects(&self, filter: &ResponseFilter) -> Result<Vec<ProjectName>, BridgeError>;

        async fn project_records(&self) -> Result<Vec<ProjectRecord>, BridgeError>;

        async fn put_project_records(&self, records: &[ProjectRecord]) -> Result<(), BridgeError>;
    }

    #[async_trait]
    impl TokenStore for TokenStore {
        async fn migrate(&self) -> Result<(), BridgeError>;

        async fn upsert(
            &self,
            rows: &[ResponseUsage],
            options: &UpsertOptions,
        ) -> Result<Vec<UpsertOutcome>, BridgeError>;

        async fn cover(
            &self,
            keys: &[SupersededKey],
            options: &UpsertOptions,
        ) -> Result<Vec<ReplacedRow>, BridgeError>;

        async fn put_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError>;

        async fn sources(&self, filter: &SourceFilter) -> Result<Vec<SourceRecord>, BridgeError>;

        async fn totals(&self, filter: &ResponseFilter) -> Result<StoreTotals, BridgeError>;

        async fn breakdown(
            &self,
            dimension: Dimension,
            filter: &ResponseFilter,
            limit: Option<u32>,
        ) -> Result<Vec<BreakdownRow>, BridgeError>;

        async fn summaries(&self, filter: &SummaryFilter) -> Result<Vec<TokenSummaryRecord>, BridgeError>;

        async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError>;

        async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError>;
    }
}

/// The mock has every capability.
impl StoreCapabilities for MockTokenStore {
    fn audit(&self) -> Option<&dyn AuditStore> {
        Some(self)
    }

    fn checkpoints(&self) -> Option<&dyn CheckpointStore> {
        Some(self)
    }

    fn backup(&self) -> Option<&dyn BackupStore> {
        Some(self)
    }

    fn probes(&self) -> Option<&dyn HealthProbes> {
        Some(self)
    }

    fn hosts(&self) -> Option<&dyn HostStore> {
        Some(self)
    }

    fn integrity(&self) -> Option<&dyn IntegrityStore> {
        Some(self)
    }

    fn prices(&self) -> Option<&dyn PriceStore> {
        Some(self)
    }

    fn projects(&self) -> Option<&dyn ProjectStore> {
        Some(self)
    }
}
