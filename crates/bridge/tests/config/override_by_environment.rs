//! Overrides by environment variables.

use bridge::config::BridgeConfig;

use crate::config::{given, yaml};

/// A non-default value for every key.
const VALUES: &[(&str, &str)] = &[
    ("clickhouse.url", "http://db:8123"),
    ("clickhouse.database", "usage"),
    ("clickhouse.table_prefix", "etb_"),
    ("clickhouse.user", "me"),
    ("clickhouse.password", "pw"),
    ("clickhouse.password_file", "pw.txt"),
    ("clickhouse.access_token", "a.b.c"),
    ("clickhouse.access_token_file", "token.txt"),
    ("clickhouse.headers", "{X-A: b, X-C: d}"),
    ("clickhouse.settings", "{max_threads: 3, max_memory_usage: 4}"),
    ("clickhouse.tls_ca_file", "ca.pem"),
    ("clickhouse.cluster", "main"),
    ("clickhouse.retention", "400d"),
    ("clickhouse.audit_retention", "off"),
    ("clickhouse.connection_pool_size", "11"),
    ("clickhouse.connection_timeout", "31s"),
    ("clickhouse.operation_timeout", "32s"),
    ("clickhouse.retry_attempts", "4"),
    ("clickhouse.retry_budget", "33s"),
    ("clickhouse.circuit_failures", "6"),
    ("clickhouse.circuit_open_for", "2s"),
    ("clickhouse.circuit_open_for_max", "34s"),
    ("clickhouse.disk_reserve_mb", "9"),
    ("embedded.data_dir", "data"),
    ("embedded.cache_dir", "cache"),
    ("embedded.memory_mb", "1024"),
    ("sources.paths", "[a, b]"),
    ("sources.host_name", "here"),
    ("sources.project_names", "last_component"),
    ("sources.project_key", "000102030405060708090a0b0c0d0e0f"),
    ("sources.project_key_file", "key.txt"),
    ("sources.developer", "ann"),
    ("sources.team", "web"),
    ("sources.labels", "{tenant: acme, environment: ci}"),
    ("sources.assignments", "[/projects/* => team=web, /home/* => tenant=own]"),
    ("sources.activity_pause", "6m"),
    ("projects.names", "[/old => /new]"),
    ("projects.groups", "[/new => acme]"),
    ("projects.git_worktrees", "false"),
    ("processing.batch_size", "1001"),
    ("processing.max_memory_mb", "201"),
    ("processing.parallel_limit", "6"),
    ("processing.validation", "false"),
    ("processing.threads", "2"),
    ("processing.max_line_mb", "65"),
    ("processing.strict", "true"),
    ("processing.categories", "true"),
    ("processing.activity", "false"),
    ("caching.ttl_seconds", "601"),
    ("caching.max_entries", "1001"),
    ("monitoring.health_check_interval", "61s"),
    ("monitoring.metrics_export_interval", "31s"),
    ("monitoring.probe_timeout", "6s"),
    ("monitoring.sync_lag_max", "16m"),
    ("monitoring.error_rate_max", "0.2%"),
    ("monitoring.error_rate_window", "11m"),
    ("monitoring.disk_free_min", "11%"),
    ("monitoring.host_silent_max", "3d"),
    ("monitoring.unpriced_share_max", "6%"),
    ("monitoring.budgets", "[{name: all, tokens: 5, period: day}]"),
    ("pricing.enabled", "false"),
    ("pricing.prices", "[{model: own, provider: us, input: 1, output: 2}]"),
    ("pricing.aliases", "[{name: own, model: claude-opus-4-6}]"),
    ("pricing.discounts", "[{percent: 5}]"),
    ("audit.operations", "changes"),
    ("audit.buffer_records", "10001"),
    ("audit.write_within", "6s"),
    ("audit.spool_dir", "spools"),
    ("audit.spool_mb", "65"),
];

fn sections(config: &BridgeConfig) -> String {
    let BridgeConfig {
        clickhouse,
        embedded,
        sources,
        projects,
        processing,
        caching,
        monitoring,
        budgets,
        pricing,
        audit,
        ..
    } = config;
    // A variable has no lines.
    let pricing = format!("{pricing:?}").replace("line: Some(3)", "line: None");
    format!(
        "{clickhouse:?} {embedded:?} {sources:?} {projects:?} {processing:?} {caching:?} {monitoring:?} {budgets:?} {pricing} {audit:?}"
    )
}

#[test]
fn a_variable_sets_the_same_option_as_its_key() {
    assert_eq!(VALUES.len(), BridgeConfig::keys().len());
    for ((name, value), key) in VALUES.iter().zip(BridgeConfig::keys()) {
        assert_eq!(*name, key.name());
        let by_file = given(&[(name, value)]);
        assert_ne!(sections(&by_file), sections(&BridgeConfig::default()), "{name}");
        let separated = std::env::join_paths(value.trim_matches(['[', ']']).split(", "));
        let value = match value.as_bytes()[0] {
            // Budgets and prices have keys of their own, and the same text in a variable.
            b'[' if value.contains('{') => (*value).to_owned(),
            b'[' => separated.unwrap().into_string().unwrap(),
            b'{' => value.trim_matches(['{', '}']).replace(": ", "="),
            _ => (*value).to_owned(),
        };
        let look_up = |variable: &str| (variable == key.variable()).then(|| value.to_owned());
        let by_variable = BridgeConfig::default().with_env(look_up).unwrap();
        assert_eq!(sections(&by_file), sections(&by_variable), "{name}");
    }
}

#[test]
fn a_variable_overrides_the_file_unless_blank() {
    let file = given(&[("caching.ttl_seconds", "5")]);
    let with = |value: &'static str| {
        file.clone().with_env(|name| (name == "ETB_CACHING_TTL_SECONDS").then(|| value.to_owned())).unwrap()
    };
    let seconds = |value| with(value).caching.ttl.as_secs();
    assert_eq!((seconds("7"), seconds(" ")), (7, 5));
}

#[test]
fn a_variable_clears_conflicting_keys() {
    let file = given(&[("embedded.data_dir", "data"), ("clickhouse.password", "pw")]);
    let config = file
        .with_env(|name| match name {
            "ETB_CLICKHOUSE_URL" => Some("http://db".to_owned()),
            "ETB_CLICKHOUSE_PASSWORD_FILE" => Some("pw.txt".to_owned()),
            _ => None,
        })
        .unwrap();
    assert_eq!(config.embedded.data_dir, None);
    assert_eq!(config.clickhouse.password, None);
}

#[test]
fn an_invalid_value_is_reported_with_its_variable() {
    let error = BridgeConfig::default()
        .with_env(|name| name.ends_with("SIZE").then(|| "many".to_owned()))
        .unwrap_err();
    assert_eq!(error.problems().len(), 2);
    assert_eq!(
        error.problems()[1].to_string(),
        "environment variable ETB_PROCESSING_BATCH_SIZE: enhanced_token_bridge.processing.batch_size: \
         \"many\" is not allowed; allowed is a whole number from 1 to 1000000"
    );
}

#[test]
fn the_yaml_helper_writes_the_expected_document() {
    let text = yaml(&[("caching.ttl_seconds", "5"), ("sources.paths", "[a]")]);
    assert_eq!(
        text,
        "enhanced_token_bridge:\n  caching:\n    ttl_seconds: \"5\"\n  sources:\n    paths: [a]\n"
    );
}
