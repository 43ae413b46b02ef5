//! Stores token usage exactly once, behind the [`TokenStore`] trait.
//!
//! Storing is a join: of two versions of a response's row the greater stays, whatever order they arrive in
//! and however often. [`ClickHouseStore`] keeps them in ClickHouse, [`InMemoryStore`] is the reference model.

mod backup;
mod clickhouse;
#[cfg(feature = "conformance")]
pub mod conformance;
mod dashboard;
mod memory;
#[cfg(feature = "mock")]
mod mock;
mod retry;
mod source;
mod store;
mod stored;

pub use backup::{
    BACKUP_TABLES, BackupFormat, BackupStore, ExportFigures, PART_ROWS, ServerPlace, TableExport, TablePart,
    TableRows,
};
pub use clickhouse::{
    BridgeConnectionPool, ClickHouseConnection, ClickHouseOptions, ClickHouseStore, Connector,
    PooledConnection, Retention, role_statements,
};
pub use dashboard::{
    DashboardFigures, DashboardFilter, Direction, GroupList, GroupOrder, GroupPage, GroupSums, ReceiptScope,
    TrendSums, UsageSums,
};
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
