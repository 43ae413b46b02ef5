//! The schema and its migrations.

pub(crate) mod definition;
pub(crate) mod layout;
pub(crate) mod migrations;
pub(crate) mod old_sums;
pub(crate) mod pending;
pub(crate) mod retention;
pub(crate) mod roles;
pub(crate) mod room;
pub(crate) mod script;
pub(crate) mod tables;
pub(crate) mod topology;

use bridge_core::{BridgeError, StorageKind};

use crate::clickhouse::checkpoint::catalog::DataTable;
use crate::clickhouse::checkpoint::recovery::finish_pending_rollbacks;
use crate::clickhouse::checkpoint::sweep;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::options::ClickHouseOptions;
use layout::Layout;
use migrations::{ANALYSES, LEDGER, LEDGER_TABLE, MIGRATIONS, Migration};
pub(crate) use migrations::{SCHEMA, statements};
use old_sums::upgrade_sums;
use pending::{Applied, Installed, explain_denied};
use script::Schema;
use tables::Tables;

/// Migrates the database to this version's schema, and its tables to these options. If nothing is missing, it only
/// reads, so a user without the right to create anything succeeds; otherwise that user's error names the missing
/// statements.
pub(crate) async fn migrate(tables: &Tables, options: &ClickHouseOptions) -> Result<(), TableError> {
    match apply_pending(tables, options).await {
        Err(error) if error.is_denied() => Err(explain_denied(tables, options, error).await),
        result => result,
    }
}

async fn apply_pending(tables: &Tables, options: &ClickHouseOptions) -> Result<(), TableError> {
    let schema = options.schema();
    let installed = match Installed::read(tables, options).await? {
        Some(installed) => installed,
        None => {
            tables.server().query_raw(&schema.create_database()).execute().await?;
            // Another program may have created it, and tables in it, in the meantime.
            Installed::read(tables, options).await?.unwrap_or_default()
        }
    };
    if !installed.has_ledger {
        create(tables, &schema, LEDGER).await?;
    }
    // Before the schema changes under it.
    let catalog = finish_pending_rollbacks(tables, &options.topology).await?;
    match sweep(tables, &options.topology, &catalog).await {
        // Leftovers of killed programs do no harm, so a user who may not drop them ignores them.
        Err(error) if error.is_denied() => {}
        swept => swept?,
    }
    let layout = Layout::read(tables).await?;
    let lacking = |migration: &&Migration| installed.lacks(migration, &layout, tables);
    for migration in MIGRATIONS.iter().filter(lacking) {
        apply(tables, &schema, migration).await?;
        if migration.number != ANALYSES {
            record(tables, migration).await?;
        }
    }
    // Rows are converted in the form of this version, which has the columns of all migrations.
    if let Some(migration) = MIGRATIONS.iter().filter(lacking).find(|step| step.number == ANALYSES) {
        upgrade_sums(tables, DataTable::Usage.live(), catalog.live(DataTable::Usage).epoch).await?;
        record(tables, migration).await?;
    }
    for (table, kept) in options.retentions() {
        retention::apply(tables, &schema, table, kept).await?;
    }
    Ok(())
}

/// Applies the changes of a migration, and verifies them.
async fn apply(tables: &Tables, schema: &Schema, migration: &Migration) -> Result<(), TableError> {
    for statement in migration.statements() {
        create(tables, schema, statement).await?;
    }
    let layout = Layout::read(tables).await?;
    if let Some(missing) = migration.statements().find_map(|made| layout.missing(made, tables)) {
        let message = format!("migration {} was acknowledged, but {missing}", migration.number);
        return Err(TableError::Bridge(refusal(message)));
    }
    Ok(())
}

async fn record(tables: &Tables, migration: &Migration) -> Result<(), TableError> {
    let mut insert = tables.insert::<Applied>(LEDGER_TABLE, 1).await?;
    insert.write(&Applied { number: migration.number, checksum: migration.checksum() }).await?;
    insert.end().await?;
    Ok(())
}

async fn create(tables: &Tables, schema: &Schema, statement: &str) -> Result<(), TableError> {
    room::check(tables, "migrate").await?;
    for statement in schema.ddl(statement) {
        tables.query_raw(&statement).execute().await?;
    }
    Ok(())
}

fn refusal(message: String) -> BridgeError {
    BridgeError::storage(StorageKind::Schema, "migrate", message)
}
