//! Restores the metadata of tables whose definition was lost and recreated (see [`table_definition`]).
//!
//! All rows are there, but their table's comment is not. It is derived from what is left: the metadata of the
//! other live table, the epochs of the rows, the claim or the checkpoint that names the run of a copy. A lost cursor
//! costs a re-read and never a wrong total.
//!
//! [`table_definition`]: crate::clickhouse::schema::definition::table_definition

use ::clickhouse::error::Result;
use bridge_core::Epoch;

use super::catalog::{DataTable, TableCatalog, TableRole};
use super::ddl::{Ddl, DdlOutcome};
use super::metadata::TableMetadata;
use super::new_run;
use crate::clickhouse::schema::SCHEMA;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;

/// Gives each repaired table the metadata that it must have had, or drops it if it belongs to nothing.
pub(crate) async fn restore_metadata(
    tables: &Tables,
    topology: &Topology,
    catalog: &TableCatalog,
) -> Result<()> {
    for name in catalog.repaired() {
        let change = match TableRole::parse(name) {
            TableRole::Live(base) => Some(live_metadata(tables, topology, catalog, base).await?),
            TableRole::Run(run) => catalog.metadata_of_run(run).cloned(),
            TableRole::Checkpoint => Some(checkpoint_metadata(tables, topology, catalog, name).await?),
            TableRole::Rollback(base, epoch) => Some(rollback_metadata(catalog, base, epoch)),
            // A rollback whose claim is lost has not begun, or is recognized by the tables that it has renamed.
            TableRole::Claim | TableRole::Unknown => None,
        };
        let change = match &change {
            Some(metadata) => Ddl::Fence { table: name, metadata },
            None => Ddl::Drop { table: name },
        };
        // A conflict means that another program was faster and did the same.
        let (DdlOutcome::Applied | DdlOutcome::Conflict) = change.execute(tables, topology).await?;
    }
    Ok(())
}

/// Both live tables became live by the same rollback, unless one is under way, which determines their epochs itself.
async fn live_metadata(
    tables: &Tables,
    topology: &Topology,
    catalog: &TableCatalog,
    base: DataTable,
) -> Result<TableMetadata> {
    let other = catalog.live(base.other());
    if !other.is_repaired {
        return Ok(other);
    }
    let mut epoch = Epoch::default();
    for base in [DataTable::Sources, DataTable::Usage] {
        epoch = epoch.max(newest_epoch(tables, &topology.quoted_name(base.live())).await?);
    }
    Ok(TableMetadata { epoch, run: new_run(), schema: SCHEMA, ..TableMetadata::default() })
}

/// A checkpoint whose run is lost gets the only sources that belong to no other, or else empty ones.
async fn checkpoint_metadata(
    tables: &Tables,
    topology: &Topology,
    catalog: &TableCatalog,
    name: &str,
) -> Result<TableMetadata> {
    let epoch = newest_epoch(tables, &topology.quoted_name(name)).await?;
    let unclaimed = catalog.unclaimed_source_runs();
    let run = match unclaimed.as_slice() {
        [run] => (*run).to_owned(),
        _ => {
            let run = new_run();
            let empty =
                Ddl::Empty { table: &DataTable::Sources.of_run(&run), like: DataTable::Sources.live() };
            let _ = empty.execute(tables, topology).await?;
            run
        }
    };
    let at = catalog.live(DataTable::Usage).at;
    Ok(TableMetadata { epoch, run, at, schema: SCHEMA, ..TableMetadata::default() })
}

/// Before the exchange, it is what is to become live in this epoch; afterwards, what was live before.
fn rollback_metadata(catalog: &TableCatalog, base: DataTable, epoch: Epoch) -> TableMetadata {
    let live = catalog.live(base);
    let is_replaced = live.epoch >= epoch;
    let own = if is_replaced { Epoch(epoch.0.saturating_sub(1)) } else { epoch };
    TableMetadata { epoch: own, run: new_run(), at: live.at, schema: SCHEMA, ..TableMetadata::default() }
}

/// Returns the last epoch of the rows of a table of this quoted name.
async fn newest_epoch(tables: &Tables, table: &str) -> Result<Epoch> {
    let query = format!("SELECT max(epoch) FROM {table}");
    tables.query(&query).fetch_one::<u32>().await.map(Epoch)
}
