//! Health probes of the database.

use std::sync::atomic::Ordering;

use ::clickhouse::Row;
use async_trait::async_trait;
use bridge_core::{BridgeError, HostName, Timestamp};
use serde::Deserialize;

use super::ClickHouseStore;
use super::connection::errors::{bridge_error, corrupt};
use super::schema::tables::Tables;
use crate::capabilities::{DiskSpace, HealthProbes, NewestSource};
use crate::stats::StoreStats;

/// An insert of no rows: it needs the right to write and tables that accept rows, and leaves no part behind.
const EMPTY_WRITES: [&str; 2] = [
    "INSERT INTO token_usage (key) SELECT key FROM token_usage WHERE 0",
    "INSERT INTO source_files (host) SELECT host FROM source_files WHERE 0",
];

#[derive(Debug, Row, Deserialize)]
struct NewestRow {
    records: u64,
    newest_modified: i64,
    newest_read: i64,
}

#[derive(Debug, Row, Deserialize)]
struct DiskRow {
    name: String,
    free: u64,
    total: u64,
}

impl ClickHouseStore {
    /// Makes one attempt on a separate connection. An answer closes the circuit; the caller interprets a failure.
    async fn look<T, F>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Tables) -> F,
    ) -> Result<T, BridgeError>
    where
        F: Future<Output = Result<T, ::clickhouse::error::Error>>,
    {
        let connection = self.pool.dedicated_connection();
        let answer = work(Tables::new(&connection, &self.options)).await;
        answer.map_err(|error| bridge_error(operation, &self.options.host, error))
    }
}

#[async_trait]
impl HealthProbes for ClickHouseStore {
    async fn probe_connection(&self) -> Result<(), BridgeError> {
        let answer = self.pool.ping_dedicated().await;
        if answer.is_ok() {
            self.breaker.record(&answer);
        }
        answer
    }

    async fn probe_write(&self) -> Result<(), BridgeError> {
        self.look("write nothing", |tables| async move {
            for statement in EMPTY_WRITES {
                tables.query(statement).execute().await?;
            }
            Ok(())
        })
        .await
    }

    async fn newest_source(
        &self,
        host: &HostName,
        until: Timestamp,
    ) -> Result<Option<NewestSource>, BridgeError> {
        let query = "SELECT count() AS records, toInt64(max(toUnixTimestamp64Milli(modified))) AS newest_modified, \
                     toInt64(max(toUnixTimestamp64Milli(read_at))) AS newest_read FROM source_files \
                     WHERE host = ? AND toUnixTimestamp64Milli(modified) <= ?";
        let row: NewestRow = self
            .look("find the newest source", |tables| async move {
                tables.query(query).bind(host.as_str()).bind(until.as_millis()).fetch_one().await
            })
            .await?;
        let time = |millis| {
            Timestamp::from_millis(millis)
                .map_err(|error| corrupt("find the newest source", error.to_string()))
        };
        if row.records == 0 {
            return Ok(None);
        }
        Ok(Some(NewestSource { modified: time(row.newest_modified)?, read_at: time(row.newest_read)? }))
    }

    fn stats(&self) -> StoreStats {
        StoreStats {
            retries: self.retries.load(Ordering::Relaxed),
            pool: Some(self.pool.status()),
            circuit: Some(self.breaker.state()),
        }
    }

    async fn disks(&self) -> Result<Vec<DiskSpace>, BridgeError> {
        // Unlimited ones, such as object storage, report the maximum.
        let query = "SELECT name, unreserved_space AS free, total_space AS total FROM system.disks \
                     WHERE total_space < 1000000000000000000 ORDER BY name";
        let rows: Vec<DiskRow> = self
            .look("read the disks", |tables| async move { tables.server().query(query).fetch_all().await })
            .await?;
        let reserve = self.options.limits.disk_reserve;
        Ok(rows
            .into_iter()
            .map(|DiskRow { name, free, total }| DiskSpace { name, free, total, reserve })
            .collect())
    }
}
