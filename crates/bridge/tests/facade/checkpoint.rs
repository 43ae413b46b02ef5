//! Checkpoints, rollback, direct analysis and resumption.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bridge::storage::{CheckpointStore, InMemoryStore, MockTokenStore};
use bridge::{
    AnalysisSource, BackfillOptions, BatchOptions, BatchProcessingResult, BridgeError, CheckpointName,
    EnhancedTokenDatabaseBridge, Epoch, IntegrityOptions, JsonlProcessorBridge, Repair, RollbackMode,
    SessionId, StorageKind, StoreMode, StoreOptions, SummaryQuery, SyncMode, SyncOptions, SyncStatus,
};
use bridge_testkit::fixtures::line_at;

use crate::facade::{analysis, bridge, in_memory, now};

fn name(text: &str) -> CheckpointName {
    CheckpointName::new(text).unwrap()
}

fn line(message: u64, output: u64) -> String {
    line_at("s", message, output, "2026-02-28T12:00:00Z")
}

fn append(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap_or_default();
    fs::write(path, before + text).unwrap();
}

async fn tokens(bridge: &EnhancedTokenDatabaseBridge) -> u64 {
    let summaries =
        bridge.get_stored_token_summaries(SummaryQuery::last_days(7).with_metadata()).await.unwrap();
    summaries.iter().map(|summary| summary.total_tokens).sum()
}

fn is_rolled_back(error: &BridgeError) -> bool {
    matches!(error, BridgeError::Storage { kind: StorageKind::RolledBack, .. })
}

fn unavailable() -> BridgeError {
    BridgeError::Storage {
        operation: "list checkpoints",
        kind: StorageKind::Busy,
        message: "unavailable".to_owned(),
        context: Box::default(),
        source: None,
    }
}

/// A bridge whose store held 42 tokens and was rolled back to `good`, with 5 tokens.
async fn rolled_back(folder: &Path) -> EnhancedTokenDatabaseBridge {
    let (store, _) = in_memory();
    let bridge = bridge(store.clone(), &[folder]);
    let path = folder.join("s.jsonl");
    append(&path, &line(1, 5));
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    bridge.checkpoints().create(&name("good")).await.unwrap();
    append(&path, &line(2, 37));
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert_eq!(tokens(&bridge).await, 42);

    let plan = bridge.rollback_bridge_integration(&name("good"), RollbackMode::DryRun).await.unwrap();
    let tokens_of = [plan.before, plan.after].map(|totals| totals.unwrap().tokens);
    assert_eq!((tokens_of, plan.replaced_state), ([42, 5], None));
    assert_eq!(plan.differences[0].session.as_str(), "s");
    assert_eq!((tokens(&bridge).await, plan.state.mode), (42, StoreMode::Stored));

    let done = bridge.rollback_bridge_integration(&name("good"), RollbackMode::Perform).await.unwrap();
    assert_eq!((done.before, done.after), (plan.before, plan.after));
    assert_eq!(done.state, store.state().await.unwrap());
    assert_eq!(done.replaced_state, Some(name("before_rollback_1")));
    bridge
}

#[tokio::test]
async fn a_rollback_restores_totals_and_makes_analyses_live() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = rolled_back(folder.path()).await;
    // Not 42 from the cache.
    assert_eq!(tokens(&bridge).await, 5);
    assert_eq!(
        bridge.token_store().state().await.unwrap().mode,
        StoreMode::Direct { checkpoint: name("good") }
    );
    let session = SessionId::new("s").unwrap();
    let answer = bridge.get_analysis_with_fallback(&session).await.unwrap();
    assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Live, 42));
    assert!(answer.fallback_reasons[0].contains("checkpoint good"), "{:?}", answer.fallback_reasons);

    bridge.checkpoints().resume().await.unwrap();
    let answer = bridge.get_analysis_with_fallback(&session).await.unwrap();
    assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Stored, 5));
}

/// The error of a query after the rollback, when the analysis is cached from before it and no source is left.
async fn error_after_rollback(
    roll_back: impl AsyncFnOnce(Arc<InMemoryStore>, &EnhancedTokenDatabaseBridge),
) -> BridgeError {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = in_memory();
    let bridge = bridge(store.clone(), &[folder.path()]);
    bridge.checkpoints().create(&name("empty")).await.unwrap();
    let path = folder.path().join("s.jsonl");
    append(&path, &line(1, 42));
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let session = SessionId::new("s").unwrap();
    let answer = bridge.get_analysis_with_fallback(&session).await.unwrap();
    assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Stored, 42));
    fs::remove_file(&path).unwrap();

    roll_back(store, &bridge).await;
    bridge.get_analysis_with_fallback(&session).await.unwrap_err()
}

#[tokio::test]
async fn cached_analyses_are_not_served_after_a_rollback() {
    let error = error_after_rollback(async |_, bridge| {
        let _ = bridge.rollback_bridge_integration(&name("empty"), RollbackMode::Perform).await.unwrap();
    });
    assert!(is_rolled_back(&error.await));
    let by_another_host = error_after_rollback(async |store, _| {
        store.roll_back(&name("empty"), now()).await.unwrap();
    });
    assert!(is_rolled_back(&by_another_host.await));
}

#[tokio::test]
async fn a_rollback_succeeds_even_if_its_totals_are_unreadable() {
    let mut store = MockTokenStore::new();
    store.expect_roll_back().returning(|_, _| Ok(CheckpointName::before_rollback(Epoch(3))));
    store.expect_list_checkpoints().returning(|| Err(unavailable()));
    store.expect_put_audit().returning(|_| Ok(()));
    let bridge = bridge(Arc::new(store), &[]);
    let done = bridge.rollback_bridge_integration(&name("good"), RollbackMode::Perform).await.unwrap();
    assert_eq!((done.before, done.after, done.state.epoch), (None, None, Epoch(3)));
    assert_eq!(done.state.mode, StoreMode::Direct { checkpoint: name("good") });
}

#[tokio::test]
async fn nothing_is_stored_until_resume() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = rolled_back(folder.path()).await;
    let session = SessionId::new("s").unwrap();
    let backfill = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap_err();
    let sync = bridge.sync_session_tokens(&session, SyncMode::Incremental).await.unwrap_err();
    let all = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap_err();
    let store =
        bridge.store_enhanced_analysis(&analysis("t", 1, &[9]), StoreOptions::default()).await.unwrap_err();
    let repair = IntegrityOptions::default().with_repair(Repair::Restore);
    let repair = bridge.verify_data_integrity(repair).await.unwrap_err();
    for error in [backfill, sync, all, store, repair] {
        assert!(is_rolled_back(&error) && error.to_string().contains("good"), "{error}");
    }
    let batch = bridge.batch_store_analyses(&[analysis("t", 1, &[9])], BatchOptions::default()).await;
    assert!(batch[0].errors[0].contains("rolled back"), "{batch:?}");
    assert_eq!(tokens(&bridge).await, 5);
}

#[tokio::test]
async fn after_resume_everything_is_read_and_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = rolled_back(folder.path()).await;
    bridge.checkpoints().resume().await.unwrap();
    // The file is unchanged, and its cursor from before the rollback marks it as stored.
    let result = &bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap()[0];
    assert_eq!((result.status, result.tokens_after, result.files_read), (SyncStatus::Changed, 42, 1));
    assert_eq!(tokens(&bridge).await, 42);
    let result = &bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap()[0];
    assert_eq!((result.status, result.tokens_after), (SyncStatus::Unchanged, 42));
    let metadata =
        bridge.get_stored_token_summaries(SummaryQuery::last_days(7).with_metadata()).await.unwrap()[0]
            .metadata
            .clone()
            .unwrap();
    assert_eq!((metadata.lines, metadata.accuracy_ratio), (2, Some(1.0)));
}

/// A processor that was fed half a file before the rollback must not record the whole file as stored.
#[tokio::test]
async fn a_rollback_restarts_partly_fed_files() {
    let (_, bridge) = in_memory();
    bridge.checkpoints().create(&name("empty")).await.unwrap();
    let processor = JsonlProcessorBridge::new(bridge.clone());
    let batch = |offset: usize, content: &str| {
        let (offset, content) = (offset as u64, content.as_bytes().to_vec());
        BatchProcessingResult::new("/fed.jsonl", offset, content).with_modified(now())
    };
    let (first, second) = (line(1, 5), line(2, 37));
    let _ = processor.on_content_batch_processed(batch(0, &first)).await.unwrap();
    let _ = bridge.rollback_bridge_integration(&name("empty"), RollbackMode::Perform).await.unwrap();
    let error = processor.on_content_batch_processed(batch(first.len(), &second)).await.unwrap_err();
    assert!(is_rolled_back(&error), "{error}");
    bridge.checkpoints().resume().await.unwrap();
    let error = processor.on_content_batch_processed(batch(first.len(), &second)).await.unwrap_err();
    assert!(matches!(error, BridgeError::OutOfOrder { expected: 0, .. }), "{error}");
    let _ = processor.on_content_batch_processed(batch(0, &(first + &second))).await.unwrap();
    assert_eq!(tokens(&bridge).await, 42);
}
