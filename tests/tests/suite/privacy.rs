//! No conversation text leaves the analyzer: the history contains canaries, and no output may contain one.
//!
//! The test of the store needs an engine; see `engine/privacy.rs`.

use std::fmt::Debug;
use std::fs;
use std::sync::Arc;

use bridge::stream::{SessionEntries, TranscriptStream};
use bridge::{
    BackfillOptions, BatchProcessingResult, EnhancedTokenDatabaseBridge, IntegrityOptions,
    JsonlProcessorBridge, Repair, StoreOptions, SummaryQuery, SyncMode, SyncOptions,
};
use bridge_analysis::{
    AnalysisProgress, AnalyzerOptions, History, ProjectKey, ProjectNames, RunFacts, analyze_files, discover,
};
use bridge_core::{AuditFilter, SessionId, TimeRange, Timestamp};
use bridge_storage::InMemoryStore;
use bridge_testkit::log::LogCollector;
use bridge_tests::{CanaryHistory, write_canary_history};
use serde::Serialize;
use serde_json::json;

use bridge_tests::program::backfill;

#[track_caller]
fn assert_no_canary(output: impl AsRef<[u8]>) {
    let found = CanaryHistory::canaries_in(output);
    assert!(found.is_empty(), "leaked: {found:?}");
}

#[track_caller]
fn assert_no_canary_in_debug(value: &impl Debug) {
    assert_no_canary(format!("{value:?}"));
    assert_no_canary(format!("{value:#?}"));
}

#[track_caller]
fn assert_no_canary_in_json(value: &(impl Debug + Serialize)) {
    assert_no_canary_in_debug(value);
    assert_no_canary(serde_json::to_vec(value).unwrap());
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

fn assert_no_canary_in_results(history: &CanaryHistory, options: &AnalyzerOptions) {
    let found = discover(std::slice::from_ref(&history.projects));
    let progress = AnalysisProgress::default();
    let mut analyzed = History::default();
    analyze_files(&found.files, options, &progress, &mut analyzed, |file| assert_no_canary_in_debug(&file));
    assert_no_canary_in_debug(&found);
    assert_no_canary_in_debug(&progress);
    assert_no_canary_in_debug(&analyzed);
    analyzed.errors().iter().for_each(|error| assert_no_canary(format!("{error} {error:?}")));
    analyzed.responses().for_each(|response| assert_no_canary_in_json(&response.to_usage()));
    let facts = RunFacts {
        timestamp: Timestamp::from_millis(0).unwrap(),
        run_id: 1,
        duration: std::time::Duration::ZERO,
        memory_mib: 0.0,
    };
    assert_no_canary_in_json(&analyzed.analyses(&facts).unwrap());
    let summary = analyzed.summary(&TimeRange::ALL).unwrap();
    assert_no_canary_in_json(&summary);

    // The whole history was read.
    assert_eq!(summary.responses, CanaryHistory::RESPONSES);
    assert_eq!(summary.counts.total(), CanaryHistory::TOKENS);
    let damage = summary.receipt.damage;
    assert_eq!((damage.bad_lines, damage.bad_usage, damage.pending_lines), (CanaryHistory::BAD_LINES, 1, 1));
    assert_eq!(damage.oversize_lines, u64::from(options.line_bytes_max == CanaryHistory::LINE_BYTES_MAX));
}

#[test]
fn analysis_results_contain_no_conversation_text() {
    let folder = tempfile::tempdir().unwrap();
    let history = write_canary_history(folder.path()).unwrap();
    every_option().for_each(|options| assert_no_canary_in_results(&history, &options));
}

/// A branch or a skill reveals the work of a person, and a request's id leads to the provider's record of it.
#[test]
fn attribution_can_be_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let line = json!({ "type": "assistant", "sessionId": "s", "timestamp": "2026-01-31T12:00:00Z",
        "cwd": "/CANARY-folder/app/.claude/worktrees/CANARY-worktree/src", "gitBranch": "CANARY-branch", "version": "2.1.280", "requestId": "CANARY-request",
        "attributionAgent": "CANARY-agent", "attributionSkill": "CANARY-skill", "attributionPlugin": "CANARY-plugin",
        "attributionMcpServer": "CANARY-server", "attributionMcpTool": "CANARY-tool",
        "message": { "id": "msg_0123456789abcdefghij", "usage": { "output_tokens": 1 } } });
    fs::write(folder.path().join("s.jsonl"), format!("{line}\n")).unwrap();
    let rows = |names: ProjectNames| {
        let mut options = AnalyzerOptions::default();
        options.project_names = names;
        let mut history = History::default();
        let found = discover(&[folder.path().to_owned()]);
        analyze_files(&found.files, &options, &AnalysisProgress::default(), &mut history, |_| ());
        history.responses().map(|response| response.to_usage()).collect::<Vec<_>>()
    };
    let shown = rows(ProjectNames::Full);
    assert_eq!(CanaryHistory::canaries_in(serde_json::to_vec(&shown).unwrap()).len(), 9, "{shown:?}");
    let key = ProjectKey::from_hex(&"5".repeat(32)).unwrap();
    let hidden = rows(ProjectNames::KeyedHash(key));
    assert_no_canary_in_json(&hidden);
    let version = hidden[0].attribution.client_version.as_ref().unwrap();
    assert_eq!(version.as_str(), "2.1.280", "it reveals nothing of the work");
    assert!(hidden[0].attribution.branch.is_some() && hidden[0].request_id.is_some());
    let [row] = &rows(ProjectNames::Omitted)[..] else { panic!("one response") };
    assert_no_canary_in_json(row);
    let left: Vec<_> =
        row.attribution.values().filter(|(_, value)| value.is_some()).map(|(name, _)| name).collect();
    assert_eq!((left, row.project.as_ref(), row.request_id.as_ref()), (vec!["client_version"], None, None));
    assert_eq!(row.counts.output, 1);
}

/// The log is shared by all tests of the process, so this also checks the other tests' events.
#[tokio::test]
async fn log_and_audit_contain_no_conversation_text() {
    let log = LogCollector::of_this_process();
    let folder = tempfile::tempdir().unwrap();
    let history = write_canary_history(folder.path()).unwrap();
    for options in every_option() {
        let store = Arc::new(InMemoryStore::default());
        let bridge = EnhancedTokenDatabaseBridge::builder(store)
            .sources([&history.projects])
            .analyzer(options)
            .build();
        run_all_operations(&bridge, &history).await;
        let audit = bridge.audit_log(&AuditFilter::default()).await.unwrap();
        assert_eq!(audit.len(), 15);
        audit.iter().for_each(assert_no_canary_in_json);
        assert_no_canary_in_debug(&bridge);
    }
    let lines = log.lines();
    assert!(
        lines.iter().filter(|line| line.contains("bridge operation completed")).count() >= 8 * 5,
        "{lines:?}"
    );
    lines.iter().for_each(assert_no_canary);
}

/// Runs every kind of operation, successfully and with errors.
async fn run_all_operations(bridge: &EnhancedTokenDatabaseBridge, history: &CanaryHistory) {
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
    let entries = SessionEntries::from_ndjson(&content).with_project_key("-home-user-app");
    assert_no_canary_in_debug(&entries);
    assert_no_canary_in_json(&bridge.append(&session, entries.clone()).await.unwrap());
    let error = bridge.append(&session, entries.with_first(999)).await.unwrap_err();
    assert_no_canary(format!("{error} {error:?}"));
    let error = SessionEntries::from_json_array(&content).unwrap_err();
    assert_no_canary(format!("{error} {error:?}"));
    let stream = TranscriptStream::new("s3://transcripts/projects/-home-user-app/session-1.jsonl");
    assert_no_canary_in_json(&bridge.read_stream(&stream, content.as_slice()).await.unwrap());
    let error = bridge.read_stream(&stream.starting_at(1 << 40), content.as_slice()).await.unwrap_err();
    assert_no_canary(format!("{error} {error:?}"));
}

#[test]
fn leaked_canaries_are_detected() {
    let folder = tempfile::tempdir().unwrap();
    let history = write_canary_history(folder.path()).unwrap();
    let main = fs::read(history.projects.join("-home-user-app/session-1.jsonl")).unwrap();
    let found = CanaryHistory::canaries_in(&main);
    for name in ["prompt", "thinking", "input_key", "stdout", "nested_prompt", "summary", "inner_folder"] {
        assert!(found.iter().any(|canary| canary == name), "{name}");
    }
    assert!(history.canaries > found.len());
}

#[test]
fn the_command_line_prints_no_conversation_text() {
    let folder = tempfile::tempdir().unwrap();
    let history = write_canary_history(folder.path()).unwrap();
    for option in ["--json", "--strict"] {
        let done = backfill([option, "--dry-run", "--source"]).arg(&history.projects).run();
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.stdout.contains("888"), "{done:?}");
        assert_no_canary(&done.stdout);
        assert_no_canary(&done.stderr);
    }
}
