//! Analyses without responses, as in the specification's data model.

use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{InMemoryStore, IntegrityStore, ResponseFilter, StoredScope, TokenStore};
use bridge::{
    AnalysisId, AnalysisSource, BackfillOptions, BatchOptions, ContentCategory, EnhancedTokenAnalysis,
    IntegrityOptions, Repair, ResponseKey, SessionId, StoreOptions, SummaryQuery, SyncOptions, SyncStatus,
    Timestamp, integrity::DifferenceKind,
};
use bridge_testkit::fixtures::line;

use crate::facade::{analysis, bridge, in_memory, now};

/// An analysis with only the session's sums, this many milliseconds old.
fn sums(id: &str, session: &str, age_millis: i64, output: u64) -> EnhancedTokenAnalysis {
    let time = Timestamp::from_millis(now().as_millis() - age_millis).unwrap();
    let (id, session) = (AnalysisId::new(id).unwrap(), SessionId::new(session).unwrap());
    let mut analysis = EnhancedTokenAnalysis::from_responses(id, session, time, Vec::new()).unwrap();
    analysis.reported_output_tokens = output;
    analysis.calculated_total_tokens = output;
    analysis
}

fn force() -> StoreOptions {
    StoreOptions::default().with_force_update()
}

async fn output(store: &InMemoryStore) -> u64 {
    store.totals(&ResponseFilter::default()).await.unwrap().counts.output
}

/// A folder with one session of one response with 10 tokens.
fn transcript() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.jsonl"), line("s", 1, 10)).unwrap();
    folder
}

#[tokio::test]
async fn the_newest_session_sums_win_and_count_once() {
    let (store, bridge) = in_memory();
    let (older, newer) = (sums("a", "s", 2, 150), sums("b", "s", 1, 160));
    let result = bridge.store_enhanced_analysis(&older, StoreOptions::default()).await.unwrap();
    assert_eq!((result.records_stored, result.new_responses, result.replaced_tokens), (1, 1, 0));
    let result = bridge.store_enhanced_analysis(&newer, StoreOptions::default()).await.unwrap();
    assert_eq!((result.records_stored, result.new_responses, result.replaced_tokens), (1, 0, 150));
    let result = bridge.store_enhanced_analysis(&older, StoreOptions::default()).await.unwrap();
    assert_eq!((result.records_stored, output(&store).await), (0, 160));
    let results = bridge.batch_store_analyses(&[older, newer], BatchOptions::default()).await;
    assert!(results.iter().all(|result| result.success && result.records_stored == 0));
    assert_eq!(output(&store).await, 160);
    // A forced update reports the replaced tokens.
    let result = bridge.store_enhanced_analysis(&sums("c", "s", 9, 5), force()).await.unwrap();
    assert_eq!((result.replaced_tokens, output(&store).await), (160, 5));
}

#[tokio::test]
async fn sums_of_a_backfilled_session_never_count_even_by_force() {
    let (store, folder) = (Arc::new(InMemoryStore::default()), transcript());
    let bridge = bridge(store.clone(), &[folder.path()]);
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    for options in [StoreOptions::default(), force()] {
        let result = bridge.store_enhanced_analysis(&sums("a", "s", 0, 99), options).await.unwrap();
        assert!(result.success);
        assert_eq!((result.records_stored, result.covered_by_tokens), (0, Some(10)));
    }
    let results = bridge
        .batch_store_analyses(&[sums("a", "s", 0, 99), sums("b", "t", 0, 1)], BatchOptions::default())
        .await;
    assert_eq!(results[0].covered_by_tokens, Some(10));
    assert_eq!(results[1].covered_by_tokens, None);
    assert_eq!(output(&store).await, 11);
    let strict = IntegrityOptions::default().with_tolerance(0.0);
    assert!(bridge.verify_data_integrity(strict).await.unwrap().passed);
}

#[tokio::test]
async fn a_sync_covers_sums_and_reports_it() {
    let (store, folder) = (Arc::new(InMemoryStore::default()), transcript());
    let bridge = bridge(store.clone(), &[folder.path()]);
    let _ = bridge.store_enhanced_analysis(&sums("a", "s", 0, 99), StoreOptions::default()).await.unwrap();
    let result = &bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(1)).await.unwrap()[0];
    assert_eq!((result.tokens_before, result.tokens_after), (99, 10));
    assert_eq!((result.changes.covered_sums.tokens, result.changes.new_responses.tokens), (-99, 10));
    assert_eq!((result.status, result.adds_up()), (SyncStatus::Changed, true));
    // The result for an embedder's responses reports the covered sums as well.
    let _ = bridge.store_enhanced_analysis(&sums("b", "t", 0, 50), StoreOptions::default()).await.unwrap();
    let result =
        bridge.store_enhanced_analysis(&analysis("t", 1, &[3]), StoreOptions::default()).await.unwrap();
    assert_eq!((result.replaced_tokens, result.records_stored), (50, 1));
}

#[tokio::test]
async fn covered_sums_are_reported_once_by_a_batch() {
    let (_, bridge) = in_memory();
    let _ = bridge.store_enhanced_analysis(&sums("a", "s", 0, 50), StoreOptions::default()).await.unwrap();
    let analyses = [sums("b", "s", 1, 60), analysis("s", 1, &[3]), analysis("s", 2, &[4])];
    let results = bridge.batch_store_analyses(&analyses, BatchOptions::default()).await;
    let replaced: Vec<_> = results.iter().map(|result| result.replaced_tokens).collect();
    assert_eq!(replaced, [0, 50, 0]);
}

#[tokio::test]
async fn every_field_of_an_analysis_is_read_back() {
    let (_, bridge) = in_memory();
    let mut of_sums = sums("the id", "s", 5, 150);
    of_sums.accuracy_ratio = 0.75;
    of_sums.undercount_percentage = 12.5;
    of_sums.files_processed = 3;
    of_sums.content_categories = [(ContentCategory::McpTools, 7)].into();
    of_sums.processing_duration = Duration::from_millis(1234);
    of_sums.memory_usage_mb = 17.25;
    of_sums.analysis_version = "theirs 1.0".to_owned();
    let mut of_responses = analysis("t", 1, &[1, 2]);
    of_responses = of_responses.with_facts(of_sums.facts());
    for analysis in [of_sums, of_responses] {
        let _ = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap();
        let answer = bridge.get_analysis_with_fallback(&analysis.session_id).await.unwrap();
        assert_eq!((answer.source, answer.age), (AnalysisSource::Stored, Duration::from_millis(5)));
        assert_eq!(answer.analysis, analysis);
        // Storing it again changes nothing.
        let result = bridge.store_enhanced_analysis(&answer.analysis, StoreOptions::default()).await.unwrap();
        assert_eq!(result.records_stored, 0);
        let query = SummaryQuery::default().with_sessions([analysis.session_id.clone()]).with_metadata();
        let summaries = bridge.get_stored_token_summaries(query).await.unwrap();
        assert_eq!(summaries[0].files, 3);
        assert_eq!(summaries[0].metadata.as_ref().unwrap().analysis, Some(analysis.facts()));
    }
}

/// Without its marker a session's sums would count in addition to its responses.
#[tokio::test]
async fn a_removed_marker_is_detected_and_restored() {
    let (store, folder) = (Arc::new(InMemoryStore::default()), transcript());
    let bridge = bridge(store.clone(), &[folder.path()]);
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let key = ResponseKey::of_session_sums(&SessionId::new("s").unwrap());
    let marker = store.stored(&StoredScope::Keys(key..=key)).await.unwrap().remove(0);
    store.remove(&[(marker.key, marker.version)]).await.unwrap();
    let strict = IntegrityOptions::default().with_tolerance(0.0);
    let of_session = strict.clone().with_session(SessionId::new("s").unwrap());
    for options in [strict.clone(), of_session] {
        let result = bridge.verify_data_integrity(options).await.unwrap();
        assert_eq!((result.passed, result.of_kind(DifferenceKind::Uncovered).responses), (false, 1));
    }
    let row = sums("a", "s", 0, 99).rows();
    store.upsert(&row, &bridge::storage::UpsertOptions::default()).await.unwrap();
    let result = bridge.verify_data_integrity(strict.clone()).await.unwrap();
    assert_eq!((result.erroneous().responses, result.erroneous().differing_tokens), (1, 99));
    let repaired = bridge.verify_data_integrity(strict.clone().with_repair(Repair::Restore)).await.unwrap();
    let report = repaired.repair.unwrap();
    assert_eq!((report.restored, report.remaining), (1, 0));
    assert!(bridge.verify_data_integrity(strict).await.unwrap().passed);
    assert_eq!(output(&store).await, 10);
}
