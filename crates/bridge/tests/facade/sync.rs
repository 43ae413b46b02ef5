//! Synchronization: results by session, and refusals.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bridge::storage::{InMemoryStore, SourceFilter, TokenStore};
use bridge::{
    AuditFilter, BackfillOptions, BridgeError, EnhancedTokenDatabaseBridge, SessionId, StoreOptions,
    SyncMode, SyncOptions, SyncResult, SyncStatus, TimeRange, Timestamp,
};
use bridge_testkit::fixtures::line;

use crate::facade::{analysis, bridge, in_memory, now, response};

fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

/// Long enough ago that no file counts as recently modified.
fn today() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_860_800)
}

/// A transcript of the session with a response of this many tokens, last modified this long ago.
fn transcript(folder: &Path, name: &str, output: u64, age: Duration) {
    let path = folder.join(format!("{name}.jsonl"));
    fs::write(&path, line(name, u64::from(name.as_bytes()[0]), output)).unwrap();
    File::options().append(true).open(&path).unwrap().set_modified(today() - age).unwrap();
}

fn with_sources(folder: &Path) -> (Arc<InMemoryStore>, EnhancedTokenDatabaseBridge) {
    let store = Arc::new(InMemoryStore::default());
    (store.clone(), bridge(store, &[folder]))
}

fn outcomes(results: &[SyncResult]) -> Vec<(&str, SyncStatus, u64)> {
    results.iter().map(|result| (result.session_id.as_str(), result.status, result.tokens_after)).collect()
}

#[tokio::test]
async fn every_stored_session_has_a_result() {
    let folder = tempfile::tempdir().unwrap();
    transcript(folder.path(), "transcript", 42, Duration::ZERO);
    let (store, bridge) = with_sources(folder.path());
    let rows: Vec<_> = (1..=251).map(|key| response(&format!("stored-{key:03}"), key, 7)).collect();
    store.upsert(&rows, &Default::default()).await.unwrap();
    let results = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    assert_eq!(results.len(), 252);
    assert!(results.is_sorted_by_key(|result| result.session_id.clone()));
    for result in &results {
        let expected = match result.session_id.as_str() {
            "transcript" => (SyncStatus::Changed, 0, 42),
            _ => (SyncStatus::Unchanged, 7, 7),
        };
        assert_eq!((result.status, result.tokens_before, result.tokens_after), expected, "{result:?}");
    }
}

#[tokio::test]
async fn partly_backfilled_sessions_have_a_result() {
    let folder = tempfile::tempdir().unwrap();
    transcript(folder.path(), "s", 42, Duration::from_hours(1));
    let (store, bridge) = with_sources(folder.path());
    // A backfill limited by dates records no files.
    let part = BackfillOptions::default().with_start_date(Timestamp::MIN);
    let _ = bridge.backfill_historical_data(part).await.unwrap();
    assert!(store.sources(&SourceFilter::default()).await.unwrap().is_empty());
    fs::remove_file(folder.path().join("s.jsonl")).unwrap();
    let results = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    assert_eq!(outcomes(&results), [("s", SyncStatus::Unchanged, 42)]);
}

#[tokio::test]
async fn since_limits_a_sync_to_recently_modified_files() {
    let folder = tempfile::tempdir().unwrap();
    let (_, bridge) = with_sources(folder.path());
    transcript(folder.path(), "gone", 1, Duration::from_hours(50));
    transcript(folder.path(), "old", 2, Duration::from_hours(49));
    transcript(folder.path(), "known", 3, Duration::from_hours(1));
    let _ =
        bridge.store_enhanced_analysis(&analysis("stored", 1, &[5]), StoreOptions::default()).await.unwrap();
    let _ = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    fs::remove_file(folder.path().join("gone.jsonl")).unwrap();
    transcript(folder.path(), "new", 4, Duration::ZERO);

    let yesterday = today() - Duration::from_hours(24);
    let millis = yesterday.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let since = Timestamp::from_millis(i64::try_from(millis).unwrap()).unwrap();
    let results = bridge
        .sync_all_sessions(SyncOptions::default().with_since(since).with_parallel_limit(5))
        .await
        .unwrap();
    assert_eq!(outcomes(&results), [("known", SyncStatus::Unchanged, 3), ("new", SyncStatus::Changed, 4)]);
    let all = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    let names: Vec<_> = outcomes(&all).into_iter().map(|(name, status, _)| (name, status)).collect();
    use SyncStatus::{SourceGone, Unchanged};
    let expected = [
        ("gone", SourceGone),
        ("known", Unchanged),
        ("new", Unchanged),
        ("old", Unchanged),
        ("stored", Unchanged),
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn an_unknown_session_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    transcript(folder.path(), "s", 42, Duration::ZERO);
    let (_, bridge) = with_sources(folder.path());
    for mode in [SyncMode::Incremental, SyncMode::Full] {
        let error = bridge.sync_session_tokens(&session("unknown"), mode).await.unwrap_err();
        assert!(
            matches!(&error, BridgeError::UnknownSession { session, .. } if session.as_str() == "unknown"),
            "{error}"
        );
    }
    // Other sessions found by these calls are stored.
    let result = bridge.sync_session_tokens(&session("s"), SyncMode::Incremental).await.unwrap();
    assert_eq!((result.status, result.tokens_after), (SyncStatus::Unchanged, 42));
}

#[tokio::test]
async fn known_sessions_without_new_responses_are_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("begun.jsonl"), "{\"type\":\"user\",\"sessionId\":\"begun\"}\n").unwrap();
    fs::write(folder.path().join("empty.jsonl"), "").unwrap();
    let (_, bridge) = with_sources(folder.path());
    let _ =
        bridge.store_enhanced_analysis(&analysis("stored", 1, &[5]), StoreOptions::default()).await.unwrap();
    // The first round reads the files, the second one knows them already.
    for _ in 0..2 {
        for (name, tokens) in [("begun", 0), ("empty", 0), ("stored", 5)] {
            let result = bridge.sync_session_tokens(&session(name), SyncMode::Incremental).await.unwrap();
            assert_eq!((result.status, result.tokens_after), (SyncStatus::Unchanged, tokens), "{name}");
        }
    }
}

#[tokio::test]
async fn an_inverted_date_range_is_an_error_with_both_dates() {
    let (_, bridge) = in_memory();
    let (start, end) = (now(), now().saturating_sub(Duration::from_hours(24)));
    let range = TimeRange { start: Some(start), end: Some(end) };
    let dates = || BackfillOptions::default().with_start_date(start).with_end_date(end);
    let errors = [
        bridge.backfill_historical_data(dates()).await.unwrap_err(),
        bridge.analyze_historical_data(dates()).await.unwrap_err(),
        bridge.dashboard().get_dashboard_token_metrics(range).await.unwrap_err(),
        bridge.audit_log(&AuditFilter::default().with_time(range)).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), "inverted_range", "{error}");
        let text = error.to_string();
        assert!(text.contains(&start.to_string()) && text.contains(&end.to_string()), "{text}");
    }
}
