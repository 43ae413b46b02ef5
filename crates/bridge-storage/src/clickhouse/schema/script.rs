//! The schema as SQL text, for administrators of a database.

use std::fmt::Write;

use bridge_core::InvalidValue;

use super::migrations::{ANALYSES, LEDGER, LEDGER_TABLE, MIGRATIONS, Migration, SCHEMA};
use super::tables::TablePrefix;
use super::topology::Topology;
use crate::clickhouse::options::ClickHouseOptions;

/// The bridge's schema as SQL, for a database, a table prefix and a cluster. Needs no connection.
///
/// For those who create tables by other means than [`migrate`](crate::TokenStore::migrate): a database administrator
/// who reviews statements, or a tool that applies them. A bridge that finds the schema complete creates nothing, so
/// its user needs no right to. [`ClickHouseStore::pending_schema`](crate::ClickHouseStore::pending_schema) returns
/// what a database lacks.
///
/// ```
/// use bridge_storage::Schema;
///
/// let schema = Schema::new("usage").with_table_prefix("etb_")?;
/// let script = schema.script(0);
/// assert!(script.starts_with("-- The bridge's schema for the database usage: an empty database to version"));
/// assert!(script.contains("CREATE TABLE IF NOT EXISTS etb_token_usage ("));
/// // Only what an upgrade from version 5 needs.
/// assert!(!schema.script(5).contains("CREATE TABLE IF NOT EXISTS etb_token_usage ("));
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    pub(super) database: String,
    pub(super) prefix: TablePrefix,
    pub(super) topology: Topology,
}

/// A numbered step of a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaMigration {
    /// Its number. A database has the version of its last migration.
    pub number: u32,
    /// Its name, such as `0002_epochs`.
    pub name: &'static str,
    /// The statements that change the tables, in order, for a session in the schema's database.
    pub statements: Vec<String>,
    /// The statement that records the migration as applied.
    pub record: String,
    /// True if rows of an earlier version must be converted with it. Only the bridge does that, in
    /// [`migrate`](crate::TokenStore::migrate) by a user with the role `bridge_administrator`.
    pub converts_rows: bool,
}

impl Schema {
    /// The version of the schema that this version of the bridge writes.
    pub const VERSION: u32 = SCHEMA;

    /// Returns the schema for a database of one server, without a table prefix.
    #[must_use]
    pub fn new(database: &str) -> Self {
        let (prefix, topology) = (TablePrefix::default(), Topology::OneServer);
        Self { database: database.to_owned(), prefix, topology }
    }

    /// Sets a prefix of all table names; see [`ClickHouseOptions::with_table_prefix`].
    ///
    /// # Errors
    ///
    /// It is no such prefix.
    pub fn with_table_prefix(self, prefix: &str) -> Result<Self, InvalidValue> {
        Ok(Self { prefix: TablePrefix::new(prefix)?, ..self })
    }

    /// Distributes the tables over this cluster; see [`ClickHouseOptions::with_cluster`].
    ///
    /// # Errors
    ///
    /// It is no name of a cluster.
    pub fn with_cluster(self, cluster: &str) -> Result<Self, InvalidValue> {
        Ok(Self { topology: Topology::cluster(cluster)?, ..self })
    }

    /// Returns all migrations, in order.
    ///
    /// ```
    /// use bridge_storage::Schema;
    ///
    /// let schema = Schema::new("usage").with_cluster("main")?;
    /// let newest = schema.migrations().pop().unwrap();
    /// assert_eq!(newest.number, Schema::VERSION);
    /// assert_eq!(schema.use_statement(), "USE `usage`");
    /// # Ok::<(), bridge_core::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn migrations(&self) -> Vec<SchemaMigration> {
        let migrations = MIGRATIONS.iter().map(|migration| SchemaMigration {
            number: migration.number,
            name: migration.name,
            statements: self.statements_of(migration),
            record: self.record_of(migration),
            converts_rows: migration.number == ANALYSES,
        });
        migrations.collect()
    }

    /// Returns the script that brings a database from this version of the schema to [`VERSION`](Self::VERSION), for
    /// `clickhouse-client --queries-file`. Version 0 is a database without any table of the bridge, or no database.
    ///
    /// Each migration records itself, except one that also converts rows: a comment states who applies it. On an empty
    /// database there are none to convert.
    #[must_use]
    pub fn script(&self, from: u32) -> String {
        let Self { database, .. } = self;
        let start = if from == 0 { "an empty database".to_owned() } else { format!("version {from}") };
        let mut script =
            format!("-- The bridge's schema for the database {database}: {start} to version {SCHEMA}.\n");
        let mut add = |sql: &str| {
            script.push_str(sql);
            script.push_str(";\n");
        };
        if from == 0 {
            add(&self.create_database());
        }
        add(&self.use_statement());
        if from == 0 {
            self.ddl(LEDGER).iter().for_each(|sql| add(sql));
        }
        for migration in self.migrations().iter().filter(|migration| migration.number > from) {
            // Writing to a string does not fail.
            let _ = write!(script, "\n-- Migration {}\n", migration.name);
            let is_recorded = from == 0 || !migration.converts_rows;
            let record = is_recorded.then_some(&migration.record);
            for sql in migration.statements.iter().chain(record) {
                let _ = writeln!(script, "{sql};");
            }
            if !is_recorded {
                script.push_str(
                    "-- It is not recorded here, because it also converts stored rows. Start a bridge once as a user with the\n\
                     -- role bridge_administrator; it converts them and records the migration.\n",
                );
            }
        }
        script
    }

    /// Returns the statement that makes the schema's database the session's, as the statements of the tables need it.
    #[must_use]
    pub fn use_statement(&self) -> String {
        format!("USE {}", self.quoted_database())
    }

    pub(super) fn create_database(&self) -> String {
        let everywhere = self.topology.on_cluster();
        format!("CREATE DATABASE IF NOT EXISTS {}{everywhere}", self.quoted_database())
    }

    pub(super) fn quoted_database(&self) -> String {
        format!("`{}`", self.database.replace('\\', "\\\\").replace('`', "\\`"))
    }

    /// Returns the statements that a statement of the schema becomes.
    pub(super) fn ddl(&self, statement: &str) -> Vec<String> {
        let statements = self.topology.statements(statement, &self.database);
        statements.iter().map(|sql| self.prefix.sql(sql).into_owned()).collect()
    }

    pub(super) fn statements_of(&self, migration: &Migration) -> Vec<String> {
        migration.statements().flat_map(|statement| self.ddl(statement)).collect()
    }

    pub(super) fn record_of(&self, migration: &Migration) -> String {
        let (ledger, checksum) = (self.prefix.name(LEDGER_TABLE), migration.checksum());
        format!("INSERT INTO {ledger} (number, checksum) VALUES ({}, {checksum})", migration.number)
    }
}

impl ClickHouseOptions {
    /// Returns the schema of a store with these options, as SQL text.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let Self { database, table_prefix, topology, .. } = self;
        Schema { database: database.clone(), prefix: table_prefix.clone(), topology: topology.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_for_an_upgrade_leaves_the_conversion_of_rows_to_the_bridge() {
        let schema = Schema::new("usage");
        let records = |script: &str| script.matches("INSERT INTO bridge_migrations").count();
        assert_eq!(records(&schema.script(0)), MIGRATIONS.len());
        let upgrade = schema.script(ANALYSES - 1);
        let later = MIGRATIONS.iter().filter(|migration| migration.number > ANALYSES).count();
        assert_eq!(records(&upgrade), later);
        assert!(upgrade.contains("bridge_administrator"));
        let newest = schema.script(Schema::VERSION);
        assert!(!newest.contains("CREATE ") && !newest.contains("ALTER "), "{newest}");
    }

    #[test]
    fn a_script_for_a_cluster_reaches_every_server() {
        let schema = Schema::new("usage").with_cluster("main").unwrap();
        let changes = schema.script(0);
        let changes = changes.lines().filter(|line| line.starts_with("CREATE") || line.starts_with("ALTER"));
        assert!(
            changes.clone().count() > 10 && changes.clone().all(|line| line.contains("ON CLUSTER `main`"))
        );
    }
}
