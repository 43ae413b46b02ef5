//! The facade on a real engine: what only a real table can show.
//!
//! One embedded engine for the binary, one database for each test, named after it. The engine is fetched on
//! first use; without it these tests fail.

mod fallback;
mod forged;
mod health;
mod hosts;
mod keeping;
mod revision;
mod rollback;
mod rule_cases;
mod sources_gone;
mod table;
mod tampering;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::analysis::AnalyzerOptions;
use bridge::storage::{ClickHouseOptions, ClickHouseStore, RetryPolicy, TokenStore};
use bridge::{BridgeBuilder, EnhancedTokenDatabaseBridge, HostName};
use bridge_testkit::history::{GeneratedHistory, HistoryPlan};
use tempfile::TempDir;

/// A generated history on the disk.
fn history(seed: u64) -> (GeneratedHistory, TempDir) {
    let history = HistoryPlan { seed, ..HistoryPlan::default() }.generate();
    let folder = tempfile::tempdir().unwrap();
    history.write_below(&folder.path().join("projects")).unwrap();
    (history, folder)
}

fn store(url: &str) -> ClickHouseStore {
    ClickHouseStore::new(ClickHouseOptions::from_url(url).unwrap()).unwrap()
}

/// A store with failures that show soon.
fn hasty_store(url: &str) -> ClickHouseStore {
    let delay = Duration::from_millis(10);
    let retry = RetryPolicy { min_delay: delay, max_delay: delay, ..RetryPolicy::default() };
    ClickHouseStore::new(ClickHouseOptions::from_url(url).unwrap().with_retry(retry)).unwrap()
}

fn bridge(store: Arc<dyn TokenStore>, sources: &Path) -> BridgeBuilder {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.host = Some(HostName::new("host").unwrap());
    EnhancedTokenDatabaseBridge::builder(store).sources([sources]).analyzer(analyzer)
}
