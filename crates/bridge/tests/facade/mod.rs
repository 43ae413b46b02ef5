//! The facade on the store in memory, and on a mock for failures that no real store can be made to show.

mod backfill;
mod checkpoint;
mod dashboard;
mod fallback;
mod integrity;
mod json;
mod lookup;
mod observers;
mod processor;
mod store;
mod sums;
mod sync;
mod threads;

use std::path::Path;
use std::sync::Arc;

use bridge::analysis::AnalyzerOptions;
use bridge::storage::{InMemoryStore, TokenStore};
use bridge::{
    AnalysisId, EnhancedTokenAnalysis, EnhancedTokenDatabaseBridge, HostName, ManualClock, ResponseKey,
    ResponseUsage, SessionId, Timestamp, TokenCounts,
};

/// What the clock of these tests shows: 2026-03-01.
fn now() -> Timestamp {
    Timestamp::from_millis(1_772_323_200_000).unwrap()
}

fn bridge(store: Arc<dyn TokenStore>, sources: &[&Path]) -> EnhancedTokenDatabaseBridge {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.host = Some(HostName::new("host").unwrap());
    EnhancedTokenDatabaseBridge::builder(store)
        .sources(sources)
        .analyzer(analyzer)
        .clock(Arc::new(ManualClock::new(now())))
        .build()
}

fn in_memory() -> (Arc<InMemoryStore>, EnhancedTokenDatabaseBridge) {
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), &[]);
    (store, bridge)
}

fn response(session: &str, key: u128, output: u64) -> ResponseUsage {
    let mut row = ResponseUsage::new(ResponseKey(key), SessionId::new(session).unwrap(), now());
    row.counts = TokenCounts { output, ..TokenCounts::ZERO };
    row.finished = true;
    row
}

/// An analysis of the session with a response for each of these output counts.
fn analysis(session: &str, first_key: u128, outputs: &[u64]) -> EnhancedTokenAnalysis {
    let responses =
        outputs.iter().zip(first_key..).map(|(output, key)| response(session, key, *output)).collect();
    let id = AnalysisId::new(format!("{session}-{first_key}")).unwrap();
    EnhancedTokenAnalysis::from_responses(id, SessionId::new(session).unwrap(), now(), responses).unwrap()
}
