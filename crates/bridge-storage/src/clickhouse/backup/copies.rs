//! Copies of tables in a session of the database.

use std::time::Duration;

use ::clickhouse::Row;
use ::clickhouse::query::Query;
use bridge_core::{BridgeError, Epoch, StorageKind, TokenCounts};
use serde::Deserialize;

use super::slices::{Slice, Slices};
use super::values::{Column, Values, names};
use crate::capabilities::{BACKUP_TABLES, ExportSummary, TableRows};
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::usage::rows::COUNTED;
use crate::clickhouse::usage::saturating::{COUNTERS, WORTH_TOKENS, sum};
use crate::query::StoreTotals;

/// The server drops a session's tables after it was idle for this long.
const SESSION: Duration = Duration::from_mins(5);

/// Temporary tables in a session of their own. They share the files of the live tables, so they are created in
/// milliseconds, whatever their size.
///
/// Architecture invariant: no backup needs a cleanup. The session of a killed program is no longer used, so the
/// server ends it and drops the tables.
#[derive(Debug)]
pub(crate) struct Copies<'a> {
    pub(crate) store: &'a ClickHouseStore,
    session: String,
    /// The epoch of their store.
    epoch: Epoch,
    slices: Vec<Slices>,
}

#[derive(Row, Deserialize)]
struct Engine {
    engine_full: String,
    sorting_key: String,
}

#[derive(Row, Deserialize)]
struct Sums {
    responses: u64,
    responses_worth_tokens: u64,
    unfinished_responses: u64,
    sessions: u64,
    counters: (u64, u64, u64, u64),
}

impl<'a> Copies<'a> {
    /// No tables yet.
    pub(crate) fn none(store: &'a ClickHouseStore) -> Self {
        let session = format!("bridge-backup-{:032x}", fastrand::u128(..));
        Self { store, session, epoch: Epoch::default(), slices: Vec::new() }
    }

    /// Copies the live tables: sources before rows, so that no cursor is ahead of its rows.
    pub(crate) async fn of_live_tables(store: &'a ClickHouseStore) -> Result<Self, BridgeError> {
        let mut copies = Self::none(store);
        copies.epoch = store.read_state().await?.epoch;
        for table in BACKUP_TABLES.into_iter().rev() {
            let engine = copies.engine_of(table).await?;
            let copy = copy_name(table);
            copies
                .run(&format!("CREATE TEMPORARY TABLE IF NOT EXISTS {copy} AS {table} ENGINE = {engine}"))
                .await?;
            copies.run(&format!("ALTER TABLE {copy} ATTACH PARTITION ALL FROM {table}")).await?;
        }
        if store.read_state().await?.epoch != copies.epoch {
            let message = "it was rolled back during the copy; begin again".to_owned();
            return Err(failure("begin a backup", StorageKind::RolledBack, message));
        }
        Ok(copies)
    }

    /// Returns the engine of a live table, without its retention. The copy has the same sorting key.
    async fn engine_of(&mut self, table: &'static str) -> Result<String, BridgeError> {
        let Engine { engine_full, sorting_key } = self
            .store
            .call("begin a backup", |tables| async move {
                let query = "SELECT engine_full, sorting_key FROM system.tables \
                             WHERE database = currentDatabase() AND name = ?";
                tables.query(query).bind(tables.name(table)).fetch_one().await
            })
            .await?;
        if engine_full.starts_with("Distributed") {
            let message =
                "the rows of a cluster are spread over servers; use the server's BACKUP … ON CLUSTER";
            return Err(failure("begin a backup", StorageKind::Unsupported, message.to_owned()));
        }
        self.slices.insert(0, Slices { table, sorting_key });
        let end = [" TTL ", " SETTINGS "].iter().filter_map(|word| engine_full.find(word)).min();
        Ok(engine_full[..end.unwrap_or(engine_full.len())].to_owned())
    }

    /// Records the epoch in a separate table, for a backup that has no manifest.
    pub(crate) async fn write_epoch(&self) -> Result<(), BridgeError> {
        let (table, epoch) = (copy_name(EPOCH), self.epoch);
        self.run(&format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {table} (epoch UInt32) ENGINE = MergeTree ORDER BY epoch"
        ))
        .await?;
        self.run(&format!("INSERT INTO {table} VALUES ({epoch})")).await
    }

    /// Attaches these tables, which were restored into the session.
    pub(crate) async fn attach_restored(&mut self, restored: &[&'static str]) -> Result<(), BridgeError> {
        self.epoch = Epoch(self.fetch_one(&format!("SELECT max(epoch) FROM {}", copy_name(EPOCH))).await?);
        for table in restored.iter().rev() {
            self.engine_of(table).await?;
        }
        Ok(())
    }

    /// Returns the content of the tables, and the slices to read.
    pub(crate) async fn plan(&self, slice_rows: u64) -> Result<(ExportSummary, Vec<Slice>), BridgeError> {
        let (epoch, totals) = (self.epoch, self.totals().await?);
        let mut summary = ExportSummary { epoch, totals, ..ExportSummary::default() };
        let mut all = Vec::new();
        for slices in &self.slices {
            let rows =
                self.fetch_one(&format!("SELECT count() FROM {} FINAL", copy_name(slices.table))).await?;
            summary.tables.push(TableRows { table: slices.table.to_owned(), rows });
            let bits = Slices::bits(rows, slice_rows);
            let counts: Vec<(u64, u64)> = self.fetch_all(&slices.counting(bits)).await?;
            all.extend(counts.into_iter().map(|(number, rows)| slices.slice(bits, number, rows)));
        }
        Ok((summary, all))
    }

    async fn totals(&self) -> Result<StoreTotals, BridgeError> {
        let query = format!(
            "SELECT count() AS responses, countIf({WORTH_TOKENS}) AS responses_worth_tokens,
                countIf({WORTH_TOKENS} AND NOT finished) AS unfinished_responses, uniqExact(session_id) AS sessions,
                ({counters}) AS counters
            FROM {table} FINAL WHERE {COUNTED}",
            counters = COUNTERS.map(sum).join(", "),
            table = copy_name("token_usage"),
        );
        let sums: Sums = self.fetch_one(&query).await?;
        let (input, output, cache_creation, cache_read) = sums.counters;
        Ok(StoreTotals {
            responses: sums.responses,
            responses_worth_tokens: sums.responses_worth_tokens,
            unfinished_responses: sums.unfinished_responses,
            sessions: sums.sessions,
            counts: TokenCounts { input, output, cache_creation, cache_read },
        })
    }

    /// Returns the rows of a slice in this format, each once.
    pub(crate) async fn read(&self, slice: &Slice, format: &'static str) -> Result<Vec<u8>, BridgeError> {
        let query = &slice.reading();
        let bytes = self.store.call("read a backup's rows", |tables| async move {
            let query = self
                .in_session(tables.query_raw(query))
                // The whole answer or an error: a truncated part must not pass for a whole one.
                .with_setting("wait_end_of_query", "1")
                .with_setting("output_format_parquet_compression_method", "zstd")
                .with_setting("date_time_output_format", "iso");
            query.fetch_bytes(format)?.collect().await
        });
        Ok(bytes.await?.into())
    }

    /// Merges the rows of a slice into the live table, by the names of their columns.
    pub(crate) async fn insert_into_live(&self, slice: &Slice, begun_in: Epoch) -> Result<(), BridgeError> {
        let table = slice.table;
        let query = "SELECT name, type FROM system.columns WHERE database = '' AND table";
        let query = format!("{query} = '{}' AND default_kind != 'ALIAS' ORDER BY position", copy_name(table));
        let columns: Vec<Column> = self.fetch_all(&query).await?;
        let values = Values { exported: self.epoch, begun_in }.expressions(table, &columns);
        let rows = slice.reading().replacen('*', &values, 1);
        self.run(&format!("INSERT INTO {table} ({}) {rows}", names(&columns))).await
    }

    /// Drops the copies now, not only when the session ends.
    pub(crate) async fn drop_all(&self) -> Result<(), BridgeError> {
        for Slices { table, .. } in &self.slices {
            self.run(&format!("DROP TEMPORARY TABLE IF EXISTS {}", copy_name(table))).await?;
        }
        Ok(())
    }

    pub(crate) async fn run(&self, statement: &str) -> Result<(), BridgeError> {
        self.store
            .call("back up", |tables| {
                let query = self.in_session(tables.query_raw(statement));
                async move { query.execute().await }
            })
            .await
    }

    pub(crate) async fn fetch_one<T>(&self, query: &str) -> Result<T, BridgeError>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        self.store
            .call("back up", |tables| {
                let query = self.in_session(tables.query_raw(query));
                async move { query.fetch_one().await }
            })
            .await
    }

    pub(crate) async fn fetch_all<T>(&self, query: &str) -> Result<Vec<T>, BridgeError>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        self.store
            .call("back up", |tables| {
                let query = self.in_session(tables.query_raw(query));
                async move { query.fetch_all().await }
            })
            .await
    }

    fn in_session(&self, query: Query) -> Query {
        query
            .with_setting("session_id", &self.session)
            .with_setting("session_timeout", SESSION.as_secs().to_string())
    }
}

/// A further table in a backup that the server writes: one row with the store's epoch.
pub(crate) const EPOCH: &str = "epoch";

/// Returns the name of a table's copy. No live table has such a name, whatever its prefix.
pub(crate) fn copy_name(table: &str) -> String {
    format!("backup_{table}")
}

fn failure(operation: &'static str, kind: StorageKind, message: String) -> BridgeError {
    BridgeError::storage(kind, operation, message)
}
