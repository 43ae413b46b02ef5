//! The end of a bridge, and streams that end with it.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bridge::storage::{InMemoryStore, MockTokenStore};
use bridge::{
    BridgeError, EnhancedTokenDatabaseBridge, Observation, ObserverStream, StorageKind, StreamItem,
    SummaryQuery, observer_stream,
};
use bridge_testkit::fixtures::line;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::facade::in_memory;

const DEADLINE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_hours(1);

fn capacity(values: usize) -> NonZeroUsize {
    NonZeroUsize::new(values).unwrap()
}

/// Waits for the end of a stream, whatever comes before it.
async fn ended<T>(mut stream: ObserverStream<T>) {
    let end = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(DEADLINE, end).await.expect("the stream ends");
}

async fn first<T>(stream: &mut ObserverStream<T>) -> StreamItem<T> {
    tokio::time::timeout(DEADLINE, stream.next()).await.expect("a value comes").unwrap()
}

#[tokio::test]
async fn a_shutdown_ends_synchronization_and_monitor() {
    let (_, bridge) = in_memory();
    let (observer, mut syncs) = observer_stream(capacity(8));
    let _syncing = bridge.keep_in_sync(HOUR, observer);
    let (observer, mut observations) = observer_stream(capacity(8));
    let _monitor = bridge.monitor(observer);
    assert!(matches!(first(&mut syncs).await, StreamItem::Value(Ok(_))));
    let _: StreamItem<Observation> = first(&mut observations).await;
    bridge.shutdown().await.unwrap();
    ended(syncs).await;
    ended(observations).await;

    // The bridge can be used afterwards.
    let (observer, mut again) = observer_stream(capacity(8));
    let syncing = bridge.keep_in_sync(HOUR, observer);
    assert!(matches!(first(&mut again).await, StreamItem::Value(Ok(_))));
    syncing.stop().await;
}

#[tokio::test]
async fn an_embedders_token_ends_synchronization_and_monitor() {
    let service = CancellationToken::new();
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
        .cancellation(service.child_token())
        .build();
    let (observer, syncs) = observer_stream(capacity(8));
    let _syncing = bridge.keep_in_sync(HOUR, observer);
    let (observer, observations) = observer_stream(capacity(8));
    let _monitor = bridge.monitor(observer);
    service.cancel();
    ended(syncs).await;
    ended(observations).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_does_not_end_is_reported_and_holds_up_nothing_else() {
    let (_, bridge) = in_memory();
    let (entered, mut observing) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = mpsc::channel::<()>();
    let syncing = bridge.keep_in_sync(HOUR, move |_| {
        entered.send(()).unwrap();
        let _ = released.recv();
    });
    observing.recv().await.unwrap();
    let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    let incomplete = bridge.shutdown().within(Duration::from_millis(200)).await.unwrap_err();
    assert!(incomplete.running_tasks, "{incomplete}");
    drop(release);
    syncing.stop().await;
    bridge.shutdown().await.unwrap();
}

#[tokio::test]
async fn records_that_the_store_does_not_take_are_reported() {
    let mut store = MockTokenStore::new();
    store.expect_stats().returning(Default::default);
    store.expect_summaries().returning(|_| Ok(Vec::new()));
    store.expect_put_audit().returning(|_| {
        Err(BridgeError::Storage {
            operation: "write the audit",
            kind: StorageKind::PermissionDenied,
            message: "denied".to_owned(),
            context: Box::default(),
            source: None,
        })
    });
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(store)).build();
    let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    let incomplete = bridge.shutdown().await.unwrap_err();
    assert_eq!((incomplete.unwritten_records, incomplete.running_tasks), (1, false));
    assert!(incomplete.to_string().starts_with("1 audit records are not written: "), "{incomplete}");
}

#[tokio::test]
async fn a_slow_reader_keeps_the_newest_values_and_learns_how_many_are_missing() {
    let (observer, stream) = observer_stream(capacity(2));
    (1..=5).for_each(&observer);
    drop(observer);
    let items: Vec<_> = stream.collect().await;
    assert_eq!(items, [StreamItem::Missed(3), StreamItem::Value(4), StreamItem::Value(5)]);
}

#[tokio::test]
async fn changes_arrive_as_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    std::fs::write(&path, line("s", 1, 40)).unwrap();
    let bridge = crate::builder(Arc::new(InMemoryStore::default()), &[folder.path()]).build();
    let (observer, mut changes) = observer_stream(capacity(1000));
    let syncing = bridge.keep_in_sync(Duration::from_millis(5), observer);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let StreamItem::Value(Ok(sessions)) = first(&mut changes).await else { continue };
        for session in sessions {
            seen.push((session.tokens_before, session.tokens_after));
            let mut file = std::fs::File::options().append(true).open(&path).unwrap();
            file.write_all(line("s", 2, 2).as_bytes()).unwrap();
        }
    }
    assert_eq!(seen, [(0, 40), (40, 42)]);
    syncing.stop().await;
    ended(changes).await;
}
