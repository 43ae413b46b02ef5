//! The statements that a store sends to a cluster, which no test on a single server can execute.

use crate::clickhouse::checkpoint::ddl::Ddl;
use crate::clickhouse::checkpoint::metadata::TableMetadata;
use crate::clickhouse::schema::statements;
use crate::clickhouse::schema::tables::TablePrefix;
use crate::clickhouse::schema::topology::Topology;

/// Returns all statements of the schema and of checkpoints for this cluster, with a table prefix, so that a test can
/// have the database parse them: executing them needs several servers with Keeper.
///
/// # Panics
///
/// The cluster or the prefix is not a word.
#[must_use]
pub fn cluster_statements(cluster: &str, prefix: &str) -> Vec<String> {
    let cluster = Topology::cluster(cluster).expect("a cluster's name");
    let prefix = TablePrefix::new(prefix).expect("a prefix");
    let metadata = &TableMetadata::default();
    let (table, other) = ("token_usage_run_1", "source_files_rollback_2_3");
    let changes = [
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
    ];
    let schema = statements().flat_map(|statement| cluster.statements(statement, "usage"));
    let changes = changes.iter().map(|change| change.sql(&cluster));
    schema.chain(changes).map(|sql| prefix.sql(&sql).into_owned()).collect()
}
