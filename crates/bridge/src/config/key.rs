//! Every key of the configuration: its name, its default, what it allows and what it sets.

use super::sections::ProjectNameMode;
use super::value::{
    Given, Unfit, address, count, optional, owned, path, paths, patience, retention, share, size, small,
    truth, word,
};
use super::{BridgeConfig, Secret};
use crate::AuditedOperations;

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    pub(super) name: &'static str,
    default: &'static str,
    allowed: &'static str,
    is_secret: bool,
    pub(super) set: fn(&mut BridgeConfig, &Given) -> Result<(), Unfit>,
}

impl ConfigKey {
    /// Its name below `enhanced_token_bridge`, `clickhouse.url` say.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its default as it stands in YAML.
    #[must_use]
    pub fn default_text(&self) -> &'static str {
        self.default
    }

    /// What it allows.
    #[must_use]
    pub fn allowed(&self) -> &'static str {
        self.allowed
    }

    /// Whether its value is kept out of every output.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// The environment variable that overrides it: `ETB_` and the name, `ETB_CLICKHOUSE_URL` say.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }
}

/// What the environment variables of the configuration begin with.
pub(super) const VARIABLE_PREFIX: &str = "ETB_";

/// Keys of which only one may be given.
pub(super) const EXCLUSIVE: [(&str, &str); 3] = [
    ("clickhouse.url", "embedded.data_dir"),
    ("clickhouse.password", "clickhouse.password_file"),
    ("sources.project_key", "sources.project_key_file"),
];

const fn key(
    name: &'static str,
    default: &'static str,
    allowed: &'static str,
    set: fn(&mut BridgeConfig, &Given) -> Result<(), Unfit>,
) -> ConfigKey {
    ConfigKey { name, default, allowed, is_secret: false, set }
}

const PATIENCE: &str = "a duration from 1ms to 1d, like 30s";
const RETENTION: &str = "off, keep, or a duration from 1d to 36500d, like 400d";
const SHARE: &str = "a share from 0% to 100%, like 0.1%";
const PATH: &str = "a path (`~` is not expanded)";
const TRUTH: &str = "true or false";

/// All keys, in the order of the documentation.
pub(super) const KEYS: &[ConfigKey] = &[
    // A password may have been put into it by mistake.
    key(
        "clickhouse.url",
        "null",
        "http://HOST:PORT or https://HOST:PORT, without user, password and database",
        |c, v| put(&mut c.clickhouse.url, optional(v, address)),
    )
    .secret(),
    key("clickhouse.database", "bridge", "a name of letters, digits, `_` and `-`", |c, v| {
        put(&mut c.clickhouse.database, word(v, |c| c.is_ascii_alphanumeric() || "_-".contains(c)))
    }),
    key("clickhouse.table_prefix", "null", "up to 64 letters, digits and `_`, no digit first", |c, v| {
        let prefix = word(v, |c| c.is_ascii_alphanumeric() || c == '_')?;
        let is_fit = prefix.len() <= 64 && !prefix.starts_with(|c: char| c.is_ascii_digit());
        c.clickhouse.table_prefix = if is_fit { prefix } else { return Err(Unfit) };
        Ok(())
    }),
    key("clickhouse.user", "default", "a name", |c, v| put(&mut c.clickhouse.user, owned(v))),
    key("clickhouse.password", "null", "a text", |c, v| {
        put(&mut c.clickhouse.password, optional(v, |v| owned(v).map(Secret::new)))
    })
    .secret(),
    key("clickhouse.password_file", "null", PATH, |c, v| {
        put(&mut c.clickhouse.password_file, optional(v, path))
    }),
    key("clickhouse.tls_ca_file", "null", PATH, |c, v| put(&mut c.clickhouse.tls_ca_file, optional(v, path))),
    key("clickhouse.cluster", "null", "a name of letters, digits, `_`, `-` and `.`", |c, v| {
        let name = optional(v, |v| word(v, |c| c.is_ascii_alphanumeric() || "_-.".contains(c)))?;
        put(&mut c.clickhouse.cluster, Ok(name))
    }),
    key("clickhouse.retention", "keep", RETENTION, |c, v| put(&mut c.clickhouse.retention, retention(v))),
    key("clickhouse.audit_retention", "keep", RETENTION, |c, v| {
        put(&mut c.clickhouse.audit_retention, retention(v))
    }),
    key("clickhouse.connection_pool_size", "10", "a whole number from 1 to 1000", |c, v| {
        put(&mut c.clickhouse.connection_pool_size, size(v, 1..=1000))
    }),
    key("clickhouse.connection_timeout", "30s", PATIENCE, |c, v| {
        put(&mut c.clickhouse.connection_timeout, patience(v))
    }),
    key("clickhouse.operation_timeout", "30s", PATIENCE, |c, v| {
        put(&mut c.clickhouse.operation_timeout, patience(v))
    }),
    key("clickhouse.retry_attempts", "3", "a whole number from 0 to 100", |c, v| {
        put(&mut c.clickhouse.retry_attempts, size(v, 0..=100))
    }),
    key("clickhouse.retry_budget", "60s", PATIENCE, |c, v| put(&mut c.clickhouse.retry_budget, patience(v))),
    key("clickhouse.circuit_failures", "5", "a whole number from 0 (never opens) to 1000", |c, v| {
        put(&mut c.clickhouse.circuit_failures, small(v, 0..=1000))
    }),
    key("clickhouse.circuit_open_for", "1s", PATIENCE, |c, v| {
        put(&mut c.clickhouse.circuit_open_for, patience(v))
    }),
    key("clickhouse.circuit_open_for_max", "30s", PATIENCE, |c, v| {
        put(&mut c.clickhouse.circuit_open_for_max, patience(v))
    }),
    key("clickhouse.disk_reserve_mb", "8", "a whole number from 0 (none) to 1048576", |c, v| {
        put(&mut c.clickhouse.disk_reserve_mb, count(v, 0..=1 << 20))
    }),
    key("embedded.data_dir", "null", PATH, |c, v| put(&mut c.embedded.data_dir, optional(v, path))),
    key("embedded.cache_dir", "null", PATH, |c, v| put(&mut c.embedded.cache_dir, optional(v, path))),
    key("embedded.memory_mb", "4096", "a whole number from 512 to 1048576", |c, v| {
        put(&mut c.embedded.memory_mb, count(v, 512..=1 << 20))
    }),
    key("sources.paths", "[]", "a list of paths (a leading `~/` is the home folder)", |c, v| {
        put(&mut c.sources.paths, paths(v))
    }),
    key("sources.host_name", "null", "a name of up to 512 bytes", |c, v| {
        let name = optional(v, owned)?;
        c.sources.host_name =
            if name.as_ref().is_none_or(|name| name.len() <= 512) { name } else { return Err(Unfit) };
        Ok(())
    }),
    key("sources.project_names", "full", "full, last_component or keyed_hash", |c, v| {
        c.sources.project_names = match owned(v)?.as_str() {
            "full" => ProjectNameMode::Full,
            "last_component" => ProjectNameMode::LastComponent,
            "keyed_hash" => ProjectNameMode::KeyedHash,
            _ => return Err(Unfit),
        };
        Ok(())
    }),
    key(
        "sources.project_key",
        "null",
        "32 hexadecimal digits, as `openssl rand -hex 16` makes them",
        |c, v| {
            let is_key = |text: &String| bridge_analysis::ProjectKey::from_hex(text).is_ok();
            let key =
                optional(v, |v| owned(v).and_then(|text| if is_key(&text) { Ok(text) } else { Err(Unfit) }))?;
            put(&mut c.sources.project_key, Ok(key.map(Secret::new)))
        },
    )
    .secret(),
    key("sources.project_key_file", "null", PATH, |c, v| {
        put(&mut c.sources.project_key_file, optional(v, path))
    }),
    key("processing.batch_size", "1000", "a whole number from 1 to 1000000", |c, v| {
        put(&mut c.processing.batch_size, size(v, 1..=1_000_000))
    }),
    key("processing.max_memory_mb", "200", "a whole number from 1 to 1048576", |c, v| {
        put(&mut c.processing.max_memory_mb, size(v, 1..=1 << 20))
    }),
    key("processing.parallel_limit", "5", "a whole number from 1 to 1000", |c, v| {
        put(&mut c.processing.parallel_limit, size(v, 1..=1000))
    }),
    key("processing.validation", "true", TRUTH, |c, v| put(&mut c.processing.validation, truth(v))),
    key("processing.threads", "0", "a whole number from 0 (one for each core) to 1024", |c, v| {
        put(&mut c.processing.threads, size(v, 0..=1024))
    }),
    key("processing.max_line_mb", "64", "a whole number from 1 to 2048", |c, v| {
        put(&mut c.processing.max_line_mb, size(v, 1..=2048))
    }),
    key("processing.strict", "false", TRUTH, |c, v| put(&mut c.processing.strict, truth(v))),
    key("processing.categories", "false", TRUTH, |c, v| put(&mut c.processing.categories, truth(v))),
    key("caching.ttl_seconds", "600", "a whole number from 0 (no cache) to 86400", |c, v| {
        put(&mut c.caching.ttl_seconds, count(v, 0..=86_400))
    }),
    key("caching.max_entries", "1000", "a whole number from 1 to 1000000", |c, v| {
        put(&mut c.caching.max_entries, count(v, 1..=1_000_000))
    }),
    key("monitoring.health_check_interval", "60s", PATIENCE, |c, v| {
        put(&mut c.monitoring.health_check_interval, patience(v))
    }),
    key("monitoring.metrics_export_interval", "30s", PATIENCE, |c, v| {
        put(&mut c.monitoring.metrics_export_interval, patience(v))
    }),
    key("monitoring.probe_timeout", "5s", PATIENCE, |c, v| {
        put(&mut c.monitoring.limits.probe_timeout, patience(v))
    }),
    key("monitoring.freshness_max_age", "15m", PATIENCE, |c, v| {
        put(&mut c.monitoring.limits.freshness_max_age, patience(v))
    }),
    key("monitoring.error_rate_max", "0.1%", SHARE, |c, v| {
        put(&mut c.monitoring.limits.error_rate_max, share(v))
    }),
    key("monitoring.error_rate_window", "10m", PATIENCE, |c, v| {
        put(&mut c.monitoring.limits.error_rate_window, patience(v))
    }),
    key("monitoring.disk_free_min", "10%", SHARE, |c, v| {
        put(&mut c.monitoring.limits.disk_free_min, share(v))
    }),
    key("audit.operations", "all", "all, changes or nothing", |c, v| {
        c.audit.operations = match owned(v)?.as_str() {
            "all" => AuditedOperations::All,
            "changes" => AuditedOperations::Changes,
            "nothing" => AuditedOperations::Nothing,
            _ => return Err(Unfit),
        };
        Ok(())
    }),
    key("audit.buffer_records", "10000", "a whole number from 1 to 1000000", |c, v| {
        put(&mut c.audit.buffer_records_max, size(v, 1..=1_000_000))
    }),
    key("audit.write_within", "5s", PATIENCE, |c, v| put(&mut c.audit.write_within, patience(v))),
];

/// Sets a value, if it is one.
fn put<T>(place: &mut T, value: Result<T, Unfit>) -> Result<(), Unfit> {
    *place = value?;
    Ok(())
}

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static ConfigKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// The keys below this one, by their last component; none where it is no section.
pub(super) fn below(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(move |key| key.name.strip_prefix(section)?.strip_prefix('.'))
}

/// The names of the sections.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = KEYS.iter().filter_map(|key| Some(key.name.split_once('.')?.0)).collect();
    sections.dedup();
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_share_a_variable() {
        let mut variables: Vec<_> = KEYS.iter().map(ConfigKey::variable).collect();
        variables.sort_unstable();
        variables.dedup();
        assert_eq!(variables.len(), KEYS.len());
        assert_eq!(find("clickhouse.url").unwrap().variable(), "ETB_CLICKHOUSE_URL");
    }

    #[test]
    fn the_default_that_is_documented_is_the_default() {
        for key in KEYS.iter().filter(|key| !matches!(key.default, "null" | "[]")) {
            let mut config = BridgeConfig::default();
            (key.set)(&mut config, &Given::Text(key.default.to_owned())).unwrap();
            assert_eq!(format!("{config:?}"), format!("{:?}", BridgeConfig::default()), "{}", key.name);
        }
    }
}
