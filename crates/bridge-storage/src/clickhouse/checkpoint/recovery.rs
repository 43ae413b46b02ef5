//! Finishes interrupted rollbacks.
//!
//! A rollback has begun when its claim exists: a table with the epoch in its name, so that of several
//! rollbacks to one epoch one succeeds, and whose metadata names the run whose copies are to become live.
//!
//! `EXCHANGE TABLES` is atomic but cannot simply be repeated, because a second one undoes the first. So each uses
//! a name of the copy that belongs to one program alone. A program that wants to complete a rollback first
//! renames the copy to the number of a new attempt. Of several programs one succeeds, and an exchange that another
//! sent with the old name fails, however late it arrives. Only then is the metadata read, which says whether the
//! exchange was already made. Every step can be the last before a crash.

use std::time::Duration;

use ::clickhouse::Row;
use ::clickhouse::error::Result;
use bridge_core::{BridgeError, CheckpointName, CheckpointTotals, Epoch, StorageKind};
use serde::Deserialize;

use super::catalog::{DataTable, StagedTable, TableCatalog, of_checkpoint, of_claim};
use super::ddl::{Ddl, DdlOutcome};
use super::metadata::TableMetadata;
use super::repair::restore_metadata;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::schema::SCHEMA;
use crate::clickhouse::schema::retention::age_of_rows;
use crate::clickhouse::schema::room;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;
use crate::clickhouse::usage::rows::COUNTED;
use crate::clickhouse::usage::saturating::{TOKENS, sum};

const OPERATION: &str = "roll back";

/// A rollback has fewer steps than this. More are only needed if many programs overtake each other.
const STEPS_MAX: u32 = 200;

/// The time between two checks of what another program does.
const PAUSE: Duration = Duration::from_millis(5);

/// Completes every rollback that was begun, drops the losing ones, and returns the catalog afterwards.
pub(crate) async fn finish_pending_rollbacks(
    tables: &Tables,
    topology: &Topology,
) -> std::result::Result<TableCatalog, TableError> {
    for _ in 0..STEPS_MAX {
        let catalog = TableCatalog::read(tables, topology).await?;
        if !catalog.repaired().is_empty() {
            room::check(tables, OPERATION).await?;
            restore_metadata(tables, topology, &catalog).await?;
            continue;
        }
        let Some(rollback) = Rollback::first(tables, topology, &catalog) else { return Ok(catalog) };
        room::check(tables, OPERATION).await?;
        if rollback.step().await? == DdlOutcome::Conflict {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let message = "an unfinished rollback cannot be completed";
    Err(TableError::Bridge(BridgeError::storage(StorageKind::Busy, OPERATION, message)))
}

/// A rollback that was begun. A catalog may miss a table that is renamed meanwhile. So a missing table only means that
/// the catalog is read again.
struct Rollback<'a> {
    tables: &'a Tables,
    topology: &'a Topology,
    catalog: &'a TableCatalog,
    epoch: Epoch,
    /// The copy of the checkpoint's sources, or, after the exchange, what was live before.
    sources: Option<StagedTable>,
    usage: Option<StagedTable>,
}

impl<'a> Rollback<'a> {
    /// Returns the earliest one.
    fn first(tables: &'a Tables, topology: &'a Topology, catalog: &'a TableCatalog) -> Option<Self> {
        let epoch = catalog.first_rollback()?;
        let [sources, usage] = [DataTable::Sources, DataTable::Usage].map(|base| catalog.staged(base, epoch));
        Some(Self { tables, topology, catalog, epoch, sources, usage })
    }

    /// Takes the next step: exchange both tables, save what they replaced, drop the claim.
    async fn step(&self) -> Result<DdlOutcome> {
        match (&self.sources, &self.usage) {
            // Sources before rows: a crash in between leaves old cursors over new rows, which costs a re-read. The
            // other way round, there would be cursors of rows that the rollback took back.
            (Some(sources), _) if !sources.is_replaced() => self.exchange(DataTable::Sources, sources).await,
            (_, Some(usage)) if !usage.is_replaced() && self.is_over(DataTable::Sources) => {
                self.exchange(DataTable::Usage, usage).await
            }
            // Both are exchanged. The sources are renamed first: a checkpoint is one when its rows have their name.
            (Some(sources), Some(usage)) if usage.is_replaced() => match self.mark(usage).await? {
                DdlOutcome::Applied => self.keep_sources(sources).await,
                DdlOutcome::Conflict => Ok(DdlOutcome::Conflict),
            },
            (Some(sources), None) if self.catalog.checkpoint(&self.replaced()).is_some() => {
                self.keep_sources(sources).await
            }
            (None, Some(usage)) if usage.metadata.run == self.run() => {
                let to = of_checkpoint(&self.replaced());
                self.execute(Ddl::Rename { table: &usage.name, to: &to }).await
            }
            // The claim is dropped last: as long as it exists, the next program continues this rollback.
            (None, None) if self.is_over(DataTable::Sources) && self.is_over(DataTable::Usage) => {
                self.execute(Ddl::Drop { table: &of_claim(self.epoch) }).await
            }
            _ => Ok(DdlOutcome::Conflict),
        }
    }

    /// Returns whether this rollback, or another to the same epoch, has exchanged the table.
    fn is_over(&self, base: DataTable) -> bool {
        self.catalog.live(base).epoch >= self.epoch
    }

    /// Exchanges the table, or drops it if another rollback was faster.
    async fn exchange(&self, base: DataTable, staged: &StagedTable) -> Result<DdlOutcome> {
        let attempt = self.catalog.last_attempt(base, self.epoch) + 1;
        let own = base.of_rollback(self.epoch, attempt);
        let taken = self.execute(Ddl::Rename { table: &staged.name, to: &own }).await?;
        if taken == DdlOutcome::Conflict {
            return Ok(taken);
        }
        // No other program can exchange it under its old name now, but one may have done so before.
        let catalog = TableCatalog::read(self.tables, self.topology).await?;
        // The renamed table is the one that was live: the exchange was made under the old name.
        if catalog.metadata(&own).epoch < self.epoch {
            return Ok(DdlOutcome::Applied);
        }
        if catalog.live(base).epoch < self.epoch {
            return self.execute(Ddl::Exchange { table: base.live(), with: &own }).await;
        }
        // Another rollback to this epoch was faster, so the copy is useless.
        self.execute(Ddl::Drop { table: &own }).await
    }

    /// Returns the checkpoint of the replaced state.
    fn replaced(&self) -> CheckpointName {
        CheckpointName::before_rollback(self.epoch)
    }

    /// Returns the run of that checkpoint.
    fn run(&self) -> String {
        format!("before_{}", self.epoch)
    }

    /// Repeated even if it seems done: an alteration that another program's renaming spoils may be in the
    /// database's memory only.
    async fn mark(&self, usage: &StagedTable) -> Result<DdlOutcome> {
        if age_of_rows(self.tables, self.topology, &usage.name).await?.is_some() {
            let kept = self.execute(Ddl::Age { table: &usage.name, age: None }).await?;
            if kept == DdlOutcome::Conflict {
                return Ok(kept);
            }
        }
        let run = self.run();
        let at = self.catalog.live(DataTable::Usage).at;
        let metadata = &TableMetadata {
            epoch: usage.metadata.epoch,
            run,
            at,
            schema: SCHEMA,
            ..TableMetadata::default()
        };
        self.execute(Ddl::Mark { table: &usage.name, metadata }).await
    }

    async fn keep_sources(&self, sources: &StagedTable) -> Result<DdlOutcome> {
        let to = DataTable::Sources.of_run(&self.run());
        self.execute(Ddl::Rename { table: &sources.name, to: &to }).await
    }

    async fn execute(&self, change: Ddl<'_>) -> Result<DdlOutcome> {
        change.execute(self.tables, self.topology).await
    }
}

#[derive(Row, Deserialize)]
struct CheckpointTotalsRow {
    tokens: u64,
    responses: u64,
    sessions: u64,
}

/// Returns the totals of a `token_usage` of this quoted name.
pub(crate) async fn count_totals(tables: &Tables, table: &str) -> Result<CheckpointTotals> {
    let query = format!(
        "SELECT {tokens} AS tokens, count() AS responses, uniqExact(session_id) AS sessions \
         FROM {table} FINAL WHERE {COUNTED}",
        tokens = sum(TOKENS),
    );
    let CheckpointTotalsRow { tokens, responses, sessions } = tables.query(&query).fetch_one().await?;
    Ok(CheckpointTotals { tokens, responses, sessions })
}
