//! The section `processing`.

use std::sync::{Arc, Mutex};

use bridge::storage::{MockTokenStore, SummaryFilter, UpsertOutcome};
use bridge::{BackfillOptions, BatchOptions, StoreOptions, Timestamp};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::config::{analysis, given, in_memory, on_engine, on_server, transcript};

#[tokio::test]
async fn processing_batch_size() {
    let inserts = async |rows: &str| {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sizes);
        let mut store = MockTokenStore::new();
        store.expect_put_audit().returning(|_| Ok(()));
        store.expect_upsert().returning(move |rows, _| {
            let counted = rows.iter().filter(|row| row.origin.is_counted()).count();
            seen.lock().unwrap().push(counted);
            Ok(vec![UpsertOutcome::New; rows.len()])
        });
        let keys = [("processing.batch_size", rows), ("processing.parallel_limit", "1")];
        let bridge = given(&keys).builder_with(Arc::new(store)).unwrap().build();
        let analyses: Vec<_> = (0..10).map(|place| analysis("s", place, &[1])).collect();
        assert!(
            bridge
                .batch_store_analyses(&analyses, BatchOptions::default())
                .await
                .iter()
                .all(|result| result.success)
        );
        let mut sizes = sizes.lock().unwrap().clone();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(inserts("4").await, [2, 4, 4]);
    assert_eq!(inserts("1000").await, [10]);
}

/// The silent proxy makes every batch hold a connection until its timeout, so more concurrent batches than
/// connections leave some without one. The batches are too large to be written as one group.
#[tokio::test]
async fn processing_parallel_limit() {
    let without_connection = async |limit: &str| {
        let proxy = FaultProxy::before(TestDatabase::of_this_test().host()).await.unwrap();
        let keys = [
            ("processing.batch_size", "5000"),
            ("processing.parallel_limit", limit),
            ("clickhouse.connection_pool_size", "2"),
            ("clickhouse.connection_timeout", "300ms"),
            ("clickhouse.operation_timeout", "3s"),
            ("clickhouse.retry_attempts", "0"),
        ];
        // Creating the tables may take longer than these timeouts on a busy machine.
        drop(on_engine(&[]).build().await.unwrap());
        let bridge = on_server(&format!("http://{}", proxy.host()), &keys).build().await.unwrap();
        proxy.set(Fault::Silent);
        let analyses: Vec<_> = (0..4).map(|place| analysis("s", 5_000 * place, &[1; 5_000])).collect();
        let results = bridge.batch_store_analyses(&analyses, BatchOptions::default()).await;
        assert!(results.iter().all(|result| !result.success));
        results.iter().filter(|result| result.errors[0].contains("no connection became free")).count()
    };
    assert_eq!(without_connection("2").await, 0);
    assert_eq!(without_connection("4").await, 2);
}

#[test]
fn processing_max_memory_mb() {
    let threads = |memory: &str| {
        let keys = [("processing.max_memory_mb", memory), ("processing.threads", "16")];
        given(&keys).analyzer_options().unwrap().threads
    };
    // For lines of up to 64 MB.
    assert_eq!(["64", "200", "10000"].map(threads), [1, 3, 16]);
}

#[test]
fn processing_threads() {
    let threads =
        |threads: &str| given(&[("processing.threads", threads)]).analyzer_options().unwrap().threads;
    assert_eq!((threads("1"), threads("2")), (1, 2));
    assert!(threads("0") >= 1);
}

#[tokio::test]
async fn processing_validation() {
    let mut wrong = analysis("s", 1, &[5]);
    wrong.timestamp = Timestamp::MAX;
    let stored = async |validation: &str| {
        let bridge = in_memory(&[("processing.validation", validation)]);
        bridge.store_enhanced_analysis(&wrong, StoreOptions::default()).await.is_ok()
    };
    assert_eq!((stored("true").await, stored("false").await), (false, true));
}

/// The analysis of a transcript with one response, followed by these lines.
async fn analyzed(keys: &[(&str, &str)], more: &str) -> bridge::AnalysisSummary {
    let folder = tempfile::tempdir().unwrap();
    transcript(&folder.path().join("s.jsonl"), more);
    let paths = format!("[{:?}]", folder.path());
    let bridge = in_memory(&[keys, &[("sources.paths", &paths)]].concat());
    bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap().analysis
}

#[tokio::test]
async fn processing_max_line_mb() {
    let long = format!("{{\"type\":\"user\",\"text\":{:?}}}\n", "x".repeat(3 << 20));
    let skipped = async |limit: &str| {
        analyzed(&[("processing.max_line_mb", limit)], &long).await.receipt.damage.oversize_lines
    };
    assert_eq!((skipped("2").await, skipped("4").await), (1, 0));
}

#[tokio::test]
async fn processing_strict() {
    let broken = "{\"type\":\"attachment\",\"text\":nonsense}\n";
    let bad = async |strict: &str| {
        analyzed(&[("processing.strict", strict)], broken).await.receipt.damage.bad_lines
    };
    assert_eq!((bad("false").await, bad("true").await), (0, 1));
}

#[tokio::test]
async fn processing_categories() {
    let found = async |categories: &str| {
        let folder = tempfile::tempdir().unwrap();
        transcript(&folder.path().join("s.jsonl"), "");
        let paths = format!("[{:?}]", folder.path());
        let bridge = in_memory(&[("processing.categories", categories), ("sources.paths", &paths)]);
        assert!(bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap().success);
        let filter = SummaryFilter::default().with_metadata(true);
        let summaries = bridge.token_store().summaries(&filter).await.unwrap();
        summaries[0].metadata.as_ref().unwrap().content_categories.values().sum::<u64>()
    };
    assert_eq!(found("false").await, 0);
    assert!(found("true").await > 0);
}

#[tokio::test]
async fn processing_activity() {
    let known = async |activity: &str| {
        let folder = tempfile::tempdir().unwrap();
        transcript(&folder.path().join("s.jsonl"), "");
        let paths = format!("[{:?}]", folder.path());
        let bridge = in_memory(&[("processing.activity", activity), ("sources.paths", &paths)]);
        assert!(bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap().success);
        let filter = SummaryFilter::default().with_metadata(true);
        let summaries = bridge.token_store().summaries(&filter).await.unwrap();
        summaries[0].metadata.as_ref().unwrap().activity.is_some()
    };
    assert_eq!((known("false").await, known("true").await), (false, true));
}
