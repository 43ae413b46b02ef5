//! The part of the schema that a database lacks.

use ::clickhouse::Row;
use bridge_core::{BridgeError, StorageKind};
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::migrations::{ANALYSES, LEDGER, LEDGER_TABLE, MIGRATIONS, Migration, statements};
use super::refusal;
use super::retention::{self, Retention};
use super::script::Schema;
use super::tables::Tables;
use super::topology::Topology;
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::connection::errors::TableError;
use crate::clickhouse::options::ClickHouseOptions;

/// The missing part of the schema that a store needs, as SQL for an administrator. See
/// [`ClickHouseStore::pending_schema`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingSchema {
    /// The last migration that the database has recorded; 0 if there is none.
    pub version: u32,
    /// Numbers of the pending migrations.
    pub migrations: Vec<u32>,
    /// The pending statements, in order, for a session in the store's database.
    pub statements: Vec<String>,
    /// True if stored rows must be converted too, which only [`migrate`](crate::TokenStore::migrate) does, by a user
    /// with the role `bridge_administrator`.
    pub converts_rows: bool,
    schema: Schema,
}

impl PendingSchema {
    /// Returns the statements as a script for `clickhouse-client --queries-file`, which selects the database first.
    #[must_use]
    pub fn script(&self) -> String {
        let creates_database = self.statements.first().is_some_and(|sql| sql.starts_with("CREATE DATABASE"));
        let mut statements = self.statements.clone();
        if !statements.is_empty() {
            statements.insert(usize::from(creates_database), self.schema.use_statement());
        }
        statements.iter().map(|sql| format!("{sql};\n")).collect()
    }

    /// Returns whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty() && !self.converts_rows
    }
}

impl ClickHouseStore {
    /// Returns what [`migrate`](crate::TokenStore::migrate) would change in the database, without changing it. Objects
    /// that the store's user may not see count as missing.
    ///
    /// ```no_run
    /// # async fn run(store: bridge_storage::ClickHouseStore) -> Result<(), bridge_core::BridgeError> {
    /// let pending = store.pending_schema().await?;
    /// print!("{}", pending.script());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StorageKind::Schema`] if `migrate` would refuse the database, because its tables belong to another program or a
    /// newer version. The store's errors.
    pub async fn pending_schema(&self) -> Result<PendingSchema, BridgeError> {
        let options = &self.options;
        self.call("read the schema", |tables| async move { pending(&tables, options).await }).await
    }
}

#[derive(Row, Serialize, Deserialize)]
pub(super) struct Applied {
    pub(super) number: u32,
    pub(super) checksum: u64,
}

/// The part of the schema that a database has.
#[derive(Default)]
pub(super) struct Installed {
    pub(super) has_ledger: bool,
    applied: Vec<Applied>,
}

impl Installed {
    /// Reads it; `None` if the database does not exist. Refuses a database in which another object has the name of one
    /// of the bridge's tables, or which a newer version wrote.
    pub(super) async fn read(
        tables: &Tables,
        options: &ClickHouseOptions,
    ) -> Result<Option<Self>, TableError> {
        if !database_exists(tables, &options.database).await? {
            return Ok(None);
        }
        refuse_foreign_tables(tables, &options.topology).await?;
        check_topology(tables, &options.topology).await?;
        let has_ledger = exists(tables, LEDGER_TABLE).await?;
        let query = "SELECT number, checksum FROM bridge_migrations FINAL";
        let applied = if has_ledger { tables.query(query).fetch_all().await? } else { Vec::new() };
        check(&applied)?;
        Ok(Some(Self { has_ledger, applied }))
    }

    /// A migration that was recorded without its changes is applied again.
    pub(super) fn lacks(&self, migration: &Migration, layout: &Layout, tables: &Tables) -> bool {
        let is_recorded = self.applied.iter().any(|known| known.number == migration.number);
        !is_recorded || migration.statements().any(|made| layout.missing(made, tables).is_some())
    }

    fn version(&self) -> u32 {
        self.applied.iter().map(|known| known.number).max().unwrap_or(0)
    }
}

/// Reads what is missing. The retention is part of it.
async fn pending(tables: &Tables, options: &ClickHouseOptions) -> Result<PendingSchema, TableError> {
    let schema = options.schema();
    // A missing database cannot be queried.
    let (installed, layout, mut statements) = match Installed::read(tables, options).await? {
        Some(installed) => (installed, Layout::read(tables).await?, Vec::new()),
        None => (Installed::default(), Layout::default(), vec![schema.create_database()]),
    };
    if !installed.has_ledger {
        statements.extend(schema.ddl(LEDGER));
    }
    let has_rows = installed.version() > 0;
    let (mut migrations, mut converts_rows) = (Vec::new(), false);
    for migration in MIGRATIONS.iter().filter(|step| installed.lacks(step, &layout, tables)) {
        migrations.push(migration.number);
        statements.extend(schema.statements_of(migration));
        match migration.number == ANALYSES && has_rows {
            true => converts_rows = true,
            false => statements.push(schema.record_of(migration)),
        }
    }
    for (table, kept) in options.retentions() {
        let engine = match layout.is_empty() {
            true => None,
            false => retention::engine_of(tables, &options.topology, table).await?,
        };
        statements.extend(retention::change(&schema, table, engine.as_deref(), kept));
    }
    Ok(PendingSchema { version: installed.version(), migrations, statements, converts_rows, schema })
}

impl ClickHouseOptions {
    /// The tables whose rows are kept for a time, by this store's options.
    pub(super) fn retentions(&self) -> impl Iterator<Item = (&'static str, Retention)> + use<> {
        let kept = [("token_usage", self.retention), ("bridge_audit", self.audit_retention)];
        kept.into_iter().filter_map(|(table, kept)| Some((table, kept?)))
    }
}

/// Returns the error for a user who may not create what is missing, with the statements.
pub(super) async fn explain_denied(
    tables: &Tables,
    options: &ClickHouseOptions,
    denied: TableError,
) -> TableError {
    let Ok(pending) = pending(tables, options).await else { return denied };
    if pending.is_empty() {
        return denied;
    }
    let script = pending.script();
    let on_one_line = script.split_whitespace().collect::<Vec<_>>().join(" ");
    let of_migrations = match pending.migrations.as_slice() {
        [] => String::new(),
        [first] => format!(" (migration {first})"),
        [first, .., last] => format!(" (migrations {first} to {last})"),
    };
    let converts = match pending.converts_rows {
        true => " Stored rows must be converted too, which only a bridge with that role does.",
        false => "",
    };
    let message = format!(
        "the schema of database {} lacks what this user may not create or cannot see{of_migrations}. Start once with \
         the role bridge_administrator, or have an administrator run: {on_one_line}{converts}",
        options.database,
    );
    let error = BridgeError::storage(StorageKind::PermissionDenied, "migrate", message);
    TableError::Bridge(match denied {
        TableError::Client(denied) => error.with_source(denied),
        TableError::Bridge(denied) => error.with_source(denied),
    })
}

/// Refuses a database in which another object has the name of one of the bridge's tables, before anything is created.
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

async fn database_exists(tables: &Tables, database: &str) -> Result<bool, TableError> {
    let query = "SELECT count() FROM system.databases WHERE name = ?";
    Ok(tables.server().query(query).bind(database).fetch_one::<u64>().await? > 0)
}

async fn exists(tables: &Tables, table: &str) -> Result<bool, TableError> {
    let query = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = ?";
    Ok(tables.query(query).bind(tables.name(table)).fetch_one::<u64>().await? > 0)
}

/// Refuses tables of a single server for a cluster, and the other way around: they are not converted.
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

/// Refuses a schema of a newer or modified version.
fn check(applied: &[Applied]) -> Result<(), BridgeError> {
    for known in applied {
        match MIGRATIONS.iter().find(|step| step.number == known.number) {
            None => {
                let message = format!("migration {} is from a newer version of the bridge", known.number);
                return Err(refusal(message));
            }
            Some(step) if step.checksum() != known.checksum => {
                return Err(refusal(format!("migration {} was applied in another form", known.number)));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
