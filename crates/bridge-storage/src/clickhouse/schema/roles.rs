//! The three roles: writer, dashboard reader, administrator.

use bridge_core::BridgeError;

use super::tables::LOCAL;
use super::topology::{SHARDING, Topology};
use crate::clickhouse::ClickHouseStore;

/// The file that is shipped, for a database of the name `bridge`.
const ROLES: &str = include_str!("../../../sql/roles.sql");

/// The statements that make the bridge's three roles for a database, each with no more than it needs:
/// `bridge_writer` stores and reads, `bridge_dashboard` reads, `bridge_administrator` migrates, too.
///
/// They are those of `sql/roles.sql`. They may be run again, and need a server: the embedded engine keeps its
/// users in a file, and has a writer and a reader of its own. For tables with a prefix or on a cluster:
/// [`ClickHouseStore::role_statements`].
///
/// ```
/// let statements = bridge_storage::role_statements("usage");
/// assert!(statements.iter().any(|sql| sql == "GRANT SELECT ON `usage`.token_usage TO bridge_dashboard"));
/// ```
#[must_use]
pub fn role_statements(database: &str) -> Vec<String> {
    let quoted = format!("`{}`", database.replace('\\', "\\\\").replace('`', "\\`"));
    let lines = ROLES.lines().filter(|line| !line.starts_with("--"));
    let text = lines.collect::<Vec<_>>().join("\n").replace("`bridge`", &quoted);
    text.split(";\n")
        .map(|sql| sql.trim().trim_end_matches(';').to_owned())
        .filter(|sql| !sql.is_empty())
        .collect()
}

/// The administrator's additional rights on a cluster.
const ON_CLUSTER: [&str; 5] = [
    "GRANT CLUSTER ON *.* TO bridge_administrator",
    "GRANT REMOTE ON *.* TO bridge_administrator",
    "GRANT TABLE ENGINE ON Distributed TO bridge_administrator",
    "GRANT TABLE ENGINE ON ReplicatedMergeTree TO bridge_administrator",
    "GRANT TABLE ENGINE ON ReplicatedReplacingMergeTree TO bridge_administrator",
];

/// The statement for all servers of a cluster; and what is granted on a table, on the one with its rows, too.
fn on_cluster(statement: &str, everywhere: &str) -> Vec<String> {
    let Some(grant) = statement.strip_prefix("GRANT ") else {
        let (head, settings) = statement.split_once(" SETTINGS ").unwrap_or((statement, ""));
        let settings = if settings.is_empty() { String::new() } else { format!(" SETTINGS {settings}") };
        return vec![format!("{head}{everywhere}{settings}")];
    };
    let mut all = vec![format!("GRANT{everywhere} {grant}")];
    if let Some((what, role)) = grant.split_once(" TO ")
        && SHARDING.iter().any(|(table, _)| what.ends_with(&format!(".{table}")))
    {
        all.push(format!("GRANT{everywhere} {what}{LOCAL} TO {role}"));
    }
    all
}

impl ClickHouseStore {
    /// The statements that make the bridge's three roles for this store: [`role_statements`] for its database, its
    /// tables' prefix and its cluster. For who runs them otherwise than by [`create_roles`](Self::create_roles).
    ///
    /// ```
    /// use bridge_storage::{ClickHouseOptions, ClickHouseStore};
    ///
    /// let options = ClickHouseOptions::from_url("http://127.0.0.1:8123/usage")?.with_table_prefix("etb_")?;
    /// let statements = ClickHouseStore::new(options)?.role_statements();
    /// assert!(statements.iter().any(|sql| sql == "GRANT SELECT ON `usage`.etb_token_usage TO bridge_dashboard"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn role_statements(&self) -> Vec<String> {
        let options = &self.options;
        let statements = role_statements(&options.database);
        let statements = match &options.topology {
            Topology::OneServer => statements,
            Topology::Cluster(_) => {
                let everywhere = options.topology.on_cluster();
                let all = statements.iter().map(String::as_str).chain(ON_CLUSTER);
                all.flat_map(|statement| on_cluster(statement, &everywhere)).collect()
            }
        };
        statements.iter().map(|statement| options.table_prefix.sql(statement).into_owned()).collect()
    }

    /// Makes the bridge's three roles for this store ([`role_statements`](Self::role_statements)). May be repeated.
    ///
    /// # Errors
    ///
    /// [`StorageKind::PermissionDenied`](bridge_core::StorageKind::PermissionDenied) where the store's user may not
    /// create roles or grant these rights.
    pub async fn create_roles(&self) -> Result<(), BridgeError> {
        for statement in self.role_statements() {
            self.call("create the roles", |tables| {
                let query = tables.server().query_raw(&statement);
                async move { query.execute().await }
            })
            .await?;
        }
        Ok(())
    }
}
