//! Batches from an embedder that reads transcripts itself.

use std::path::PathBuf;
use std::sync::Arc;

use bridge::storage::{InMemoryStore, ResponseFilter, SourceFilter, TokenStore};
use bridge::{BatchProcessingResult, BridgeError, HostName, JsonlProcessorBridge, SessionId, SyncOptions};
use bridge_testkit::history::{GeneratedFile, HistoryPlan};
use fastrand::Rng;

use crate::facade::{bridge, in_memory, now};

fn batch(path: &str, offset: usize, content: &[u8]) -> BatchProcessingResult {
    BatchProcessingResult::new(path, offset as u64, content.to_vec()).with_modified(now())
}

/// Feeds the file in arbitrarily cut pieces, some of which overlap.
async fn feed(processor: &JsonlProcessorBridge, path: &str, file: &GeneratedFile, rng: &mut Rng) {
    let content = &file.content;
    let mut offset = 0;
    while offset < content.len() {
        let end = (offset + rng.usize(1..2_000)).min(content.len());
        let again = if offset > 0 { rng.usize(..offset.min(50)) } else { 0 };
        let mut batch = batch(path, offset - again, &content[offset - again..end]);
        batch.ends_file = end == content.len();
        batch.modified = bridge::Timestamp::from_millis(file.modified_millis).unwrap();
        let result = processor.on_content_batch_processed(batch).await.unwrap();
        assert!(result.success, "{:?}", result.errors);
        offset = end;
    }
}

/// The statistics of files: lines, damage and snapshots. An incomplete last line is excluded.
async fn statistics(store: &dyn TokenStore) -> Vec<(PathBuf, SessionId, u64, u64, u64, u64)> {
    let records = store.sources(&SourceFilter::default()).await.unwrap();
    let read = records.into_iter().filter(|record| record.snapshots > 0 || record.lines > 0).map(|record| {
        let lines = record.lines - record.damage.pending_lines;
        (
            record.path,
            record.session,
            lines,
            record.damage.bad_lines,
            record.snapshots,
            record.snapshot_tokens,
        )
    });
    read.filter(|(_, _, lines, bad, snapshots, _)| lines + bad + snapshots > 0).collect()
}

#[tokio::test]
async fn batches_cut_anywhere_store_the_same_as_a_sync() {
    for seed in 0..6 {
        let history = HistoryPlan { seed, sessions: 2, ..HistoryPlan::default() }.generate();
        let folder = tempfile::tempdir().unwrap();
        history.write_below(&folder.path().join("projects")).unwrap();
        let synchronized = Arc::new(InMemoryStore::default());
        let _ = bridge(synchronized.clone(), &[folder.path()])
            .sync_all_sessions(SyncOptions::default().with_parallel_limit(2))
            .await
            .unwrap();

        let fed = Arc::new(InMemoryStore::default());
        let processor = JsonlProcessorBridge::new(bridge(fed.clone(), &[]));
        let files = history.files.iter().filter(|file| !file.relative_path.ends_with("journal.jsonl"));
        for file in files {
            let path = folder.path().join("projects").join(&file.relative_path);
            feed(&processor, path.to_str().unwrap(), file, &mut Rng::with_seed(seed)).await;
        }
        let all = ResponseFilter::default();
        assert_eq!(fed.responses(&all).await.unwrap(), synchronized.responses(&all).await.unwrap(), "{seed}");
        assert_eq!(statistics(&*fed).await, statistics(&*synchronized).await, "{seed}");

        // A later sync finds nothing to add.
        let _ = bridge(fed.clone(), &[folder.path()])
            .sync_all_sessions(SyncOptions::default().with_parallel_limit(2))
            .await
            .unwrap();
        assert_eq!(fed.responses(&all).await.unwrap(), synchronized.responses(&all).await.unwrap());
        assert_eq!(statistics(&*fed).await, statistics(&*synchronized).await, "{seed}");
    }
}

#[tokio::test]
async fn a_gap_is_an_error_and_nothing_is_counted_across_it() {
    let (store, bridge) = in_memory();
    let processor = JsonlProcessorBridge::new(bridge);
    let line = br#"{"type":"assistant","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    let _ = processor.on_content_batch_processed(batch("p/s.jsonl", 0, &line[..30])).await.unwrap();
    let error = processor.on_content_batch_processed(batch("p/s.jsonl", 40, &line[40..])).await.unwrap_err();
    assert!(matches!(error, BridgeError::OutOfOrder { expected: 30, offset: 40, .. }), "{error}");
    let mut rest = batch("p/s.jsonl", 30, &line[30..]);
    rest.ends_file = true;
    let result = processor.on_content_batch_processed(rest).await.unwrap();
    assert_eq!((result.total_tokens, result.session_id), (42, SessionId::new("s").ok()));
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.output, 42);
}

#[tokio::test]
async fn an_oversize_line_is_dropped_as_it_streams_in() {
    let store = Arc::new(InMemoryStore::default());
    let mut analyzer = bridge::analysis::AnalyzerOptions::default();
    analyzer.line_bytes_max = 1_000;
    analyzer.host = HostName::new("host").ok();
    let bridge = bridge::EnhancedTokenDatabaseBridge::builder(store.clone()).analyzer(analyzer).build();
    let processor = JsonlProcessorBridge::new(bridge);
    let line = r#"{"type":"assistant","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    let content = format!("{{\"a\":\"{}\"}}\n{line}\n", "x".repeat(50_000));
    for (number, piece) in content.as_bytes().chunks(700).enumerate() {
        let _ = processor.on_content_batch_processed(batch("p/s.jsonl", number * 700, piece)).await.unwrap();
    }
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.output, 42);
    let records = store.sources(&SourceFilter::default()).await.unwrap();
    let oversize: u64 = records.iter().map(|record| record.damage.oversize_lines).sum();
    assert_eq!((oversize, records.iter().map(|record| record.lines).sum::<u64>()), (1, 2));
}
