//! The folder of the audit's spool.

use std::ffi::OsString;
use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_128;

use super::BridgeConfig;
use crate::AuditOptions;

/// Folder of the spools in the data folder of the embedded engine, and in the user's state folder.
const FOLDER: &str = "audit-spool";

impl BridgeConfig {
    /// Returns the options of the audit for a bridge to the database of this configuration, which has a spool of its
    /// own: below `audit.spool_dir`, else next to the data of the embedded engine, else in the user's state folder.
    pub(super) fn audit_options(&self) -> AuditOptions {
        let mut options = self.audit.clone();
        let variable = |name: &str| std::env::var_os(name);
        options.spool_dir = self.spools(variable).map(|folder| folder.join(self.target()));
        options
    }

    fn spools(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let beside_the_data = || Some(self.embedded.data_dir.as_ref()?.join(FOLDER));
        let state = || Some(state_folder(variable)?.join("enhanced-token-bridge").join(FOLDER));
        self.audit.spool_dir.clone().or_else(beside_the_data).or_else(state)
    }

    /// Returns a name for the database and its tables.
    fn target(&self) -> String {
        let config = &self.clickhouse;
        let url = config.url.as_deref().unwrap_or_default().trim_end_matches('/');
        let target = [url, &config.database, &config.table_prefix].join("\n");
        format!("{:032x}", xxh3_128(target.as_bytes()))
    }
}

/// Returns the user's state folder, by the XDG Base Directory Specification.
fn state_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("state")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> BridgeConfig {
        BridgeConfig::from_yaml_str(&format!("enhanced_token_bridge: {{{yaml}}}")).unwrap()
    }

    fn home(name: &str) -> Option<OsString> {
        (name == "HOME").then(|| "/nowhere".into())
    }

    #[test]
    fn the_folder_is_that_of_the_key_else_beside_the_data_else_the_users() {
        let state = config("clickhouse: {url: http://localhost:8123}");
        let folder = PathBuf::from("/nowhere/.local/state/enhanced-token-bridge/audit-spool");
        assert_eq!(state.spools(home), Some(folder));
        let xdg = |name: &str| if name == "XDG_STATE_HOME" { Some("/state".into()) } else { home(name) };
        assert_eq!(state.spools(xdg), Some("/state/enhanced-token-bridge/audit-spool".into()));
        assert_eq!(state.spools(|_| None), None);
        let embedded = config("embedded: {data_dir: /data}");
        assert_eq!(embedded.spools(home), Some("/data/audit-spool".into()));
        let named = config("embedded: {data_dir: /data}, audit: {spool_dir: /spools}");
        assert_eq!(named.spools(home), Some("/spools".into()));
    }

    #[test]
    fn each_database_has_a_spool_of_its_own() {
        let targets = [
            "url: http://localhost:8123",
            "url: http://localhost:8124",
            "url: http://localhost:8123, database: other",
            "url: http://localhost:8123, table_prefix: other_",
        ]
        .map(|keys| config(&format!("clickhouse: {{{keys}}}")).target());
        let distinct: std::collections::BTreeSet<_> = targets.iter().collect();
        assert_eq!(distinct.len(), targets.len(), "{targets:?}");
        assert_eq!(config("clickhouse: {url: http://localhost:8123/}").target(), targets[0]);
    }
}
