//! No text of a conversation leaves the analyzer: a history full of canaries, and none in what comes out.
//!
//! The store's side of the promise needs an engine and stands with the tests that have one.

use std::fmt::Debug;
use std::fs;
use std::sync::Arc;

use bridge::{
    BackfillOptions, BatchProcessingResult, EnhancedTokenDatabaseBridge, IntegrityOptions,
    JsonlProcessorBridge, Repair, StoreOptions, SummaryQuery, SyncMode, SyncOptions,
};
use bridge_analysis::{AnalysisProgress, AnalyzerOptions, History, RunFacts, analyze_files, discover};
use bridge_core::{AuditFilter, SessionId, TimeRange, Timestamp};
use bridge_storage::InMemoryStore;
use bridge_testkit::log::LogCollector;
use bridge_tests::{CanaryHistory, canary_history};
use serde::Serialize;

use bridge_tests::program::backfill;

#[track_caller]
fn assert_silent(output: impl AsRef<[u8]>) {
    let found = CanaryHistory::canaries_in(output);
    assert!(found.is_empty(), "these came out: {found:?}");
}

#[track_caller]
fn assert_debug_silent(value: &impl Debug) {
    assert_silent(format!("{value:?}"));
    assert_silent(format!("{value:#?}"));
}

#[track_caller]
fn assert_json_silent(value: &(impl Debug + Serialize)) {
    assert_debug_silent(value);
    assert_silent(serde_json::to_vec(value).unwrap());
}

fn every_option() -> impl Iterator<Item = AnalyzerOptions> {
    (0..8_u8).map(|bits| {
        let mut options = AnalyzerOptions::default();
        options.strict = bits & 1 > 0;
        options.categories = bits & 2 > 0;
        if bits & 4 > 0 {
            options.line_bytes_max = CanaryHistory::LINE_BYTES_MAX;
        }
        options
    })
}

fn assert_all_results_silent(history: &CanaryHistory, options: &AnalyzerOptions) {
    let found = discover(std::slice::from_ref(&history.projects));
    let progress = AnalysisProgress::default();
    let mut analyzed = History::default();
    analyze_files(&found.files, options, &progress, &mut analyzed, |file| assert_debug_silent(&file));
    assert_debug_silent(&found);
    assert_debug_silent(&progress);
    assert_debug_silent(&analyzed);
    analyzed.errors().iter().for_each(|error| assert_silent(format!("{error} {error:?}")));
    analyzed.responses().for_each(|response| assert_json_silent(&response.to_usage()));
    let facts = RunFacts {
        timestamp: Timestamp::from_millis(0).unwrap(),
        run_id: 1,
        duration: std::time::Duration::ZERO,
        memory_mib: 0.0,
    };
    assert_json_silent(&analyzed.analyses(&facts).unwrap());
    let figures = analyzed.summary(&TimeRange::ALL).unwrap();
    assert_json_silent(&figures);

    // All of it was read.
    assert_eq!(figures.responses, CanaryHistory::RESPONSES);
    assert_eq!(figures.counts.total(), CanaryHistory::TOKENS);
    let damage = figures.receipt.damage;
    assert_eq!((damage.bad_lines, damage.bad_usage, damage.pending_lines), (CanaryHistory::BAD_LINES, 1, 1));
    assert_eq!(damage.oversize_lines, u64::from(options.line_bytes_max == CanaryHistory::LINE_BYTES_MAX));
}

#[test]
fn no_text_stands_in_any_result_of_an_analysis() {
    let folder = tempfile::tempdir().unwrap();
    let history = canary_history(folder.path()).unwrap();
    every_option().for_each(|options| assert_all_results_silent(&history, &options));
}

/// The log of a process is one for all its tests, so this one hears the others, too: they shall say nothing either.
#[tokio::test]
async fn no_text_stands_in_the_log_at_any_level_nor_in_the_audit() {
    let log = LogCollector::of_this_process();
    let folder = tempfile::tempdir().unwrap();
    let history = canary_history(folder.path()).unwrap();
    for options in every_option() {
        let store = Arc::new(InMemoryStore::default());
        let bridge = EnhancedTokenDatabaseBridge::builder(store)
            .sources([&history.projects])
            .analyzer(options)
            .build();
        do_everything(&bridge, &history).await;
        let audit = bridge.audit_log(&AuditFilter::default()).await.unwrap();
        assert_eq!(audit.len(), 11);
        audit.iter().for_each(assert_json_silent);
        assert_debug_silent(&bridge);
    }
    let lines = log.lines();
    assert!(
        lines.iter().filter(|line| line.contains("bridge operation completed")).count() >= 8 * 5,
        "{lines:?}"
    );
    lines.iter().for_each(assert_silent);
}

/// Every kind of operation, with success and without.
async fn do_everything(bridge: &EnhancedTokenDatabaseBridge, history: &CanaryHistory) {
    let session = SessionId::new("session-1").unwrap();
    let _ = bridge.get_analysis_with_fallback(&SessionId::new("nobody").unwrap()).await.unwrap_err();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let _ = bridge.sync_session_tokens(&session, SyncMode::Full).await.unwrap();
    let _ = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    let mut analysis = bridge.get_analysis_with_fallback(&session).await.unwrap().analysis;
    let force = StoreOptions::default().with_force_update();
    let _ = bridge.store_enhanced_analysis(&analysis, force.clone()).await.unwrap();
    analysis.accuracy_ratio = 9.0;
    let _ = bridge.store_enhanced_analysis(&analysis, force).await.unwrap_err();
    let _ =
        bridge.get_stored_token_summaries(SummaryQuery::last_days(100_000).with_metadata()).await.unwrap();
    let repair = IntegrityOptions::default().with_repair(Repair::Purge);
    let _ = bridge.verify_data_integrity(repair).await.unwrap();
    let path = history.projects.join("-home-user-app/session-1.jsonl");
    let content = fs::read(&path).unwrap();
    let batch = |offset| BatchProcessingResult::new(&path, offset, content.clone()).with_end_of_file();
    let processor = JsonlProcessorBridge::new(bridge.clone());
    let _ = processor.on_content_batch_processed(batch(7)).await.unwrap_err();
    let _ = processor.on_content_batch_processed(batch(0)).await.unwrap();
}

#[test]
fn a_canary_that_comes_out_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let history = canary_history(folder.path()).unwrap();
    let main = fs::read(history.projects.join("-home-user-app/session-1.jsonl")).unwrap();
    let found = CanaryHistory::canaries_in(&main);
    for name in ["prompt", "thinking", "input_key", "stdout", "nested_prompt", "summary", "inner_folder"] {
        assert!(found.iter().any(|canary| canary == name), "{name}");
    }
    assert!(history.canaries > found.len());
}

#[test]
fn the_command_line_shows_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let history = canary_history(folder.path()).unwrap();
    for option in ["--json", "--strict"] {
        let done = backfill([option, "--dry-run", "--source"]).arg(&history.projects).run();
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.stdout.contains("888"), "{done:?}");
        assert_silent(&done.stdout);
        assert_silent(&done.stderr);
    }
}
