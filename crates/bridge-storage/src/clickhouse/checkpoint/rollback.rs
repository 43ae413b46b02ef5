//! Rolls back: the checkpoint's state becomes the live one, by one exchange per table.

use bridge_core::{BridgeError, CheckpointName, Epoch, Timestamp};

use super::catalog::{DataTable, TableCatalog, of_checkpoint, of_claim};
use super::catch_up::Copy;
use super::ddl::{Ddl, DdlOutcome};
use super::metadata::TableMetadata;
use super::recovery::finish_pending_rollbacks;
use super::{drop_all, new_run};
use crate::capabilities::{UNKNOWN, rolled_back, unusable};
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::schema::SCHEMA;
use crate::clickhouse::schema::retention::age_of_rows;
use crate::clickhouse::schema::room;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;

const OPERATION: &str = "roll back";

/// A rollback that can only be completed.
struct Begun {
    run: String,
    epoch: Epoch,
}

impl ClickHouseStore {
    pub(crate) async fn roll_back_to(
        &self,
        name: &CheckpointName,
        now: Timestamp,
    ) -> Result<CheckpointName, BridgeError> {
        let topology = &self.options.topology;
        let begun = self
            .call_without_retry(OPERATION, |tables| async move {
                let tables = tables.urgent();
                let catalog = finish_pending_rollbacks(&tables, topology).await?;
                begin(&tables, topology, &catalog, name, now).await
            })
            .await?;
        let catalog =
            self.call(OPERATION, |tables| async move {
                finish_pending_rollbacks(&tables.urgent(), topology).await
            })
            .await?;
        self.forget_state();
        let live = catalog.live(DataTable::Usage);
        let replaced = CheckpointName::before_rollback(begun.epoch);
        match catalog.checkpoint(&replaced) {
            Some(_) if live.run == begun.run => Ok(replaced),
            _ => Err(overtaken(live.from.as_ref())),
        }
    }
}

/// Copies the checkpoint and claims the next epoch for it. Until the last step, no reader sees a change.
async fn begin(
    tables: &Tables,
    topology: &Topology,
    catalog: &TableCatalog,
    name: &CheckpointName,
    now: Timestamp,
) -> Result<Begun, TableError> {
    let Some(checkpoint) = catalog.checkpoint(name) else {
        return Err(unusable(OPERATION, name, UNKNOWN).into());
    };
    if checkpoint.schema > SCHEMA {
        let why = format!("has schema {}, from a newer version; this one knows {SCHEMA}", checkpoint.schema);
        return Err(unusable(OPERATION, name, &why).into());
    }
    room::check(tables, OPERATION).await?;
    let epoch = catalog.live(DataTable::Usage).epoch.next();
    let run = new_run();
    let metadata = TableMetadata {
        epoch,
        from: Some(name.clone()),
        run: run.clone(),
        at: now.as_millis(),
        schema: SCHEMA,
        totals: checkpoint.totals,
        ..TableMetadata::default()
    };
    let (sources, usage) = (DataTable::Sources.of_run(&run), DataTable::Usage.of_run(&run));
    let copy = async |base, table: &str, of: &str| {
        let copied = Copy { base, table, checkpoint: name, schema: checkpoint.schema };
        make_copy(tables, topology, &copied, of, &metadata).await
    };
    let (of_sources, of_usage) = (DataTable::Sources.of_run(&checkpoint.run), of_checkpoint(name));
    // Both run to completion, because a dropped statement continues in the database.
    let (of_sources, of_usage) = tokio::join!(
        copy(DataTable::Sources, &sources, &of_sources),
        copy(DataTable::Usage, &usage, &of_usage)
    );
    if (of_sources?, of_usage?) != (DdlOutcome::Applied, DdlOutcome::Applied) {
        drop_all(tables, topology, &[&sources, &usage]).await?;
        return Err(unusable(OPERATION, name, UNKNOWN).into());
    }
    let claim = Ddl::Claim { table: &of_claim(epoch), metadata: &metadata };
    if claim.execute(tables, topology).await? == DdlOutcome::Conflict {
        drop_all(tables, topology, &[&sources, &usage]).await?;
        return Err(overtaken(None).into());
    }
    Ok(Begun { run, epoch })
}

/// Copies one table, in this version's form and fenced off from rows of older epochs.
async fn make_copy(
    tables: &Tables,
    topology: &Topology,
    copy: &Copy<'_>,
    of: &str,
    metadata: &TableMetadata,
) -> Result<DdlOutcome, TableError> {
    let table = copy.table;
    if (Ddl::Clone { table, of }).execute(tables, topology).await? == DdlOutcome::Conflict {
        return Ok(DdlOutcome::Conflict);
    }
    copy.catch_up(OPERATION, tables, topology, metadata.epoch).await?;
    let mut changes = vec![Ddl::Fence { table, metadata }];
    // The retention is not part of a checkpoint's state, so the live table's is kept.
    let (age, of_copied) =
        tokio::try_join!(age_of_rows(tables, topology, copy.base.live()), age_of_rows(tables, topology, of))?;
    if age != of_copied {
        changes.push(Ddl::Age { table, age: age.as_deref() });
    }
    for change in changes {
        if change.execute(tables, topology).await? == DdlOutcome::Conflict {
            return Ok(DdlOutcome::Conflict);
        }
    }
    Ok(DdlOutcome::Applied)
}

fn overtaken(by: Option<&CheckpointName>) -> BridgeError {
    let to = by.map(|name| format!(", to checkpoint {name},")).unwrap_or_default();
    rolled_back(OPERATION, format!("another rollback{to} was faster"))
}
