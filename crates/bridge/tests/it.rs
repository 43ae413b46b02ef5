//! The facade's tests, in one binary: one embedded engine, one start.
//!
//! - [`facade`]: on the store in memory, and on a mock for failures that no real store can be made to show;
//! - [`engine`]: on a real engine, for everything that only a real table can show;
//! - [`dashboard`]: the dashboard on a real engine, read by the user who may only read, against the store in memory;
//! - [`backup`]: backups on a real engine: into other databases, into folders that are damaged or full, by the server;
//! - [`observability`]: logs, audit and metrics;
//! - [`config`]: the configuration's errors, and the effect of each key;
//! - [`day`]: an operator's day, from the configuration to the evening's look at the audit.
//!
//! Each test that needs the engine has a database of its own, named after it. The engine is fetched on first use;
//! without it these tests fail. Run a part of them by its name: `cargo test -p bridge --test it facade::`.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod backup;
mod config;
mod dashboard;
mod day;
mod engine;
mod facade;
mod observability;

use std::path::Path;
use std::sync::Arc;

use bridge::analysis::AnalyzerOptions;
use bridge::storage::TokenStore;
use bridge::{BridgeBuilder, EnhancedTokenDatabaseBridge, HostName};
use bridge_testkit::history::{GeneratedHistory, HistoryPlan};
use tempfile::TempDir;

/// A builder on this store and on a machine named `host`, with the transcripts below these folders.
fn builder(store: Arc<dyn TokenStore>, sources: &[&Path]) -> BridgeBuilder {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.host = Some(HostName::new("host").unwrap());
    EnhancedTokenDatabaseBridge::builder(store).sources(sources).analyzer(analyzer)
}

/// A generated history on the disk, in `projects` of a folder.
fn history(seed: u64) -> (GeneratedHistory, TempDir) {
    let history = HistoryPlan { seed, ..HistoryPlan::default() }.generate();
    let folder = tempfile::tempdir().unwrap();
    history.write_below(&folder.path().join("projects")).unwrap();
    (history, folder)
}
