//! The example and the tests cover every key.

use std::path::Path;

use bridge::config::BridgeConfig;

/// The files with the tests of each key's effect.
const EFFECTS: [&str; 9] = [
    include_str!("audit.rs"),
    include_str!("caching.rs"),
    include_str!("clickhouse.rs"),
    include_str!("embedded.rs"),
    include_str!("monitoring.rs"),
    include_str!("pricing.rs"),
    include_str!("processing.rs"),
    include_str!("projects.rs"),
    include_str!("sources.rs"),
];

#[test]
fn every_key_has_a_test_of_its_effect() {
    for key in BridgeConfig::keys() {
        let name = key.name().replace('.', "_");
        let tests = [format!("#[test]\nfn {name}()"), format!("]\nasync fn {name}()")];
        let is_there = EFFECTS.iter().any(|file| tests.iter().any(|test| file.contains(test)));
        assert!(is_there, "no test covers the effect of {}", key.name());
    }
}

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bridge_config.example.yaml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_example_equals_the_defaults() {
    let example = BridgeConfig::from_yaml_str(&example()).unwrap();
    let (example, default) = (example, BridgeConfig::default());
    assert_eq!(example.clickhouse, default.clickhouse);
    assert_eq!(example.embedded, default.embedded);
    assert_eq!(example.sources, default.sources);
    assert_eq!(example.projects, default.projects);
    assert_eq!(example.processing, default.processing);
    assert_eq!(example.caching, default.caching);
    assert_eq!(example.audit, default.audit);
    assert_eq!(example.monitoring, default.monitoring);
    assert_eq!(example.budgets, default.budgets);
    assert_eq!(example.pricing, default.pricing);
}

#[test]
fn the_example_lists_exactly_the_keys_with_their_defaults() {
    let example = example();
    let mut section = "";
    let mut found = Vec::new();
    for line in example.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
    {
        match line.strip_prefix("    ") {
            Some(key) => found.push(format!("{section}.{key}")),
            None => section = line.trim().trim_end_matches(':'),
        }
    }
    let keys = BridgeConfig::keys().iter();
    let documented: Vec<_> = keys.map(|key| format!("{}: {}", key.name(), key.default_text())).collect();
    assert_eq!(found, documented);
}

/// Returns the example with the commented value of these keys in place of the default.
fn with_commented(keys: &[&str]) -> String {
    let mut lines = Vec::new();
    let mut is_value = false;
    for line in example().lines() {
        let comment = line.strip_prefix("    # ");
        is_value = match comment {
            Some(text) if text.starts_with(' ') => is_value,
            text => text.is_some_and(|text| keys.iter().any(|key| text == format!("{key}:"))),
        };
        let is_default = keys.iter().any(|key| line == format!("    {key}: []"));
        match comment.filter(|_| is_value) {
            Some(text) => lines.push(format!("    {text}")),
            None if is_default => {}
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

#[test]
fn the_commented_values_of_the_example_are_valid() {
    let text = with_commented(&["budgets", "prices", "aliases", "discounts"]);
    let config = BridgeConfig::from_yaml_str(&text).unwrap();
    let pricing = &config.pricing;
    assert_eq!((pricing.prices.len(), pricing.aliases.len(), pricing.discounts.len()), (1, 1, 1));
    assert_eq!(config.budgets.iter().count(), 1);
    config.catalog().unwrap();
}

/// The example from the specification, verbatim.
#[test]
fn the_specification_example_parses_to_the_defaults() {
    let config = BridgeConfig::from_yaml_str(
        "# bridge_config.yaml
enhanced_token_bridge:
  clickhouse:
    connection_pool_size: 10
    connection_timeout: 30s
    retry_attempts: 3
    
  processing:
    batch_size: 1000
    max_memory_mb: 200
    parallel_limit: 5
    
  caching:
    ttl_seconds: 600
    max_entries: 1000
    
  monitoring:
    health_check_interval: 60s
    metrics_export_interval: 30s
",
    )
    .unwrap();
    let default = BridgeConfig::default();
    assert_eq!((config.clickhouse, config.processing), (default.clickhouse, default.processing));
    assert_eq!((config.caching, config.monitoring), (default.caching, default.monitoring));
}
