//! The three roles: writer, dashboard reader, administrator.

use bridge_core::BridgeError;

use super::ClickHouseStore;

/// The file that is shipped, for a database of the name `bridge`.
const ROLES: &str = include_str!("../../sql/roles.sql");

/// The statements that make the bridge's three roles for a database, each with no more than it needs:
/// `bridge_writer` stores and reads, `bridge_dashboard` reads, `bridge_administrator` migrates, too.
///
/// They are those of `sql/roles.sql`. They may be run again, and need a server: the embedded engine keeps its
/// users in a file, and has a writer and a reader of its own.
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

impl ClickHouseStore {
    /// Makes the bridge's three roles for this store's database ([`role_statements`]). May be repeated.
    ///
    /// # Errors
    ///
    /// [`StorageKind::PermissionDenied`](bridge_core::StorageKind::PermissionDenied) where the store's user may not
    /// create roles or grant these rights.
    pub async fn create_roles(&self) -> Result<(), BridgeError> {
        for statement in role_statements(&self.options.database) {
            self.call("create the roles", |tables| {
                let query = tables.server().query_raw(&tables.named(&statement));
                async move { query.execute().await }
            })
            .await?;
        }
        Ok(())
    }
}
