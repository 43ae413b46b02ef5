//! Continuous synchronization while transcripts grow and the database fails and recovers.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::{AuditFilter, OperationName, SessionId, SyncMode, SyncOptions, SyncStatus};
use bridge_embedded::{Endpoint, Engine, EngineOptions, Shutdown};
use bridge_testkit::fixtures::line;
use bridge_testkit::proxy::{Fault, FaultProxy};
use tokio::sync::mpsc;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(1);

fn append(path: &Path, text: &str) {
    File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn an_unreadable_source_is_reported_once_under_its_own_path() {
    let database = bridge_testkit::engine::TestDatabase::of_this_test();
    let folder = tempfile::tempdir().unwrap();
    let projects = folder.path().join("projects");
    let transcript = projects.join("s.jsonl");
    fs::create_dir(&projects).unwrap();
    fs::write(&transcript, line("s", 1, 40)).unwrap();
    let bridge = crate::engine::bridge(Arc::new(crate::engine::store(&database.writer_url())), folder.path())
        .sources([projects.clone()])
        .build();
    bridge.token_store().migrate().await.unwrap();
    assert_eq!(
        bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap()[0].status,
        SyncStatus::Changed
    );

    // A missing network share does not mark its sessions as gone.
    fs::rename(&projects, folder.path().join("away")).unwrap();
    let results = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    let reported: Vec<_> = results.iter().map(|result| (result.session_id.as_str(), result.status)).collect();
    let place = projects.to_str().unwrap();
    assert_eq!(reported, [(place, SyncStatus::Failed), ("s", SyncStatus::Unchanged)]);
    // A sync of a single session fails, because the missing share may hold parts of it.
    let result =
        bridge.sync_session_tokens(&SessionId::new("s").unwrap(), SyncMode::Incremental).await.unwrap();
    assert_eq!((result.status, result.tokens_after, result.errors.len()), (SyncStatus::Failed, 40, 1));

    let (sender, mut outcomes) = mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(Duration::from_millis(20), move |outcome| drop(sender.send(outcome)));
    let mut next = async || timeout(DEADLINE, outcomes.recv()).await.unwrap().unwrap().unwrap();
    assert_eq!(next().await.len(), 1);
    for _ in 0..3 {
        assert!(next().await.is_empty());
    }
    fs::rename(folder.path().join("away"), &projects).unwrap();
    append(&transcript, &line("s", 2, 2));
    let caught_up = loop {
        let results = next().await;
        if !results.is_empty() {
            break results;
        }
    };
    assert_eq!((caught_up[0].status, caught_up[0].tokens_after), (SyncStatus::Changed, 42));
    timeout(DEADLINE, syncing.stop()).await.unwrap();
    let filter = AuditFilter::default().with_operation(OperationName::new("sync_all_sessions").unwrap());
    let audited = bridge.audit_log(&filter).await.unwrap();
    // The first sync, the two reports of the missing folder, and the last sync.
    assert_eq!(audited.len(), 4);
}

/// Needs its own engine because some cuts make it abort and restart.
#[tokio::test]
async fn sync_catches_up_when_the_database_recovers() {
    let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
    let Endpoint { url, writer, .. } = engine.endpoint();
    let proxy = FaultProxy::before(url.strip_prefix("http://").unwrap()).await.unwrap();
    let url = format!("http://{}:{}@{}/test_keeping", writer.user, writer.password, proxy.host());
    let folder = tempfile::tempdir().unwrap();
    let transcript = folder.path().join("s.jsonl");
    fs::write(&transcript, line("s", 1, 40)).unwrap();
    let bridge = crate::engine::bridge(Arc::new(crate::engine::hasty_store(&url)), folder.path()).build();
    bridge.token_store().migrate().await.unwrap();

    let (sender, mut outcomes) = mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(Duration::from_millis(50), move |outcome| drop(sender.send(outcome)));
    let mut next = async |wanted: fn(&Result<Vec<_>, _>) -> bool| {
        let next = async {
            loop {
                let outcome = outcomes.recv().await.unwrap();
                if wanted(&outcome) {
                    return outcome;
                }
            }
        };
        timeout(DEADLINE, next).await.expect("the expected outcome arrives")
    };
    let changed = |outcome: &Result<Vec<_>, _>| outcome.as_ref().is_ok_and(|sessions| !sessions.is_empty());

    let first = next(changed).await.unwrap();
    assert_eq!((first[0].tokens_before, first[0].tokens_after), (0, 40));

    proxy.set(Fault::Closed);
    append(&transcript, &line("s", 2, 2));
    let error = next(Result::is_err).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");

    proxy.set(Fault::None);
    let caught_up = next(changed).await.unwrap();
    assert_eq!((caught_up[0].tokens_before, caught_up[0].tokens_after), (40, 42));
    next(|outcome| outcome.as_ref().is_ok_and(Vec::is_empty)).await.unwrap();

    timeout(DEADLINE, syncing.stop()).await.unwrap();
    append(&transcript, &line("s", 3, 100));
    timeout(DEADLINE, async { while outcomes.recv().await.is_some() {} })
        .await
        .expect("the observer is dropped");
    assert_eq!(bridge.token_store().totals(&Default::default()).await.unwrap().counts.output, 42);
    assert_eq!(engine.close(Duration::from_secs(30)), Shutdown::Stopped);
}
