//! Stores token usage exactly once, behind the [`TokenStore`] trait.
//!
//! Storing is a join: of two versions of a response's row the greater stays, whatever order they arrive in
//! and however often. [`ClickHouseStore`] keeps them in ClickHouse, [`InMemoryStore`] is the reference model.

mod audit;
mod backup;
mod checkpoint;
mod circuit;
mod clickhouse;
#[cfg(feature = "conformance")]
pub mod conformance;
mod correlation;
mod dashboard;
mod figures;
mod health;
mod memory;
#[cfg(feature = "mock")]
mod mock;
mod retry;
mod source;
mod store;
mod stored;

pub use audit::AuditStore;
pub use backup::{
    BACKUP_TABLES, BackupFormat, BackupStore, ExportFigures, PART_ROWS, ServerPlace, TableExport, TablePart,
    TableRows,
};
pub use checkpoint::CheckpointStore;
pub use circuit::{CircuitPause, CircuitPolicy, CircuitState};
pub use clickhouse::{
    BridgeConnectionPool, ClickHouseConnection, ClickHouseOptions, ClickHouseStore, Connector,
    PooledConnection, Retention, role_statements,
};
pub use correlation::{current_correlation_id, with_correlation_id};
pub use dashboard::{
    DashboardFigures, DashboardFilter, Direction, GroupList, GroupOrder, GroupPage, GroupSums, ReceiptScope,
    TrendSums, UsageSums,
};
pub use figures::{PoolFigures, StoreFigures};
pub use health::{DiskSpace, HealthProbes, NewestSource};
pub use memory::InMemoryStore;
#[cfg(feature = "mock")]
pub use mock::MockTokenStore;
pub use retry::RetryPolicy;
pub use source::{SourceCursor, SourceFilter, SourceRecord};
pub use store::{
    BreakdownRow, Dimension, ReplacedRow, ResponseFilter, StoreTotals, SummaryFilter, TokenStore,
    UpsertOptions, UpsertOutcome,
};
pub use stored::{StoredResponse, StoredScope};
