//! Keys that do not go together.

use super::error::{ConfigError, ConfigOrigin, ConfigProblem};
use super::key::EXCLUSIVE;
use super::sections::ProjectNameMode;
use super::{BridgeConfig, ROOT};

/// Keys of a server, which the embedded engine has no use for.
const OF_A_SERVER: [&str; 8] = [
    "clickhouse.user",
    "clickhouse.password",
    "clickhouse.password_file",
    "clickhouse.access_token",
    "clickhouse.access_token_file",
    "clickhouse.headers",
    "clickhouse.tls_ca_file",
    "clickhouse.cluster",
];

impl BridgeConfig {
    /// Checks that the keys go together, but for those that locate the store.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut report = |key: &str, message: String| problems.push(self.problem(key, message));
        for (one, other) in EXCLUSIVE {
            if self.given.contains_key(one) && self.given.contains_key(other) {
                report(other, format!("does not go with {one}: give one of them"));
            }
        }
        let is_embedded = self.embedded.data_dir.is_some();
        for key in OF_A_SERVER.into_iter().filter(|key| is_embedded && self.given.contains_key(key)) {
            report(key, "has no meaning with embedded.data_dir: it is of a server".to_owned());
        }
        let has_token = self.clickhouse.access_token.is_some() || self.clickhouse.access_token_file.is_some();
        if has_token && self.given.contains_key("clickhouse.user") {
            report("clickhouse.user", "has no meaning with an access token, which names the user".to_owned());
        }
        let is_secure = self.clickhouse.url.as_ref().is_some_and(|url| url.starts_with("https://"));
        if self.clickhouse.tls_ca_file.is_some() && !is_embedded && !is_secure {
            report("clickhouse.tls_ca_file", "needs a clickhouse.url that begins with https://".to_owned());
        }
        let is_keyed = self.sources.project_names == ProjectNameMode::KeyedHash;
        let has_key = self.sources.project_key.is_some() || self.sources.project_key_file.is_some();
        if is_keyed && !has_key {
            let needed = "keyed_hash needs sources.project_key or sources.project_key_file";
            report("sources.project_names", needed.to_owned());
        }
        if has_key && !is_keyed {
            let key = if self.sources.project_key.is_some() { "project_key" } else { "project_key_file" };
            let needless = "has no meaning without project_names: keyed_hash";
            report(&format!("sources.{key}"), needless.to_owned());
        }
        let (line, memory) =
            (self.processing.analyzer.line_bytes_max >> 20, self.processing.memory_bytes_max >> 20);
        if line > memory {
            report(
                "processing.max_line_mb",
                format!("is {line}, more than processing.max_memory_mb, {memory}"),
            );
        }
        if let Err(error) = self.catalog() {
            problems.extend(error.problems().iter().cloned());
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::new(problems)) }
    }

    pub(super) fn problem(&self, key: &str, message: String) -> ConfigProblem {
        let origin = self.given.get(key).cloned().unwrap_or(ConfigOrigin::Nowhere);
        ConfigProblem { origin, key: format!("{ROOT}.{key}"), message }
    }
}
