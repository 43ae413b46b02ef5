//! DDL statements that create, move and mark whole tables.

use ::clickhouse::error::{Error, Result};

use super::metadata::TableMetadata;
use crate::clickhouse::connection::server_code;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;

/// A statement on a table that holds rows. Tables have the names of the schema, to which it adds prefix and location.
pub(crate) enum Ddl<'a> {
    /// Creates a table with the rows of another, sharing its files on disk.
    Clone { table: &'a str, of: &'a str },
    /// Creates an empty table with the columns of another.
    Empty { table: &'a str, like: &'a str },
    /// Sets a table's metadata, and has the table refuse rows of operations that began before the metadata's epoch.
    Fence { table: &'a str, metadata: &'a TableMetadata },
    /// Sets a table's metadata.
    Mark { table: &'a str, metadata: &'a TableMetadata },
    /// Sets or removes a table's retention, in the database's own form.
    Age { table: &'a str, age: Option<&'a str> },
    /// Creates an empty table. Of several concurrent attempts, one succeeds.
    Claim { table: &'a str, metadata: &'a TableMetadata },
    /// Renames a table. Of several concurrent attempts, one succeeds.
    Rename { table: &'a str, to: &'a str },
    /// Exchanges the names of two tables, atomically.
    Exchange { table: &'a str, with: &'a str },
    /// Drops a table if it exists.
    Drop { table: &'a str },
}

/// The outcome of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum DdlOutcome {
    Applied,
    /// A table that it needs is missing, or one is in its way.
    Conflict,
}

/// The codes of tables that exist already, do not exist, have no definition (when they are to be cloned), or are being
/// renamed.
const CONFLICTS: [u32; 7] = [
    server_code::TABLE_ALREADY_EXISTS,
    server_code::UNKNOWN_TABLE,
    server_code::FILE_DOESNT_EXIST,
    server_code::TABLE_IS_DROPPED,
    server_code::CANNOT_GET_CREATE_TABLE_QUERY,
    server_code::CANNOT_ASSIGN_ALTER,
    server_code::TABLE_UUID_MISMATCH,
];

impl Ddl<'_> {
    pub(crate) fn sql(&self, topology: &Topology) -> String {
        let local = |table: &str| topology.quoted_name(table);
        let everywhere = topology.on_cluster();
        match self {
            Self::Clone { table, of } => {
                format!("CREATE TABLE {}{everywhere} CLONE AS {}", local(table), local(of))
            }
            Self::Empty { table, like } => {
                format!("CREATE TABLE {}{everywhere} AS {}", local(table), local(like))
            }
            // One statement, so that no table has the metadata of an epoch without refusing the rows of older ones.
            // The database enforces it: a writer that began before a rollback cannot know of it.
            Self::Fence { table, metadata } => format!(
                "ALTER TABLE {}{everywhere} DROP CONSTRAINT IF EXISTS fence, \
                 ADD CONSTRAINT fence CHECK epoch >= {}, MODIFY COMMENT '{metadata}'",
                local(table),
                metadata.epoch
            ),
            Self::Mark { table, metadata } => {
                format!("ALTER TABLE {}{everywhere} MODIFY COMMENT '{metadata}'", local(table))
            }
            Self::Age { table, age } => {
                let change = age.map_or("REMOVE TTL".to_owned(), |age| format!("MODIFY TTL {age}"));
                format!("ALTER TABLE {}{everywhere} {change}", local(table))
            }
            Self::Claim { table, metadata } => format!(
                "CREATE TABLE {}{everywhere} (epoch UInt32) ENGINE = MergeTree ORDER BY epoch COMMENT '{metadata}'",
                local(table)
            ),
            Self::Rename { table, to } => {
                format!("RENAME TABLE {} TO {}{everywhere}", local(table), local(to))
            }
            Self::Exchange { table, with } => {
                format!("EXCHANGE TABLES {} AND {}{everywhere}", local(table), local(with))
            }
            Self::Drop { table } => format!("DROP TABLE IF EXISTS {}{everywhere}", local(table)),
        }
    }

    pub(crate) async fn execute(&self, tables: &Tables, topology: &Topology) -> Result<DdlOutcome> {
        match tables.query_raw(&self.sql(topology)).execute().await {
            Ok(()) => Ok(DdlOutcome::Applied),
            Err(error) if self.is_conflict(&error) => Ok(DdlOutcome::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Returns whether another program was faster.
    fn is_conflict(&self, error: &Error) -> bool {
        let Error::BadResponse(text) = error else { return false };
        match (server_code::in_message(text), self) {
            // The table has no retention. For the other changes, this error would be a fault.
            (Some(server_code::BAD_ARGUMENTS), Self::Age { age: None, .. }) => true,
            (code, _) => code.is_some_and(|code| CONFLICTS.contains(&code)),
        }
    }
}
