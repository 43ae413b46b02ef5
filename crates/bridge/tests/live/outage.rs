//! The database is away while transcripts grow.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge_testkit::engine::TestDatabase;
use bridge_testkit::fixtures::line;
use bridge_testkit::proxy::{Fault, FaultProxy};

use super::{Live, append, assert_equals_a_fresh_analysis, scripted};

#[tokio::test]
async fn what_changed_while_the_database_was_away_is_stored_when_it_is_back() {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = crate::engine::hasty_store(&database.writer_url_by(proxy.host()));
    let bridge = crate::engine::bridge(Arc::new(store), folder.path()).build();
    bridge.token_store().migrate().await.unwrap();
    let (options, sinks) = scripted();
    let mut live = Live::start(&bridge, options);
    live.next().await.unwrap();
    let sink = sinks.try_recv().unwrap();
    let write = |name: &str, number: u64| {
        let path = folder.path().join(name);
        append(&path, &line(name, number, 1));
        sink.changed(&path);
    };
    write("a.jsonl", 1);
    live.wait_for(&bridge, 1).await;

    proxy.set(Fault::Closed);
    write("a.jsonl", 2);
    let error = live.next().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    // More paths than are remembered, some of them several times.
    for number in 0..5_000 {
        write(&format!("s{}.jsonl", number % 50), 10 + number);
        sink.changed(Path::new(&format!("/elsewhere/{number}.jsonl")));
    }
    assert!(live.task.status().failures > 0);
    proxy.set(Fault::None);
    live.wait_for(&bridge, 5_002).await;
    assert_equals_a_fresh_analysis(&bridge, folder.path()).await;
    // From then on only what changes is read.
    let searches = live.task.status().searches;
    tokio::time::sleep(Duration::from_millis(10)).await;
    write("a.jsonl", 10_000);
    live.wait_for(&bridge, 5_003).await;
    assert_eq!((live.task.status().searches, live.task.status().failures), (searches, 0));
    live.task.stop().await;
}
