//! The store in ClickHouse, over HTTP with the official client.

mod access;
mod audit;
mod backup;
pub(crate) mod checkpoint;
mod connection;
mod dashboard;
mod extras;
mod hosts;
mod options;
mod prices;
mod probes;
mod projects;
mod row;
pub(crate) mod schema;
mod sources;
mod usage;

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use bridge_core::{
    BridgeError, ConnectionKind, ResponseUsage, StoreState, SupersededKey, TokenSummaryRecord,
};
use tracing::Instrument;

pub use crate::breaker::CircuitPolicy;
pub use crate::retry::RetryPolicy;
pub use access::{AccessToken, AccessTokens};
pub(crate) use connection::ForeignAnswer;
pub use connection::guard::{GuardedConnector, GuardedStream};
pub use connection::locate::{ChallengeConnection, GuardConnection, HookFuture, Locate, Location};
pub use connection::pool::{BridgeConnectionPool, PooledConnection};
pub use options::{ClickHouseLimits, ClickHouseOptions};
pub use schema::definition::table_definition;
pub use schema::pending::PendingSchema;
pub use schema::retention::Retention;
pub use schema::script::{Schema, SchemaMigration};

use crate::breaker::{Admission, CircuitBreaker};
use crate::capabilities::{
    AuditStore, BackupStore, CheckpointStore, HealthProbes, HostStore, IntegrityStore, PriceStore,
    ProjectStore, StoreCapabilities,
};
use crate::dashboard::{DashboardData, DashboardFilter};
use crate::dimension::Dimension;
use crate::query::{BreakdownRow, ResponseFilter, StoreTotals, SummaryFilter};
use crate::retry::execute_with_retry;
use crate::source::{SourceFilter, SourceRecord};
use crate::store::{ReplacedRow, TokenStore, UpsertOptions, UpsertOutcome};
use connection::errors::{TableError, bridge_error, timed_out};
use prices::KnownPrices;
use schema::tables::Tables;
use usage::group_commit::GroupCommit;

/// Keeps token usage in ClickHouse: one row a response key in a `ReplacingMergeTree`, read with `FINAL`.
#[derive(Debug)]
pub struct ClickHouseStore {
    pool: BridgeConnectionPool,
    /// A single connection for the audit, which is written while callers use the pool.
    audit_pool: BridgeConnectionPool,
    breaker: CircuitBreaker,
    options: ClickHouseOptions,
    /// The last known epoch and mode.
    known_state: Mutex<Option<StoreState>>,
    group_commit: GroupCommit,
    known_prices: KnownPrices,
    /// Attempts after the first.
    retries: AtomicU64,
}

impl ClickHouseStore {
    /// Returns a store on this server. It connects when it is first used.
    ///
    /// # Errors
    ///
    /// The pool cannot be built, no trusted certificate is found, or options are set that belong to the given client.
    pub fn new(options: ClickHouseOptions) -> Result<Self, BridgeError> {
        options.check()?;
        let pool = BridgeConnectionPool::new(&options)?;
        let breaker = CircuitBreaker::new(options.limits.circuit);
        let audit_pool = BridgeConnectionPool::new(&options.clone().with_pool_size(1))?;
        Ok(Self {
            pool,
            audit_pool,
            breaker,
            options,
            known_state: Mutex::default(),
            group_commit: GroupCommit::default(),
            known_prices: KnownPrices::default(),
            retries: AtomicU64::new(0),
        })
    }

    /// Returns a store that uses an embedder's own client, by [`ClickHouseOptions::from_client`] and default options.
    ///
    /// ```
    /// use bridge_storage::ClickHouseStore;
    /// use bridge_storage::clickhouse_rs::Client;
    ///
    /// let client = Client::default().with_url("http://127.0.0.1:8123").with_database("usage");
    /// let store = ClickHouseStore::from_client(client)?;
    /// assert_eq!(store.options().database(), "usage");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The pool cannot be built.
    pub fn from_client(client: ::clickhouse::Client) -> Result<Self, BridgeError> {
        Self::new(ClickHouseOptions::from_client(client))
    }

    /// Returns the options of the store. [`ClickHouseOptions::schema`] returns its schema as SQL.
    #[must_use]
    pub fn options(&self) -> &ClickHouseOptions {
        &self.options
    }

    /// Returns the connection pool.
    #[must_use]
    pub fn pool(&self) -> &BridgeConnectionPool {
        &self.pool
    }

    /// Runs a call on the tables over a pooled connection, with timeout and retries. Fails at once while the circuit
    /// breaker is open.
    async fn call<T, E, F>(
        &self,
        operation: &'static str,
        work: impl Fn(Tables) -> F,
    ) -> Result<T, BridgeError>
    where
        F: Future<Output = Result<T, E>>,
        E: IntoBridgeError,
    {
        self.call_with(&self.pool, &self.options.limits.retry, operation, work).await
    }

    /// As [`call`](Self::call), over the audit's own connection.
    async fn call_for_audit<T, E, F>(
        &self,
        operation: &'static str,
        work: impl Fn(Tables) -> F,
    ) -> Result<T, BridgeError>
    where
        F: Future<Output = Result<T, E>>,
        E: IntoBridgeError,
    {
        self.call_with(&self.audit_pool, &self.options.limits.retry, operation, work).await
    }

    /// As [`call`](Self::call), for work that must not be repeated as a whole.
    async fn call_without_retry<T, E, F>(
        &self,
        operation: &'static str,
        work: impl Fn(Tables) -> F,
    ) -> Result<T, BridgeError>
    where
        F: Future<Output = Result<T, E>>,
        E: IntoBridgeError,
    {
        let once = RetryPolicy { max_retries: 0, ..self.options.limits.retry };
        self.call_with(&self.pool, &once, operation, work).await
    }

    async fn call_with<T, E, F>(
        &self,
        pool: &BridgeConnectionPool,
        retry: &RetryPolicy,
        operation: &'static str,
        work: impl Fn(Tables) -> F,
    ) -> Result<T, BridgeError>
    where
        F: Future<Output = Result<T, E>>,
        E: IntoBridgeError,
    {
        let pause = || self.breaker.pause();
        let work = execute_with_retry(retry, &self.retries, pause, || async {
            self.pass_breaker(operation).await?;
            let token = pool.access_token();
            let result = match self.attempt(pool, operation, &work).await {
                // A refused call did nothing, so a single request can be repeated; work of several requests may have
                // begun.
                Err(error) if retry.max_retries > 0 && pool.renew_token(token, &error).await => {
                    self.attempt(pool, operation, &work).await
                }
                result => result,
            };
            self.breaker.record(&result);
            result
        });
        work.instrument(tracing::debug_span!("database", operation)).await
    }

    /// Admits the caller if the circuit breaker is closed. While it is open, one caller probes the database and the
    /// others fail at once.
    async fn pass_breaker(&self, operation: &'static str) -> Result<(), BridgeError> {
        match self.breaker.admit() {
            Ok(Admission::Pass) => Ok(()),
            Ok(Admission::Probe(probe)) => {
                let answer = self.pool.ping_dedicated().await;
                self.breaker.record_probe(probe, &answer);
                answer
            }
            Err(refused) => {
                let error =
                    BridgeError::connection(ConnectionKind::CircuitOpen, operation, &self.options.host);
                Err(error.with_source(refused))
            }
        }
    }

    async fn attempt<T, E, F>(
        &self,
        pool: &BridgeConnectionPool,
        operation: &'static str,
        work: impl Fn(Tables) -> F,
    ) -> Result<T, BridgeError>
    where
        F: Future<Output = Result<T, E>>,
        E: IntoBridgeError,
    {
        let connection = pool.acquire().await?;
        let tables = Tables::new(connection.connection(), &self.options);
        let limit = self.options.limits.operation_timeout;
        let error = match tokio::time::timeout(limit, work(tables)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.into_bridge_error(operation, &self.options.host),
            Err(_) => timed_out(operation, &self.options.host, limit),
        };
        connection.mark_failed();
        Err(error)
    }
}

/// An error that a call on a connection may end in.
trait IntoBridgeError {
    fn into_bridge_error(self, operation: &'static str, host: &str) -> BridgeError;
}

impl IntoBridgeError for clickhouse::error::Error {
    fn into_bridge_error(self, operation: &'static str, host: &str) -> BridgeError {
        bridge_error(operation, host, self)
    }
}

impl IntoBridgeError for TableError {
    fn into_bridge_error(self, operation: &'static str, host: &str) -> BridgeError {
        match self {
            Self::Client(error) => bridge_error(operation, host, error),
            Self::Bridge(error) => error,
        }
    }
}

#[async_trait]
impl TokenStore for ClickHouseStore {
    async fn migrate(&self) -> Result<(), BridgeError> {
        let options = &self.options;
        self.call("migrate", |tables| async move { schema::migrate(&tables, options).await }).await?;
        self.read_state().await.map(drop)
    }

    async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        self.upsert_in_group(rows, options).await
    }

    async fn cover(
        &self,
        keys: &[SupersededKey],
        options: &UpsertOptions,
    ) -> Result<Vec<ReplacedRow>, BridgeError> {
        self.cover_keys(keys, options).await
    }

    async fn put_sources(&self, records: &[SourceRecord]) -> Result<(), BridgeError> {
        self.insert_sources(records).await
    }

    async fn sources(&self, filter: &SourceFilter) -> Result<Vec<SourceRecord>, BridgeError> {
        self.read_sources(filter).await
    }

    async fn totals(&self, filter: &ResponseFilter) -> Result<StoreTotals, BridgeError> {
        self.read_totals(filter).await
    }

    async fn breakdown(
        &self,
        dimension: Dimension,
        filter: &ResponseFilter,
        limit: Option<u32>,
    ) -> Result<Vec<BreakdownRow>, BridgeError> {
        self.read_breakdown(dimension, filter, limit).await
    }

    async fn summaries(&self, filter: &SummaryFilter) -> Result<Vec<TokenSummaryRecord>, BridgeError> {
        self.read_summaries(filter).await
    }

    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardData, BridgeError> {
        self.read_dashboard(filter).await
    }

    async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError> {
        self.read_responses(filter).await
    }
}

impl StoreCapabilities for ClickHouseStore {
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
