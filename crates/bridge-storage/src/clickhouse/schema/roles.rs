//! The three roles: writer, dashboard reader, administrator.

use bridge_core::BridgeError;

use super::script::Schema;
use super::tables::LOCAL;
use super::topology::{SHARDING, Topology};
use crate::clickhouse::ClickHouseStore;

/// The shipped file, for a database named `bridge`.
const ROLES: &str = include_str!("../../../sql/roles.sql");

/// The administrator's additional rights on a cluster.
const ON_CLUSTER: [&str; 5] = [
    "GRANT CLUSTER ON *.* TO bridge_administrator",
    "GRANT REMOTE ON *.* TO bridge_administrator",
    "GRANT TABLE ENGINE ON Distributed TO bridge_administrator",
    "GRANT TABLE ENGINE ON ReplicatedMergeTree TO bridge_administrator",
    "GRANT TABLE ENGINE ON ReplicatedReplacingMergeTree TO bridge_administrator",
];

/// Returns the statement for all servers of a cluster. Grants on a table apply to its local one too.
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

impl Schema {
    /// Returns the statements that create the bridge's three roles, each with the least privileges: `bridge_writer`
    /// stores and reads, `bridge_dashboard` reads, `bridge_administrator` also migrates.
    ///
    /// They are those of `sql/roles.sql`, for this database, table prefix and cluster, and can be repeated. They need a
    /// server: the embedded engine has a writer and a reader, which are configured in a file.
    ///
    /// ```
    /// use bridge_storage::Schema;
    ///
    /// let statements = Schema::new("usage").with_table_prefix("etb_")?.role_statements();
    /// assert!(statements.iter().any(|sql| sql == "GRANT SELECT ON `usage`.etb_token_usage TO bridge_dashboard"));
    /// # Ok::<(), bridge_core::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn role_statements(&self) -> Vec<String> {
        let lines = ROLES.lines().filter(|line| !line.starts_with("--"));
        let text = lines.collect::<Vec<_>>().join("\n").replace("`bridge`", &self.quoted_database());
        let statements = text.split(";\n").map(|sql| sql.trim().trim_end_matches(';'));
        let statements = statements.filter(|sql| !sql.is_empty());
        let statements: Vec<String> = match &self.topology {
            Topology::OneServer => statements.map(str::to_owned).collect(),
            Topology::Cluster(_) => {
                let everywhere = self.topology.on_cluster();
                statements.chain(ON_CLUSTER).flat_map(|sql| on_cluster(sql, &everywhere)).collect()
            }
        };
        statements.iter().map(|sql| self.prefix.sql(sql).into_owned()).collect()
    }
}

impl ClickHouseStore {
    /// Creates the bridge's three roles for this store ([`Schema::role_statements`]). May be repeated.
    ///
    /// # Errors
    ///
    /// [`StorageKind::PermissionDenied`](bridge_core::StorageKind::PermissionDenied) if the store's user may not create
    /// roles or grant these privileges.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), bridge_core::BridgeError> {
    /// use bridge_storage::{ClickHouseOptions, ClickHouseStore, TokenStore};
    ///
    /// let options = ClickHouseOptions::from_url("http://db.example:8123")?.with_user("administrator", "…");
    /// let store = ClickHouseStore::new(options)?;
    /// store.migrate().await?;
    /// store.create_roles().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_roles(&self) -> Result<(), BridgeError> {
        for statement in self.options.schema().role_statements() {
            self.call("create the roles", |tables| {
                let query = tables.server().query_raw(&statement);
                async move { query.execute().await }
            })
            .await?;
        }
        Ok(())
    }
}
