//! Forged rows are never returned as stored, and the view shows the fields of an analysis.

use std::sync::Arc;

use bridge::storage::{IntegrityStore, StoredResponse, StoredScope, TokenStore};
use bridge::{
    AnalysisId, AnalysisSource, BackfillOptions, BridgeError, EnhancedTokenAnalysis, SessionId, StorageKind,
    StoreOptions, Timestamp,
};
use bridge_testkit::engine::TestDatabase;

use crate::engine::table::Table;

#[tokio::test]
async fn a_forged_row_is_neither_returned_nor_re_signed() {
    let database = TestDatabase::of_this_test();
    let (_, folder) = crate::engine::history(41);
    let store = Arc::new(crate::engine::store(&database.writer_url()));
    store.migrate().await.unwrap();
    let bridge = crate::engine::bridge(store.clone(), folder.path()).build();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let table = Table::of(&database);
    let [row, _] = table.subjects().await;
    let session = SessionId::new(&row.session_id).unwrap();
    let before = bridge.get_analysis_with_fallback(&session).await.unwrap().analysis;
    table.update(&row, "output_tokens = output_tokens + 1000").await;

    // The sources provide the correct analysis.
    let answer = bridge.get_analysis_with_fallback(&session).await.unwrap();
    assert_eq!(answer.source, AnalysisSource::Live);
    assert!(answer.fallback_reasons[0].contains("does not verify"), "{:?}", answer.fallback_reasons);
    assert_eq!(answer.analysis.calculated_total_tokens, before.calculated_total_tokens);
    // Storing it again, even by force, repairs the row and does not sign forged values.
    let force = StoreOptions::default().with_force_update();
    let _ = bridge.store_enhanced_analysis(&answer.analysis, force).await.unwrap();
    let rows = store.stored(&StoredScope::all()).await.unwrap();
    assert!(rows.iter().all(StoredResponse::is_intact));
    assert_eq!(bridge.get_analysis_with_fallback(&session).await.unwrap().source, AnalysisSource::Stored);

    // Without sources and with an empty cache it is an error.
    table.update(&row, "output_tokens = output_tokens + 1000").await;
    let empty = tempfile::tempdir().unwrap();
    let elsewhere = crate::engine::bridge(store, empty.path()).build();
    let error = elsewhere.get_analysis_with_fallback(&session).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Corrupt, .. }), "{error}");
}

#[tokio::test]
async fn a_forged_analysis_is_not_returned() {
    let database = TestDatabase::of_this_test();
    let store = Arc::new(crate::engine::store(&database.writer_url()));
    store.migrate().await.unwrap();
    let empty = tempfile::tempdir().unwrap();
    let bridge = crate::engine::bridge(store.clone(), empty.path()).build();
    let (id, session) = (AnalysisId::new("the id").unwrap(), SessionId::new("s").unwrap());
    let time = Timestamp::from_millis(1_750_000_000_000).unwrap();
    let mut analysis = EnhancedTokenAnalysis::from_responses(id, session.clone(), time, Vec::new()).unwrap();
    (analysis.reported_output_tokens, analysis.calculated_total_tokens) = (5, 5);
    (analysis.files_processed, analysis.accuracy_ratio) = (3, 0.75);
    let _ = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap();
    assert_eq!(bridge.get_analysis_with_fallback(&session).await.unwrap().analysis, analysis);
    let table = Table::of(&database);
    let view = "SELECT concat(analysis_id, ' ', toString(files_processed), ' ', toString(assumeNotNull(accuracy_ratio)), ' ', \
        toString(toUnixTimestamp64Milli(assumeNotNull(analyzed_at))), ' ', toString(responses)) \
        FROM enhanced_token_summaries";
    assert_eq!(table.text(view).await, "the id 3 0.75 1750000000000 1");
    table.run("ALTER TABLE token_usage UPDATE analysis = replaceAll(analysis, '0.75', '0.99') WHERE 1").await;
    // The bridge that has the analysis cached still returns it; another one has no answer.
    let answer = bridge.get_analysis_with_fallback(&session).await.unwrap();
    assert_eq!((answer.source, answer.analysis), (AnalysisSource::Cached, analysis));
    let elsewhere = crate::engine::bridge(store, empty.path()).build();
    let error = elsewhere.get_analysis_with_fallback(&session).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Corrupt, .. }), "{error}");
}
