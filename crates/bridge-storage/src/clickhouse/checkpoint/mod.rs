//! Checkpoints: copies of the tables that share their files on disk.

pub(crate) mod catalog;
mod catch_up;
pub(crate) mod ddl;
pub(crate) mod metadata;
pub(crate) mod recovery;
mod repair;
mod rollback;
mod state;

use ::clickhouse::Row;
use async_trait::async_trait;
use bridge_core::{
    BridgeError, Checkpoint, CheckpointComparison, CheckpointName, CheckpointTotals, SessionDifference,
    SessionId, StoreState, Timestamp,
};
use serde::Deserialize;

use crate::capabilities::{
    CheckpointStore, DIFFERENCES_MAX, RESERVED, TAKEN, UNKNOWN, rolled_back, unusable,
};
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::connection::errors::{TableError, corrupt};
use crate::clickhouse::schema::SCHEMA;
use crate::clickhouse::schema::retention::age_of_rows;
use crate::clickhouse::schema::room;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;
use crate::clickhouse::usage::rows::COUNTED;
use crate::clickhouse::usage::saturating::{TOKENS, sum};
use catalog::{DataTable, TableCatalog, of_checkpoint};
use ddl::{Ddl, DdlOutcome};
use metadata::TableMetadata;
use recovery::{count_totals, finish_pending_rollbacks};

#[async_trait]
impl CheckpointStore for ClickHouseStore {
    async fn state(&self) -> Result<StoreState, BridgeError> {
        self.read_state().await
    }

    async fn create_checkpoint(
        &self,
        name: &CheckpointName,
        now: Timestamp,
    ) -> Result<Checkpoint, BridgeError> {
        let topology = &self.options.topology;
        self.call_without_retry("create a checkpoint", |tables| async move {
            create(&tables, topology, name, now).await
        })
        .await
    }

    async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, BridgeError> {
        let topology = &self.options.topology;
        self.call("list checkpoints", |tables| async move { list(&tables, topology).await }).await
    }

    async fn drop_checkpoint(&self, name: &CheckpointName) -> Result<(), BridgeError> {
        let topology = &self.options.topology;
        self.call_without_retry(
            "drop a checkpoint",
            |tables| async move { remove(&tables, topology, name).await },
        )
        .await
    }

    async fn compare_with_checkpoint(
        &self,
        name: &CheckpointName,
    ) -> Result<CheckpointComparison, BridgeError> {
        self.compare(name).await
    }

    async fn roll_back(&self, name: &CheckpointName, now: Timestamp) -> Result<CheckpointName, BridgeError> {
        self.roll_back_to(name, now).await
    }

    async fn resume(&self) -> Result<StoreState, BridgeError> {
        self.resume_storing().await
    }
}

/// Counts the states that rollbacks replaced. A rollback itself does not take the time to.
async fn list(tables: &Tables, topology: &Topology) -> Result<Vec<Checkpoint>, clickhouse::error::Error> {
    let catalog = TableCatalog::read(tables, topology).await?;
    let mut all = Vec::new();
    for (name, metadata) in catalog.checkpoints() {
        let totals = totals_of(tables, topology, &name, metadata).await?;
        all.push(metadata.checkpoint(name, totals));
    }
    all.sort_by_key(|checkpoint| checkpoint.taken_at);
    Ok(all)
}

async fn totals_of(
    tables: &Tables,
    topology: &Topology,
    name: &CheckpointName,
    metadata: &TableMetadata,
) -> Result<CheckpointTotals, clickhouse::error::Error> {
    match metadata.totals {
        Some(totals) => Ok(totals),
        None => count_totals(tables, &topology.quoted_name(&of_checkpoint(name))).await,
    }
}

/// Returns a unique name for a copy.
pub(crate) fn new_run() -> String {
    format!("{:016x}", fastrand::u64(..))
}

async fn create(
    tables: &Tables,
    topology: &Topology,
    name: &CheckpointName,
    now: Timestamp,
) -> Result<Checkpoint, TableError> {
    const OPERATION: &str = "create a checkpoint";
    let catalog = finish_pending_rollbacks(tables, topology).await?;
    if name.is_automatic() {
        return Err(unusable(OPERATION, name, RESERVED).into());
    }
    if catalog.checkpoint(name).is_some() {
        return Err(unusable(OPERATION, name, TAKEN).into());
    }
    sweep(tables, topology, &catalog).await?;
    room::check(tables, OPERATION).await?;
    let run = new_run();
    let (sources, usage) = (DataTable::Sources.of_run(&run), DataTable::Usage.of_run(&run));
    let copied = copy_live(tables, topology, &sources, &usage).await?;
    let Some(TableMetadata { epoch, .. }) = copied else {
        drop_all(tables, topology, &[&sources, &usage]).await?;
        return Err(rolled_back(OPERATION, "a rollback intervened".to_owned()).into());
    };
    let totals = count_totals(tables, &topology.quoted_name(&usage)).await?;
    let metadata = &TableMetadata {
        epoch,
        run,
        at: now.as_millis(),
        schema: SCHEMA,
        totals: Some(totals),
        ..TableMetadata::default()
    };
    // The name makes it a checkpoint.
    for change in
        [Ddl::Mark { table: &usage, metadata }, Ddl::Rename { table: &usage, to: &of_checkpoint(name) }]
    {
        if change.execute(tables, topology).await? == DdlOutcome::Conflict {
            drop_all(tables, topology, &[&sources, &usage]).await?;
            return Err(unusable(OPERATION, name, TAKEN).into());
        }
    }
    Ok(metadata.checkpoint(name.clone(), totals))
}

/// Copies the live tables, the sources first, so that no copied cursor refers to rows that are not copied. `None` if
/// a rollback intervened. Retention does not apply to a saved state.
async fn copy_live(
    tables: &Tables,
    topology: &Topology,
    sources: &str,
    usage: &str,
) -> Result<Option<TableMetadata>, TableError> {
    for (table, base) in [(sources, DataTable::Sources), (usage, DataTable::Usage)] {
        let copy = Ddl::Clone { table, of: base.live() };
        if copy.execute(tables, topology).await? != DdlOutcome::Applied {
            return Ok(None);
        }
    }
    // The copies have the metadata of what they are copies of.
    let catalog = TableCatalog::read(tables, topology).await?;
    if age_of_rows(tables, topology, usage).await?.is_some() {
        let _ = Ddl::Age { table: usage, age: None }.execute(tables, topology).await?;
    }
    let (sources, usage) = (catalog.metadata(sources), catalog.metadata(usage));
    Ok(Some(usage).filter(|usage| usage.epoch == sources.epoch))
}

/// The checkpoint is dropped first, so that no program sees one without sources.
async fn remove(tables: &Tables, topology: &Topology, name: &CheckpointName) -> Result<(), TableError> {
    let catalog = finish_pending_rollbacks(tables, topology).await?;
    let Some(metadata) = catalog.checkpoint(name) else {
        return Err(unusable("drop a checkpoint", name, UNKNOWN).into());
    };
    drop_all(tables, topology, &[&of_checkpoint(name), &DataTable::Sources.of_run(&metadata.run)]).await?;
    sweep(tables, topology, &catalog).await
}

/// Drops copies left by killed processes.
pub(crate) async fn sweep(
    tables: &Tables,
    topology: &Topology,
    catalog: &TableCatalog,
) -> Result<(), TableError> {
    let abandoned = catalog.abandoned();
    drop_all(tables, topology, &abandoned.iter().map(String::as_str).collect::<Vec<_>>()).await
}

pub(crate) async fn drop_all(tables: &Tables, topology: &Topology, names: &[&str]) -> Result<(), TableError> {
    for table in names {
        let _ = Ddl::Drop { table }.execute(tables, topology).await?;
    }
    Ok(())
}

#[derive(Debug, Row, Deserialize)]
struct DifferenceRow {
    session: String,
    tokens_now: u64,
    tokens_then: u64,
    differing_sessions: u64,
}

impl ClickHouseStore {
    async fn compare(&self, name: &CheckpointName) -> Result<CheckpointComparison, BridgeError> {
        const OPERATION: &str = "compare with a checkpoint";
        let topology = &self.options.topology;
        let catalog =
            self.call(OPERATION, |tables| async move { TableCatalog::read(&tables, topology).await }).await?;
        let metadata = catalog.checkpoint(name).ok_or_else(|| unusable(OPERATION, name, UNKNOWN))?;
        let checkpoint = &topology.quoted_name(&of_checkpoint(name));
        let query = &comparison(checkpoint);
        let live = &topology.quoted_name(DataTable::Usage.live());
        let (now, then, rows) = self
            .call(OPERATION, |tables| async move {
                let now: CheckpointTotals = count_totals(&tables, live).await?;
                let then = totals_of(&tables, topology, name, metadata).await?;
                let rows: Vec<DifferenceRow> = tables.query(query).fetch_all().await?;
                Ok::<_, clickhouse::error::Error>((now, then, rows))
            })
            .await?;
        let differing_sessions = rows.first().map_or(0, |row| row.differing_sessions);
        let differences = rows.into_iter().map(|row| {
            let session =
                SessionId::new(row.session).map_err(|error| corrupt(OPERATION, error.to_string()))?;
            Ok(SessionDifference { session, tokens_now: row.tokens_now, tokens_then: row.tokens_then })
        });
        let differences = differences.collect::<Result<_, BridgeError>>()?;
        Ok(CheckpointComparison { now, then, differing_sessions, differences })
    }
}

/// The sessions whose rows differ, by key and version.
fn comparison(checkpoint: &str) -> String {
    let state = |table: &str, tokens: &str, then: &str| {
        format!(
            "SELECT session_id, {tokens} AS now, {then} AS then, cityHash64(key, version) AS hash FROM {table} FINAL \
             WHERE {COUNTED}"
        )
    };
    let (now, then) = (state("token_usage", TOKENS, "0"), state(checkpoint, "0", TOKENS));
    format!(
        "SELECT session_id AS session, {tokens_now} AS tokens_now, {tokens_then} AS tokens_then, \
         count() OVER () AS differing_sessions FROM ({now} UNION ALL {then}) GROUP BY session_id \
         HAVING groupBitXor(hash) != 0 \
         ORDER BY toUInt64(greatest(tokens_now, tokens_then) - least(tokens_now, tokens_then)) DESC, session \
         LIMIT {DIFFERENCES_MAX}",
        tokens_now = sum("now"),
        tokens_then = sum("then"),
    )
}
