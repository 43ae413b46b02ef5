//! Every key of the configuration: its name, its form and the setting behind it.

use super::form::{
    Absence, BOOLEAN, Choice, FilePath, Form, Keeping, Optional, Pairs, Percent, ProjectGroupRules,
    ProjectNameRules, RawValue, Seconds, Sources, Text, Time, WrongForm, is_address, is_word, mebibytes,
    number,
};
use bridge_storage::ClickHouseOptions;

use super::assignments::{self, Assignments};
use super::budgets::{self, BudgetList};
use super::error::ConfigProblem;
use super::node::Node;
use super::pricing;
use super::sections::ProjectNameMode;
use super::{BridgeConfig, ROOT};
use crate::AuditedOperations;

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    pub(super) name: &'static str,
    is_secret: bool,
    pub(super) set: fn(&mut BridgeConfig, &RawValue) -> Result<(), WrongForm>,
    describe: fn(&BridgeConfig) -> Description,
    /// Of a list of values that have keys of their own: returns what is wrong with them, each with its place.
    pub(super) problems: Option<NodeCheck>,
}

/// Returns what is wrong with a list of values.
type NodeCheck = fn(&[Node]) -> Vec<ConfigProblem>;

/// The value of a key in YAML's form, and the values that it allows.
struct Description {
    value: String,
    allowed: String,
}

fn described<T>(form: &impl Form<T>, value: &T) -> Description {
    Description { value: form.write(value), allowed: form.allowed() }
}

impl ConfigKey {
    /// Returns its name below `enhanced_token_bridge`, such as `clickhouse.url`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns its default in YAML's form.
    #[must_use]
    pub fn default_text(&self) -> String {
        (self.describe)(&BridgeConfig::default()).value
    }

    /// Returns a description of the values that it allows.
    #[must_use]
    pub fn allowed(&self) -> String {
        (self.describe)(&BridgeConfig::default()).allowed
    }

    /// Returns whether its value is kept out of every output.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// Returns the environment variable that overrides it: `ETB_` and the name, such as `ETB_CLICKHOUSE_URL`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    /// Returns whether its value is a list of texts.
    pub(super) fn is_list(&self) -> bool {
        self.default_text() == "[]"
    }

    /// Returns whether its value is a mapping of names to texts.
    pub(super) fn is_mapping(&self) -> bool {
        self.default_text() == "{}"
    }

    /// Returns its full name, with the root.
    pub(super) fn whole_name(&self) -> String {
        format!("{ROOT}.{}", self.name)
    }

    /// Returns whether its value is a list of values that have keys of their own.
    pub(super) fn is_structured(&self) -> bool {
        self.problems.is_some()
    }

    /// Returns whether elements of its list may be texts, too.
    pub(super) fn takes_texts(&self) -> bool {
        (self.set)(&mut BridgeConfig::default(), &RawValue::List(Vec::new())).is_ok()
    }

    const fn structured(mut self, problems: NodeCheck) -> Self {
        self.problems = Some(problems);
        self
    }

    const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }
}

/// The prefix of the configuration's environment variables.
pub(super) const VARIABLE_PREFIX: &str = "ETB_";

/// Keys of which only one may be given.
pub(super) const EXCLUSIVE: [(&str, &str); 8] = [
    ("clickhouse.url", "embedded.data_dir"),
    ("clickhouse.password", "clickhouse.password_file"),
    ("clickhouse.password", "clickhouse.access_token"),
    ("clickhouse.password", "clickhouse.access_token_file"),
    ("clickhouse.password_file", "clickhouse.access_token"),
    ("clickhouse.password_file", "clickhouse.access_token_file"),
    ("clickhouse.access_token", "clickhouse.access_token_file"),
    ("sources.project_key", "sources.project_key_file"),
];

/// `key!("name", setting.of.the.configuration, form)`
macro_rules! key {
    ($name:literal, $($setting:ident).+, $form:expr) => {
        ConfigKey {
            name: $name,
            is_secret: false,
            set: |config, raw| {
                config.$($setting).+ = $form.read(raw)?;
                Ok(())
            },
            describe: |config| described(&$form, &config.$($setting).+),
            problems: None,
        }
    };
}

const ADDRESS: Text = Text {
    allowed: "http://HOST:PORT or https://HOST:PORT, without user, password and database",
    is_allowed: is_address,
};
const DATABASE: Text =
    Text { allowed: "a name of letters, digits, `_` and `-`", is_allowed: |text| is_word(text, "_-") };
const TABLE_PREFIX: Text = Text {
    allowed: "up to 64 letters, digits and `_`, no digit first",
    is_allowed: |text| {
        text.len() <= 64 && is_word(text, "_") && !text.starts_with(|c: char| c.is_ascii_digit())
    },
};
const CLUSTER: Text =
    Text { allowed: "a name of letters, digits, `_`, `-` and `.`", is_allowed: |text| is_word(text, "_-.") };
const NAME: Text = Text { allowed: "a name", is_allowed: |_| true };
const PASSWORD: Text = Text { allowed: "a text", is_allowed: |_| true };
const ACCESS_TOKEN: Text = Text {
    allowed: "a bearer token, without the word `Bearer`",
    is_allowed: |text| bridge_storage::AccessToken::new(text).is_ok(),
};
const HEADERS: Pairs = Pairs {
    allowed: "names of HTTP headers, each with its value, but those that the client sets itself",
    is_allowed: |name, value| ClickHouseOptions::allows_header(name, value),
};
const SETTINGS: Pairs = Pairs {
    allowed: "names of ClickHouse settings, each with its value, but those that the bridge sets itself or relies on",
    is_allowed: |name, _| ClickHouseOptions::allows_setting(name),
};
const HOST_NAME: Text = Text { allowed: "a name of up to 512 bytes", is_allowed: |text| text.len() <= 512 };
const ASSIGNED: Text = Text { allowed: "a name of up to 512 bytes", is_allowed: |text| text.len() <= 512 };
const LABELS: Pairs = Pairs {
    allowed: "up to 16 names of a to z, 0 to 9 and `_`, each with a text of up to 512 bytes",
    is_allowed: |name, value| bridge_core::Labels::new([(name, value)]).is_ok(),
};
const PROJECT_KEY: Text = Text {
    allowed: "32 hexadecimal digits, as `openssl rand -hex 16` makes them",
    is_allowed: |text| bridge_analysis::ProjectKey::from_hex(text).is_ok(),
};
const PROJECT_NAMES: Choice<ProjectNameMode> = Choice(&[
    ("full", ProjectNameMode::Full),
    ("last_component", ProjectNameMode::LastComponent),
    ("keyed_hash", ProjectNameMode::KeyedHash),
    ("none", ProjectNameMode::None),
]);
const OPERATIONS: Choice<AuditedOperations> = Choice(&[
    ("all", AuditedOperations::All),
    ("changes", AuditedOperations::Changes),
    ("nothing", AuditedOperations::Nothing),
]);

/// All keys, in the order of the documentation.
#[rustfmt::skip]
pub(super) const KEYS: &[ConfigKey] = &[
    // A password may have been put into it by mistake.
    key!("clickhouse.url", clickhouse.url, Optional(ADDRESS)).secret(),
    key!("clickhouse.database", clickhouse.database, DATABASE),
    key!("clickhouse.table_prefix", clickhouse.table_prefix, TABLE_PREFIX),
    key!("clickhouse.user", clickhouse.user, NAME),
    key!("clickhouse.password", clickhouse.password, Optional(PASSWORD)).secret(),
    key!("clickhouse.password_file", clickhouse.password_file, Optional(FilePath)),
    key!("clickhouse.access_token", clickhouse.access_token, Optional(ACCESS_TOKEN)).secret(),
    key!("clickhouse.access_token_file", clickhouse.access_token_file, Optional(FilePath)),
    key!("clickhouse.headers", clickhouse.headers, HEADERS).secret(),
    key!("clickhouse.settings", clickhouse.settings, SETTINGS),
    key!("clickhouse.tls_ca_file", clickhouse.tls_ca_file, Optional(FilePath)),
    key!("clickhouse.cluster", clickhouse.cluster, Optional(CLUSTER)),
    key!("clickhouse.retention", clickhouse.retention, Keeping),
    key!("clickhouse.audit_retention", clickhouse.audit_retention, Keeping),
    key!("clickhouse.connection_pool_size", clickhouse.limits.pool_size, number(1..=1000)),
    key!("clickhouse.connection_timeout", clickhouse.limits.connect_timeout, Time),
    key!("clickhouse.operation_timeout", clickhouse.limits.operation_timeout, Time),
    key!("clickhouse.retry_attempts", clickhouse.limits.retry.max_retries, number(0..=100)),
    key!("clickhouse.retry_budget", clickhouse.limits.retry.budget, Time),
    key!("clickhouse.circuit_failures", clickhouse.limits.circuit.failures, number(0..=1000).zero_is("never opens")),
    key!("clickhouse.circuit_open_for", clickhouse.limits.circuit.open_for, Time),
    key!("clickhouse.circuit_open_for_max", clickhouse.limits.circuit.open_for_max, Time),
    key!("clickhouse.disk_reserve_mb", clickhouse.limits.disk_reserve, mebibytes(0..=1 << 20).zero_is("none")),
    key!("embedded.data_dir", embedded.data_dir, Optional(FilePath)),
    key!("embedded.cache_dir", embedded.cache_dir, Optional(FilePath)),
    key!("embedded.memory_mb", embedded.memory_bytes_max, mebibytes(512..=1 << 20)),
    key!("sources.paths", sources.paths, Sources),
    key!("sources.host_name", sources.host_name, Optional(HOST_NAME)),
    key!("sources.project_names", sources.project_names, PROJECT_NAMES),
    key!("sources.project_key", sources.project_key, Optional(PROJECT_KEY)).secret(),
    key!("sources.project_key_file", sources.project_key_file, Optional(FilePath)),
    key!("sources.developer", sources.developer, Optional(ASSIGNED)),
    key!("sources.team", sources.team, Optional(ASSIGNED)),
    key!("sources.labels", sources.labels, LABELS),
    key!("sources.assignments", sources.assignments, Assignments).structured(assignments::problems),
    key!("sources.activity_pause", sources.activity_pause, Time),
    key!("projects.names", projects.names, ProjectNameRules),
    key!("projects.groups", projects.groups, ProjectGroupRules),
    key!("projects.git_worktrees", projects.git_worktrees, BOOLEAN),
    key!("processing.batch_size", processing.batch_size, number(1..=1_000_000)),
    key!("processing.max_memory_mb", processing.memory_bytes_max, mebibytes(1..=1 << 20)),
    key!("processing.parallel_limit", processing.parallel_limit, number(1..=1000)),
    key!("processing.validation", processing.validation, BOOLEAN),
    key!("processing.threads", processing.analyzer.threads, number(0..=1024).zero_is("one for each core")),
    key!("processing.max_line_mb", processing.analyzer.line_bytes_max, mebibytes(1..=2048)),
    key!("processing.strict", processing.analyzer.strict, BOOLEAN),
    key!("processing.categories", processing.analyzer.categories, BOOLEAN),
    key!("processing.activity", processing.analyzer.activity, BOOLEAN),
    key!("caching.ttl_seconds", caching.ttl, Seconds(number(0..=86_400).zero_is("no cache"))),
    key!("caching.max_entries", caching.max_entries, number(1..=1_000_000)),
    key!("monitoring.health_check_interval", monitoring.health_check_interval, Time),
    key!("monitoring.metrics_export_interval", monitoring.metrics_export_interval, Time),
    key!("monitoring.probe_timeout", monitoring.limits.probe_timeout, Time),
    key!("monitoring.sync_lag_max", monitoring.limits.sync_lag_max, Time),
    key!("monitoring.error_rate_max", monitoring.limits.error_rate_max, Percent),
    key!("monitoring.error_rate_window", monitoring.limits.error_rate_window, Time),
    key!("monitoring.disk_free_min", monitoring.limits.disk_free_min, Percent),
    key!("monitoring.host_silent_max", monitoring.limits.host_silent_max, Optional(Absence)),
    key!("monitoring.unpriced_share_max", monitoring.limits.unpriced_share_max, Optional(Percent)),
    key!("monitoring.budgets", budgets, BudgetList).structured(budgets::problems),
    key!("pricing.enabled", pricing.enabled, BOOLEAN),
    key!("pricing.prices", pricing.prices, pricing::PRICE_LIST).structured(pricing::price_problems),
    key!("pricing.aliases", pricing.aliases, pricing::ALIAS_LIST).structured(pricing::alias_problems),
    key!("pricing.discounts", pricing.discounts, pricing::DISCOUNT_LIST).structured(pricing::discount_problems),
    key!("audit.operations", audit.operations, OPERATIONS),
    key!("audit.buffer_records", audit.buffer_records_max, number(1..=1_000_000)),
    key!("audit.write_within", audit.write_within, Time),
    key!("audit.spool_dir", audit.spool_dir, Optional(FilePath)),
    key!("audit.spool_mb", audit.spool_bytes_max, mebibytes(0..=1 << 20).zero_is("none")),
];

/// Returns the key of this name.
pub(super) fn find(name: &str) -> Option<&'static ConfigKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Returns the keys below this one, by their last component; none if it is not a section.
pub(super) fn below(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(move |key| key.name.strip_prefix(section)?.strip_prefix('.'))
}

/// Returns the names of the sections.
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
    fn every_default_that_is_shown_is_allowed_and_is_the_default() {
        for key in KEYS.iter().filter(|key| !matches!(key.default_text().as_str(), "null" | "[]" | "{}")) {
            let mut config = BridgeConfig::default();
            (key.set)(&mut config, &RawValue::Text(key.default_text())).unwrap();
            assert_eq!(format!("{config:?}"), format!("{:?}", BridgeConfig::default()), "{}", key.name);
        }
    }
}
