//! The topology of the tables: one server, or a cluster.

use bridge_core::InvalidValue;

/// One server, or a cluster with Keeper, whose tables are spread over its shards.
///
/// On a cluster each table is two: `…_local`, replicated, with the rows of a shard, and over it, under the plain
/// name, a `Distributed` one. `token_usage` is sharded by the response key, so that all versions of a
/// response meet on one shard, where `FINAL` finds the greatest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topology {
    OneServer,
    Cluster(String),
}

/// The sharding key of each table. All versions of a row must be on one shard.
pub(crate) const SHARDING: [(&str, &str); 7] = [
    ("token_usage", "toUInt64(key)"),
    ("source_files", "cityHash64(host, path, session_id)"),
    ("bridge_migrations", "number"),
    ("bridge_resumes", "epoch"),
    ("bridge_audit", "cityHash64(id)"),
    ("token_prices", "cityHash64(digest)"),
    ("project_names", "cityHash64(name)"),
];

/// Deduplication of inserts would swallow rows that are stored again after a rollback.
const REPLICATED_SETTING: &str = "replicated_deduplication_window = 0";

impl Topology {
    /// The tables of the cluster of this name.
    pub(crate) fn cluster(name: &str) -> Result<Self, InvalidValue> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !name.is_empty() && name.len() <= 128 && name.chars().all(is_plain) {
            return Ok(Self::Cluster(name.to_owned()));
        }
        Err(InvalidValue::new("cluster", "have 1 to 128 letters, digits, `_`, `-` and `.`"))
    }

    /// The settings that queries over shards need: an insert is acknowledged when the shards have it, and a
    /// look-up inside a query asks all of them.
    pub(crate) fn settings(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OneServer => &[],
            Self::Cluster(_) => {
                &[("distributed_foreground_insert", "1"), ("distributed_product_mode", "global")]
            }
        }
    }

    /// The name of the table that holds the rows.
    pub(crate) fn local_name(&self, table: &str) -> String {
        match self {
            Self::OneServer => table.to_owned(),
            Self::Cluster(_) => format!("{table}{}", crate::clickhouse::schema::tables::LOCAL),
        }
    }

    /// The name of the table that holds the rows, quoted: the name of a checkpoint may have hyphens.
    pub(crate) fn quoted_name(&self, table: &str) -> String {
        format!("`{}`", self.local_name(table))
    }

    /// The clause that carries a statement to all servers.
    pub(crate) fn on_cluster(&self) -> String {
        match self {
            Self::OneServer => String::new(),
            Self::Cluster(cluster) => format!(" ON CLUSTER `{cluster}`"),
        }
    }

    /// Returns the statements that a statement of the schema becomes.
    pub(crate) fn statements(&self, statement: &str, database: &str) -> Vec<String> {
        let Self::Cluster(cluster) = self else { return vec![statement.to_owned()] };
        let everywhere = self.on_cluster();
        let (kind, name) = subject(statement);
        if let Some(change) = statement.strip_prefix(&format!("ALTER TABLE {name} ")) {
            // The rows' table first: the other one may not promise a column that is not there.
            let tables = [self.local_name(name), name.to_owned()];
            return tables.map(|table| format!("ALTER TABLE {table}{everywhere} {change}")).to_vec();
        }
        let replaced = format!("CREATE OR REPLACE {kind} {name}");
        if let Some(body) = statement.trim_start().strip_prefix(&replaced) {
            return vec![format!("{replaced}{everywhere}{body}")];
        }
        let head = format!("CREATE {kind} IF NOT EXISTS {name}");
        let body = statement.trim_start().strip_prefix(&head).unwrap_or_default();
        if kind == "VIEW" {
            return vec![format!("{head}{everywhere}{body}")];
        }
        let local = self.local_name(name);
        let body = body.replace("ENGINE = ReplacingMergeTree", "ENGINE = ReplicatedReplacingMergeTree");
        let body = match body.contains(" SETTINGS ") || body.contains("\nSETTINGS ") {
            true => format!("{body}, {REPLICATED_SETTING}"),
            false => format!("{body} SETTINGS {REPLICATED_SETTING}"),
        };
        let sharding = SHARDING.iter().find(|(table, _)| *table == name).map_or("rand()", |(_, key)| key);
        let database = database.replace('\\', "\\\\").replace('\'', "\\'");
        vec![
            format!("CREATE TABLE IF NOT EXISTS {local}{everywhere}{body}"),
            format!(
                "{head}{everywhere} AS {local} ENGINE = Distributed('{cluster}', '{database}', {local}, {sharding})"
            ),
        ]
    }
}

/// Returns the subject of a statement of the schema: `TABLE` or `VIEW`, and its name.
pub(crate) fn subject(statement: &str) -> (&str, &str) {
    let mut words = statement.split_whitespace().filter(|word| !matches!(*word, "OR" | "REPLACE"));
    let _ = words.next();
    let kind = words.next().unwrap_or_default();
    let mut rest = words.skip_while(|word| matches!(*word, "IF" | "NOT" | "EXISTS"));
    (kind, rest.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clickhouse::schema::statements;
    use crate::clickhouse::schema::tables::TablePrefix;

    fn on_cluster() -> Vec<String> {
        let cluster = Topology::cluster("main").unwrap();
        let prefix = TablePrefix::new("etb_").unwrap();
        let statements = statements().flat_map(|statement| cluster.statements(statement, "usage"));
        statements.map(|statement| prefix.sql(&statement).into_owned()).collect()
    }

    #[test]
    fn every_table_is_two_and_every_statement_goes_everywhere() {
        let statements = on_cluster();
        assert!(statements.iter().all(|statement| statement.contains(" ON CLUSTER `main`")));
        let heads: Vec<_> = statements.iter().map(|statement| subject(statement)).collect();
        assert!(heads.starts_with(&[("TABLE", "etb_token_usage_local"), ("TABLE", "etb_token_usage")]));
        assert!(statements[0].contains("ENGINE = ReplicatedReplacingMergeTree(version) ORDER BY key"));
        assert!(statements[0].ends_with(REPLICATED_SETTING));
        assert!(statements[1].ends_with(
            "AS etb_token_usage_local ENGINE = Distributed('main', 'usage', etb_token_usage_local, toUInt64(key))"
        ));
        let unsharded = statements.iter().filter(|statement| statement.contains("rand()")).count();
        assert_eq!(unsharded, 0, "versions of a row would lie on several shards");
    }
}
