//! A mock of the store, for failures that no real one can be made to show.

use async_trait::async_trait;
use bridge_core::{BridgeError, ResponseKey, ResponseUsage, ResponseVersion, TokenSummaryRecord};

use crate::backup::{BackupFormat, BackupStore, ExportFigures, ServerPlace, TableExport, TablePart};
use crate::dashboard::{DashboardFigures, DashboardFilter};
use crate::source::{SourceFilter, SourceRecord};
use crate::store::{
    BreakdownRow, Dimension, ResponseFilter, StoreTotals, SummaryFilter, TokenStore, UpsertOptions,
    UpsertOutcome,
};
use crate::stored::{StoredResponse, StoredScope};

mockall::mock! {
    /// A store that answers what it is told to.
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

        async fn import_part(&self, part: &TablePart) -> Result<(), BridgeError>;

        async fn back_up(&self, place: &ServerPlace) -> Result<ExportFigures, BridgeError>;

        async fn restore(&self, place: &ServerPlace) -> Result<ExportFigures, BridgeError>;
    }

    #[async_trait]
    impl TokenStore for TokenStore {
        async fn migrate(&self) -> Result<(), BridgeError>;

        async fn ping(&self) -> Result<(), BridgeError>;

        async fn upsert(
            &self,
            rows: &[ResponseUsage],
            options: &UpsertOptions,
        ) -> Result<Vec<UpsertOutcome>, BridgeError>;

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

        async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardFigures, BridgeError>;

        async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError>;

        async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError>;

        async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError>;
    }
}
