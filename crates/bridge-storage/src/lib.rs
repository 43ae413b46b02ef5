//! Stores token usage exactly once, behind the [`TokenStore`] trait.
//!
//! Storing merges: of two versions of a response's row the greater stays, whatever order they arrive in
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
//! [`ClickHouseOptions`] hold its address and the store's timeouts, [retries](RetryPolicy) and [circuit
//! breaker](CircuitPolicy). [`TokenStore::migrate`] creates the tables, one numbered migration after another, and
//! refuses those of a newer version. [`Schema`] is the same as SQL text, with the three roles that work with the
//! tables, for administrators who create tables themselves; [`ClickHouseStore::pending_schema`] is what a database
//! lacks.
//!
//! # A custom store
//!
//! Implement [`TokenStore`], and return from [`StoreCapabilities`] what else the store offers: [`AuditStore`],
//! [`BackupStore`], [`CheckpointStore`], [`HealthProbes`], [`IntegrityStore`], [`ProjectStore`]. The feature `conformance` checks the
//! promises of all stores: one line makes a test of each, for the capabilities that it lists.
//!
//! ```
//! # #[cfg(feature = "conformance")]
//! # mod tests {
//! # use bridge_storage::InMemoryStore as MyStore;
//! async fn fresh() -> MyStore {
//!     MyStore::default()
//! }
//!
//! bridge_storage::conformance_tests!(fresh: audit, checkpoints, hosts, integrity, prices, probes, projects);
//! # }
//! ```
//!
//! No method of the traits has a default body, so the compiler names a method that a decorator forgets. A decorator
//! that answers a method itself, instead of the store behind it, fails a check of the suite. Exceptions are
//! [`migrate`](TokenStore::migrate) and the health probes, whose answers on a healthy store look the same wherever they
//! come from.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod activity;
#[cfg(feature = "clickhouse")]
mod breaker;
mod capabilities;
mod circuit;
#[cfg(feature = "clickhouse")]
mod clickhouse;
#[cfg(feature = "conformance")]
pub mod conformance;
mod correlation;
mod dashboard;
mod dimension;
mod markers;
mod memory;
#[cfg(feature = "clickhouse")]
mod merge;
#[cfg(feature = "mock")]
mod mock;
#[cfg(feature = "clickhouse")]
mod offered;
mod prices;
mod query;
#[cfg(feature = "clickhouse")]
mod retry;
mod source;
mod stats;
mod store;

#[cfg(feature = "clickhouse")]
#[doc(no_inline)]
pub use ::clickhouse as clickhouse_rs;
pub use activity::activity_facts;
pub use capabilities::{
    AuditStore, BACKUP_TABLES, BackupFormat, BackupStore, CheckpointStore, DiskSpace, ExportSummary,
    HealthProbes, HostActivity, HostStore, IntegrityStore, NewestSource, PriceStore, ProjectStore,
    ServerPlace, SourcesDigest, StoreCapabilities, StoredResponse, StoredScope, TableExport, TablePart,
    TableRows, require,
};
pub use circuit::{CircuitState, OpenCircuit};
#[cfg(feature = "clickhouse")]
pub use clickhouse::{
    AccessToken, AccessTokens, BridgeConnectionPool, ChallengeConnection, CircuitPolicy, ClickHouseLimits,
    ClickHouseOptions, ClickHouseStore, GuardConnection, GuardedConnector, GuardedStream, HookFuture, Locate,
    Location, PendingSchema, PooledConnection, Retention, RetryPolicy, Schema, SchemaMigration,
    table_definition,
};
#[doc(hidden)]
pub use correlation::{current_correlation_id, with_correlation_id};
pub use dashboard::{
    DashboardData, DashboardFilter, Direction, GroupList, GroupOrder, GroupPage, GroupSums, ReceiptScope,
    SPLIT_SUMS_MAX, SplitSums, TrendSums, UsageSums,
};
pub use dimension::Dimension;
pub use markers::markers;
pub use memory::InMemoryStore;
#[cfg(feature = "mock")]
pub use mock::MockTokenStore;
pub use prices::{CostRow, PriceList, PricedBy, UnpricedSums};
pub use query::{AdmittedValues, BreakdownRow, ResponseFilter, StoreTotals, SummaryFilter};
pub use source::{
    STREAM_PREFIXES, SourceCursor, SourceFilter, SourcePage, SourcePaths, SourceRecord, is_stream,
};
pub use stats::{PoolStatus, StoreStats};
pub use store::{ReplacedRow, TokenStore, UpsertOptions, UpsertOutcome};
