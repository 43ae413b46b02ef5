//! The store in ClickHouse, over HTTP with the official client.

mod backup;
mod dashboard;
mod failure;
mod options;
mod pool;
mod query;
mod retention;
mod roles;
mod rows;
mod schema;
mod source_rows;
mod stored;
mod tables;
#[cfg(feature = "tls")]
mod tls;
mod topology;
mod transport;
mod write;

use async_trait::async_trait;
use bridge_core::{BridgeError, ResponseKey, ResponseUsage, ResponseVersion, TokenSummaryRecord};

pub use options::ClickHouseOptions;
pub use pool::{BridgeConnectionPool, ClickHouseConnection, Connector, PooledConnection};
pub use retention::Retention;
pub use roles::role_statements;
pub(crate) use source_rows::stored_path;

use crate::dashboard::{DashboardFigures, DashboardFilter};
use crate::retry::execute_with_retry;
use crate::source::{SourceFilter, SourceRecord};
use crate::store::{
    BreakdownRow, Dimension, ResponseFilter, StoreTotals, SummaryFilter, TokenStore, UpsertOptions,
    UpsertOutcome,
};
use crate::stored::{StoredResponse, StoredScope};
use failure::{bridge_error, timed_out};
use schema::MigrationError;
use tables::Tables;

/// Keeps token usage in ClickHouse: one row a response key in a `ReplacingMergeTree`, read with `FINAL`.
#[derive(Debug)]
pub struct ClickHouseStore {
    pool: BridgeConnectionPool,
    options: ClickHouseOptions,
}

impl ClickHouseStore {
    /// A store at this server. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// The pool cannot be made, or no certificate to trust is found.
    pub fn new(options: ClickHouseOptions) -> Result<Self, BridgeError> {
        Ok(Self { pool: BridgeConnectionPool::new(&options)?, options })
    }

    /// The pool of connections.
    #[must_use]
    pub fn pool(&self) -> &BridgeConnectionPool {
        &self.pool
    }

    /// Runs a call on the tables, by a connection of the pool, with the time limit, trying again where that may help.
    async fn call<T, E, F>(
        &self,
        operation: &'static str,
        work: impl Fn(Tables) -> F,
    ) -> Result<T, BridgeError>
    where
        F: Future<Output = Result<T, E>>,
        E: IntoBridgeError,
    {
        execute_with_retry(&self.options.retry, || async {
            let connection = self.pool.acquire_connection().await?;
            let tables = Tables::new(connection.client(), &self.options);
            let limit = self.options.operation_timeout;
            let error = match tokio::time::timeout(limit, work(tables)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error.into_bridge_error(operation, &self.options.host),
                Err(_) => timed_out(operation, &self.options.host, limit),
            };
            connection.mark_failed();
            Err(error)
        })
        .await
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

impl IntoBridgeError for MigrationError {
    fn into_bridge_error(self, operation: &'static str, host: &str) -> BridgeError {
        match self {
            Self::Client(error) => bridge_error(operation, host, error),
            Self::Schema(error) => error,
        }
    }
}

#[async_trait]
impl TokenStore for ClickHouseStore {
    async fn migrate(&self) -> Result<(), BridgeError> {
        let options = &self.options;
        self.call("migrate", |tables| async move { schema::migrate(&tables, options).await }).await
    }

    async fn ping(&self) -> Result<(), BridgeError> {
        self.call("ping", |tables| async move {
            tables.server().query("SELECT 1").fetch_one::<u8>().await.map(drop)
        })
        .await
    }

    async fn upsert(
        &self,
        rows: &[ResponseUsage],
        options: &UpsertOptions,
    ) -> Result<Vec<UpsertOutcome>, BridgeError> {
        self.upsert_rows(rows, options).await
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

    async fn dashboard(&self, filter: &DashboardFilter) -> Result<DashboardFigures, BridgeError> {
        self.read_dashboard(filter).await
    }

    async fn responses(&self, filter: &ResponseFilter) -> Result<Vec<ResponseUsage>, BridgeError> {
        self.read_responses(filter).await
    }

    async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError> {
        self.read_stored(scope).await
    }

    async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError> {
        self.remove_rows(versions).await
    }
}
