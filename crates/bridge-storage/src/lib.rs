//! Stores token usage exactly once, behind the [`TokenStore`] trait.
//!
//! Storing is a join: of two versions of a response's row the greater stays, whatever order they arrive in
//! and however often. [`ClickHouseStore`] keeps them in ClickHouse, [`InMemoryStore`] is the reference model.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! use bridge_core::{ResponseKey, ResponseUsage, SessionId};
//! use bridge_storage::{InMemoryStore, ResponseFilter, TokenStore, UpsertOptions, UpsertOutcome};
//!
//! let store = InMemoryStore::default();
//! let key = ResponseKey::of_message("msg_01ABCDEFGHIJKLMNOPQRSTUV", "req_1");
//! let mut partial = ResponseUsage::new(key, SessionId::new("s")?, "2026-01-31T12:00:00Z".parse()?);
//! partial.counts.output = 1;
//! let mut last = partial.clone();
//! last.counts.output = 250;
//!
//! // The last snapshot first, then an earlier one, then the last again.
//! let outcomes = store.upsert(&[last.clone()], &UpsertOptions::default()).await?;
//! assert_eq!(outcomes, [UpsertOutcome::New]);
//! let outcomes = store.upsert(&[partial, last], &UpsertOptions::default()).await?;
//! assert_eq!(outcomes, [UpsertOutcome::Unchanged, UpsertOutcome::Unchanged]);
//! assert_eq!(store.totals(&ResponseFilter::default()).await?.counts.output, 250);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A server
//!
//! [`ClickHouseOptions`] say where it is and how patient the store is with it: a pool of connections, a limit of time
//! for every attempt, [retries](RetryPolicy) of what may pass by itself, and a [circuit](CircuitPolicy) that leaves a
//! database alone which is gone. [`TokenStore::migrate`] makes the tables, numbered step by numbered step, and refuses
//! those of a newer version. [`role_statements`] are the SQL for the three roles that work with them.
//!
//! # A store of one's own
//!
//! Implement [`TokenStore`] and what belongs to it ([`AuditStore`], [`BackupStore`], [`CheckpointStore`],
//! [`HealthProbes`]), and hold it to the promises of all stores with the feature `conformance`: one line makes a test of each.
//!
//! ```
//! # #[cfg(feature = "conformance")]
//! # mod tests {
//! # use bridge_storage::InMemoryStore as MyStore;
//! async fn fresh() -> MyStore {
//!     MyStore::default()
//! }
//!
//! bridge_storage::conformance_tests!(fresh);
//! # }
//! ```
//!
//! No method of the traits has a default body, so the compiler names a method that a decorator forgets. A decorator
//! that answers a method by itself, in place of the store behind it, fails a check of the suite; except for
//! [`ping`](TokenStore::ping), [`migrate`](TokenStore::migrate), the health probes and [`StoreStats`], whose answers
//! on a healthy store look the same wherever they come from.

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
mod offered;
mod old_sums;
mod retry;
mod source;
mod store;
mod stored;

pub use audit::AuditStore;
pub use backup::{
    BACKUP_TABLES, BackupFormat, BackupStore, ExportSummary, ServerPlace, TableExport, TablePart, TableRows,
};
pub use checkpoint::CheckpointStore;
pub use circuit::{CircuitPolicy, CircuitState, OpenCircuit};
pub use clickhouse::{
    BridgeConnectionPool, ChallengeConnection, ClickHouseConnection, ClickHouseOptions, ClickHouseStore,
    Connector, GuardConnection, Locate, LocateFuture, Location, PooledConnection, Retention, role_statements,
    table_definition,
};
pub use correlation::{current_correlation_id, with_correlation_id};
pub use dashboard::{
    DashboardData, DashboardFilter, Direction, GroupList, GroupOrder, GroupPage, GroupSums, ReceiptScope,
    TrendSums, UsageSums,
};
pub use figures::{PoolStatus, StoreStats};
pub use health::{DiskSpace, HealthProbes, NewestSource};
pub use memory::InMemoryStore;
#[cfg(feature = "mock")]
pub use mock::MockTokenStore;
pub use offered::markers;
pub use retry::RetryPolicy;
pub use source::{SourceCursor, SourceFilter, SourcePage, SourceRecord};
pub use store::{
    BreakdownRow, Dimension, ReplacedRow, ResponseFilter, StoreTotals, SummaryFilter, TokenStore,
    UpsertOptions, UpsertOutcome,
};
pub use stored::{StoredResponse, StoredScope};
