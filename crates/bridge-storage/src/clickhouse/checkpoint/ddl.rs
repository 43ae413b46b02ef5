//! DDL statements that create, move and mark whole tables.

use ::clickhouse::error::{Error, Result};

use super::metadata::TableMetadata;
use crate::clickhouse::connection::errors::server_code;
use crate::clickhouse::schema::tables::Tables;
use crate::clickhouse::schema::topology::Topology;

/// A statement on a table that holds rows. Tables bear the names of the schema, which get prefix and place here.
pub(crate) enum Ddl<'a> {
    /// Makes a table with the rows of another, which it shares with it on the disk.
    Clone { table: &'a str, of: &'a str },
    /// Makes an empty table with the columns of another.
    Empty { table: &'a str, like: &'a str },
    /// Marks a table, and has it refuse rows of operations that began in an epoch before the metadata's.
    Fence { table: &'a str, metadata: &'a TableMetadata },
    /// Marks a table.
    Mark { table: &'a str, metadata: &'a TableMetadata },
    /// Has a table let rows go at this age, given as the database does; or, where it does as yet, keep them.
    Age { table: &'a str, age: Option<&'a str> },
    /// Makes an empty table. Of several who try one succeeds.
    Claim { table: &'a str, metadata: &'a TableMetadata },
    /// Gives a table another name. Of several who try one succeeds.
    Rename { table: &'a str, to: &'a str },
    /// Lets two tables change names, at once for everybody.
    Exchange { table: &'a str, with: &'a str },
    /// Drops a table, if it is there.
    Drop { table: &'a str },
}

/// The outcome of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum DdlOutcome {
    Applied,
    /// A table that it needs is not there, or one is in its way.
    Conflict,
}

impl Ddl<'_> {
    pub(crate) fn sql(&self, topology: &Topology) -> String {
        let local = |table: &str| topology.local_name(table);
        let everywhere = topology.on_cluster();
        match self {
            Self::Clone { table, of } => {
                format!("CREATE TABLE {}{everywhere} CLONE AS {}", local(table), local(of))
            }
            Self::Empty { table, like } => {
                format!("CREATE TABLE {}{everywhere} AS {}", local(table), local(like))
            }
            // One statement, so that no table bears the metadata of an epoch without refusing the rows of older ones.
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
        match (server_code(text), self) {
            // The table keeps its rows already. Of the other changes it would say that they are wrong.
            (Some(36), Self::Age { age: None, .. }) => true,
            // It is there already, is not there, (of one to be cloned) has no definition, or is being renamed.
            (code, _) => matches!(code, Some(57 | 60 | 107 | 218 | 390 | 517 | 741)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clickhouse::schema::tables::TablePrefix;
    use bridge_testkit::engine::TestDatabase;

    /// On a cluster it needs servers with Keeper; the engine's parser takes it here.
    #[tokio::test]
    async fn every_change_goes_to_all_servers_and_bears_the_prefix() {
        let database = TestDatabase::of_this_test();
        let writer = &bridge_testkit::engine::engine().endpoint().writer;
        let client = clickhouse::Client::default().with_url(format!("http://{}", database.host()));
        let client = client.with_user(&writer.user).with_password(&writer.password);
        let (cluster, prefix) = (Topology::cluster("main").unwrap(), TablePrefix::new("etb_").unwrap());
        let metadata = &TableMetadata::default();
        let (table, other) = ("token_usage_run_1", "source_files_rollback_2_3");
        for change in [
            Ddl::Clone { table, of: "token_usage_checkpoint_x" },
            Ddl::Empty { table, like: other },
            Ddl::Fence { table, metadata },
            Ddl::Mark { table, metadata },
            Ddl::Age { table, age: None },
            Ddl::Age { table, age: Some("time + toIntervalSecond(1)") },
            Ddl::Claim { table, metadata },
            Ddl::Rename { table, to: other },
            Ddl::Exchange { table: "token_usage", with: other },
            Ddl::Drop { table },
        ] {
            let sql = change.sql(&cluster);
            let sql = prefix.sql(&sql);
            assert!(sql.contains(" ON CLUSTER `main`"), "{sql}");
            let names = sql.split_whitespace().filter(|word| word.ends_with("_local"));
            assert!(names.clone().count() > 0 && names.clone().all(|name| name.starts_with("etb_")), "{sql}");
            client.query_raw(&format!("EXPLAIN AST {sql}")).fetch_all::<String>().await.unwrap();
        }
    }
}
