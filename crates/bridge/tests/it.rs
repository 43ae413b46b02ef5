//! The facade's tests, in one binary: one embedded engine, one start.
//!
//! - [`facade`]: on the in-memory store, and on a mock for failures that a real store cannot be made to produce;
//! - [`engine`]: on a real engine, for behavior that needs a real table;
//! - [`dashboard`]: the dashboard on a real engine, read by the read-only user, compared with the in-memory store;
//! - [`backup`]: backups on a real engine: between databases, damaged, on full disks, and by the server;
//! - [`live`]: `keep_in_sync` with events;
//! - [`observability`]: logs, audit and metrics;
//! - [`config`]: the configuration's errors, and the effect of each key;
//! - [`web`]: the HTTP router;
//! - [`day`]: an operator's day, from the configuration to the evening's review of the audit.
//!
//! Each test that needs the engine has its own database, named after it. The engine is fetched on first use;
//! without it these tests fail. Run one module by its name: `cargo test -p bridge --test it facade::`.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod backup;
mod config;
mod dashboard;
mod day;
mod engine;
mod facade;
mod live;
mod observability;
mod web;

use std::path::Path;
use std::sync::Arc;

use bridge::analysis::AnalyzerOptions;
use bridge::storage::TokenStore;
use bridge::{BridgeBuilder, EnhancedTokenDatabaseBridge, HostName};
use bridge_testkit::history::{GeneratedHistory, HistoryPlan};
use tempfile::TempDir;

/// A builder for this store on a machine named `host`, with the transcripts below these folders.
fn builder(store: Arc<dyn TokenStore>, sources: &[&Path]) -> BridgeBuilder {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.host = Some(HostName::new("host").unwrap());
    EnhancedTokenDatabaseBridge::builder(store).sources(sources).analyzer(analyzer).managed_settings("none")
}

/// A generated history, written to `projects` of a temporary folder.
fn history(seed: u64) -> (GeneratedHistory, TempDir) {
    let history = HistoryPlan { seed, ..HistoryPlan::default() }.generate();
    let folder = tempfile::tempdir().unwrap();
    history.write_below(&folder.path().join("projects")).unwrap();
    (history, folder)
}
