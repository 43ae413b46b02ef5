//! The configuration: its errors, and the effect of every key.
//!
//! The effect of a key is tested by the test named after it, `clickhouse_url` for `clickhouse.url`, in the file of
//! its section. `documented` fails if a key has no such test. Keys of the store are tested on a real engine: one for
//! the binary, one database for each test.

mod audit;
mod budgets;
mod caching;
mod clickhouse;
mod documented;
mod embedded;
mod errors;
mod monitoring;
mod override_by_environment;
mod pricing;
mod processing;
mod projects;
mod sources;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bridge::config::{BridgeConfig, BuildError};
use bridge::storage::{Dimension, InMemoryStore, ResponseFilter};
use bridge::{EnhancedTokenDatabaseBridge, StoreOptions};
use bridge_testkit::engine::{TestDatabase, engine};
use bridge_testkit::fixtures::analysis;

/// The YAML document with these keys.
fn yaml(keys: &[(&str, &str)]) -> String {
    let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in keys {
        let (section, key) = name.split_once('.').unwrap();
        let value = if value.starts_with(['[', '{']) { (*value).to_owned() } else { format!("{value:?}") };
        sections.entry(section).or_default().push(format!("    {key}: {value}\n"));
    }
    let sections = sections.iter().map(|(name, keys)| format!("  {name}:\n{}", keys.concat()));
    format!("enhanced_token_bridge:\n{}", sections.collect::<String>())
}

fn given(keys: &[(&str, &str)]) -> BridgeConfig {
    BridgeConfig::from_yaml_str(&yaml(keys)).unwrap()
}

/// A configuration for the running test's database on the engine. `keys` override its values.
fn on_engine(keys: &[(&str, &str)]) -> BridgeConfig {
    let url = format!("http://{}", TestDatabase::of_this_test().host());
    on_server(&url, keys)
}

/// Like `on_engine`, with another server address.
fn on_server(url: &str, keys: &[(&str, &str)]) -> BridgeConfig {
    let database = TestDatabase::of_this_test().name;
    let writer = &engine().endpoint().writer;
    let mut all = keys.to_vec();
    for (name, value) in [
        ("clickhouse.url", url),
        ("clickhouse.database", &database),
        ("clickhouse.user", &writer.user),
        ("clickhouse.password", &writer.password),
        // Else the tests would leave files in the user's folder of state.
        ("audit.spool_mb", if keys.iter().any(|(given, _)| *given == "audit.spool_dir") { "1" } else { "0" }),
    ] {
        let is_given = keys.iter().any(|(given, _)| given.starts_with(name));
        if !is_given {
            all.push((name, value));
        }
    }
    given(&all)
}

/// A bridge with an in-memory store.
fn in_memory(keys: &[(&str, &str)]) -> EnhancedTokenDatabaseBridge {
    given(keys).builder_with(Arc::new(InMemoryStore::default())).unwrap().build()
}

/// The error with its chain of causes.
fn full_text(error: &BuildError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(" {error}");
        cause = error.source();
    }
    text
}

async fn store_one(bridge: &EnhancedTokenDatabaseBridge) {
    let analysis = analysis("s", 1, &[5]);
    assert!(bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap().success);
}

async fn responses(bridge: &EnhancedTokenDatabaseBridge) -> u64 {
    bridge.token_store().totals(&ResponseFilter::default()).await.unwrap().responses
}

/// The names of this dimension among the stored responses.
async fn names(bridge: &EnhancedTokenDatabaseBridge, dimension: Dimension) -> Vec<String> {
    let rows = bridge.token_store().breakdown(dimension, &ResponseFilter::default(), None).await.unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

/// Writes a transcript with a response of 42 tokens, followed by these lines.
fn transcript(path: &Path, more: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let line = r#"{"type":"assistant","sessionId":"s","cwd":"/home/user/secret-plan","timestamp":"2026-01-31T12:00:00Z","message":{"id":"msg_01ABCDEFGHIJKLMNOPQRSTUV","stop_reason":"end_turn","content":[{"type":"text","text":"some words"}],"usage":{"input_tokens":10,"output_tokens":32}}}"#;
    std::fs::write(path, format!("{line}\n{more}")).unwrap();
}
