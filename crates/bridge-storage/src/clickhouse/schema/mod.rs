//! The schema and its migrations.

pub(crate) mod definition;
pub(crate) mod layout;
pub(crate) mod old_sums;
pub(crate) mod retention;
pub(crate) mod roles;
pub(crate) mod room;
pub(crate) mod tables;
pub(crate) mod topology;

use ::clickhouse::Row;
use bridge_core::{BridgeError, Epoch, StorageKind};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::clickhouse::checkpoint::catalog::DataTable;
use crate::clickhouse::checkpoint::recovery::finish_pending_rollbacks;
use crate::clickhouse::checkpoint::sweep;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::options::ClickHouseOptions;
use layout::Layout;
use old_sums::upgrade_sums;
use tables::Tables;
use topology::Topology;

/// A numbered migration. Its statements can be repeated, so that two programs may apply it at once.
struct Migration {
    number: u32,
    sql: &'static str,
}

macro_rules! migrations {
    ($($file:literal),+ $(,)?) => {
        /// All migrations, in order. A released one is never changed; a change of the schema is a new file.
        const MIGRATIONS: &[Migration] = &[$(Migration {
            number: number_of($file),
            sql: include_str!(concat!("../../../sql/migrations/", $file, ".sql")),
        }),+];
    };
}

migrations![
    "0001_usage_and_sources",
    "0002_epochs",
    "0003_audit",
    "0004_rule_revisions",
    "0005_analyses",
    "0007_saturating_summaries",
    "0008_audit_actor",
];

/// The number of the last migration.
pub(crate) const SCHEMA: u32 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// The migration behind which the sums of older versions are brought into the form of this one.
const ANALYSES: u32 = 5;

/// The number that a file's name begins with.
const fn number_of(file: &str) -> u32 {
    let (file, mut number, mut place) = (file.as_bytes(), 0, 0);
    while file[place].is_ascii_digit() {
        number = 10 * number + (file[place] - b'0') as u32;
        place += 1;
    }
    number
}

impl Migration {
    /// The statements, without the comments before each of them.
    fn statements(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.sql.split(";\n").map(without_comments).filter(|statement| !statement.is_empty())
    }
}

fn without_comments(mut sql: &str) -> &str {
    loop {
        sql = sql.trim();
        match sql.strip_prefix("--") {
            Some(comment) => sql = comment.split_once('\n').map_or("", |(_, rest)| rest),
            None => return sql,
        }
    }
}

#[derive(Row, Serialize, Deserialize)]
struct Applied {
    number: u32,
    checksum: u64,
}

const SUMMARIES: &str = "enhanced_token_summaries";

/// The ledger of applied migrations, one row each.
const LEDGER: &str = "CREATE TABLE IF NOT EXISTS bridge_migrations (number UInt32, checksum UInt64, \
     applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')) \
     ENGINE = ReplacingMergeTree ORDER BY (number, checksum)";

/// Brings the database to this version's schema, and its tables to these options. Where they are there already it
/// only reads.
pub(crate) async fn migrate(tables: &Tables, options: &ClickHouseOptions) -> Result<(), TableError> {
    create_database(tables, options).await?;
    refuse_foreign_tables(tables, &options.topology).await?;
    check_topology(tables, &options.topology).await?;
    // A user without the right to create tables can still find that there is nothing to create.
    if !exists(tables, "bridge_migrations").await? {
        create(tables, options, LEDGER).await?;
    }
    let applied: Vec<Applied> =
        tables.query("SELECT number, checksum FROM bridge_migrations FINAL").fetch_all().await?;
    check(&applied).map_err(TableError::Bridge)?;
    // Before the schema changes under it.
    let catalog = finish_pending_rollbacks(tables, &options.topology).await?;
    sweep(tables, &options.topology, &catalog).await?;
    let layout = Layout::read(tables).await?;
    for migration in MIGRATIONS {
        let is_booked = applied.iter().any(|known| known.number == migration.number);
        // A step that was booked without its changes, by whatever fault, is repeated.
        let is_made = || migration.statements().all(|made| layout.missing(made, tables).is_none());
        if !is_booked || !is_made() {
            apply(tables, options, migration, catalog.live(DataTable::Usage).epoch).await?;
        }
    }
    // A view whose definition was lost holds no rows and is set aside.
    if !exists(tables, SUMMARIES).await? {
        let view = format!("CREATE VIEW IF NOT EXISTS {SUMMARIES} ");
        for statement in statements().filter(|statement| statement.starts_with(&view)) {
            create(tables, options, statement).await?;
        }
    }
    for (table, kept) in [("token_usage", options.retention), ("bridge_audit", options.audit_retention)] {
        if let Some(retention) = kept {
            retention::apply(tables, &options.topology, table, retention).await?;
        }
    }
    Ok(())
}

/// Makes the changes of a step, verifies that they are there, and books it.
async fn apply(
    tables: &Tables,
    options: &ClickHouseOptions,
    migration: &Migration,
    epoch: Epoch,
) -> Result<(), TableError> {
    for statement in migration.statements() {
        create(tables, options, statement).await?;
    }
    let layout = Layout::read(tables).await?;
    if let Some(missing) = migration.statements().find_map(|made| layout.missing(made, tables)) {
        let message = format!("migration {} was acknowledged, and yet {missing}", migration.number);
        return Err(TableError::Bridge(refusal(message)));
    }
    if migration.number == ANALYSES {
        upgrade_sums(tables, DataTable::Usage.live(), epoch).await?;
    }
    let mut insert = tables.insert::<Applied>("bridge_migrations", 1).await?;
    insert.write(&Applied { number: migration.number, checksum: checksum(migration) }).await?;
    insert.end().await?;
    Ok(())
}

/// Refuses a database where something else bears the name of one of the bridge's tables, before anything is made.
async fn refuse_foreign_tables(tables: &Tables, topology: &Topology) -> Result<(), TableError> {
    let layout = Layout::read(tables).await?;
    for statement in statements() {
        if let Some(foreign) = layout.foreign(statement, tables, topology) {
            let message = format!(
                "{foreign}; nothing was changed: set clickhouse.table_prefix to give the bridge's tables names \
                 of their own, or name another database"
            );
            return Err(TableError::Bridge(refusal(message)));
        }
    }
    Ok(())
}

async fn create_database(tables: &Tables, options: &ClickHouseOptions) -> Result<(), TableError> {
    let server = tables.server();
    let exists = server
        .query("SELECT count() FROM system.databases WHERE name = ?")
        .bind(&options.database)
        .fetch_one::<u64>()
        .await?;
    if exists > 0 {
        return Ok(());
    }
    let quoted = options.database.replace('\\', "\\\\").replace('`', "\\`");
    let everywhere = options.topology.on_cluster();
    server.query_raw(&format!("CREATE DATABASE IF NOT EXISTS `{quoted}`{everywhere}")).execute().await?;
    Ok(())
}

async fn exists(tables: &Tables, table: &str) -> Result<bool, TableError> {
    let query = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = ?";
    Ok(tables.query(query).bind(tables.name(table)).fetch_one::<u64>().await? > 0)
}

async fn create(tables: &Tables, options: &ClickHouseOptions, statement: &str) -> Result<(), TableError> {
    room::check(tables, "migrate").await?;
    for statement in options.topology.statements(statement, &options.database) {
        tables.query_raw(&statement).execute().await?;
    }
    Ok(())
}

/// Tables of one server cannot become those of a cluster by themselves, nor the other way round.
async fn check_topology(tables: &Tables, topology: &Topology) -> Result<(), TableError> {
    let engines: Vec<String> = tables
        .query("SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = ?")
        .bind(tables.name("token_usage"))
        .fetch_all()
        .await?;
    let message = match (engines.first().map(|engine| engine == "Distributed"), topology) {
        (Some(false), Topology::Cluster(_)) => "the tables were made without a cluster, and one is asked for",
        (Some(true), Topology::OneServer) => "the tables are spread over a cluster, and none is asked for",
        _ => return Ok(()),
    };
    Err(TableError::Bridge(refusal(message.to_owned())))
}

/// Refuses a schema that this version did not write.
fn check(applied: &[Applied]) -> Result<(), BridgeError> {
    for known in applied {
        match MIGRATIONS.iter().find(|step| step.number == known.number) {
            None => {
                let message = format!("migration {} is from a newer version of the bridge", known.number);
                return Err(refusal(message));
            }
            Some(step) if checksum(step) != known.checksum => {
                return Err(refusal(format!("migration {} was applied in another form", known.number)));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn refusal(message: String) -> BridgeError {
    let (kind, context) = (StorageKind::Schema, Box::default());
    BridgeError::Storage { operation: "migrate", kind, message, context, source: None }
}

/// White space is left out: a statement that is indented anew is the same statement.
fn checksum(migration: &Migration) -> u64 {
    let words = migration.statements().flat_map(str::split_whitespace);
    xxh3_64(words.collect::<Vec<_>>().join(" ").as_bytes())
}

/// All statements of the schema.
pub(crate) fn statements() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.iter().flat_map(Migration::statements).chain([LEDGER])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A released migration is never changed: databases hold its checksum.
    #[test]
    fn released_migrations_keep_their_checksums() {
        let checksums: Vec<_> = MIGRATIONS.iter().map(|step| (step.number, checksum(step))).collect();
        let released = [
            (1, 12_730_854_695_307_218_590),
            (2, 13_429_746_173_329_973_790),
            (3, 1_063_677_908_133_764_526),
            (4, 11_504_681_692_765_489_517),
            (5, 3_673_307_918_034_267_574),
            (7, 5_378_147_265_734_071_286),
        ];
        assert_eq!(checksums[..released.len()], released);
    }
}
