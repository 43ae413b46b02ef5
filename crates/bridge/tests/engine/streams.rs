//! Pushed entries and readers on a real table.

use std::sync::Arc;

use bridge::storage::{ResponseFilter, TokenStore};
use bridge::stream::{SessionEntries, TranscriptStream};
use bridge::{EnhancedTokenDatabaseBridge, IntegrityOptions, SessionId, SyncOptions, SyncStatus};
use bridge_testkit::engine::TestDatabase;

use crate::engine::{bridge, history, store};

/// Two processes push the same transcripts at once, others read them as objects, and the files are synchronized
/// besides.
#[tokio::test]
async fn what_arrives_along_several_ways_is_stored_once() {
    let database = TestDatabase::of_this_test();
    let (history, folder) = history(72);
    let nowhere = tempfile::tempdir().unwrap();
    let process = |sources: &std::path::Path| {
        let store: Arc<dyn TokenStore> = Arc::new(store(&database.writer_url()));
        bridge(store, sources).build()
    };
    let (a, b) = (process(nowhere.path()), process(nowhere.path()));
    a.token_store().migrate().await.unwrap();
    let is_transcript = |name: &str| name.ends_with(".jsonl") && !name.ends_with("journal.jsonl");
    for file in history.files.iter().filter(|file| is_transcript(&file.relative_path)) {
        let stem = file.relative_path.rsplit('/').next().unwrap().trim_end_matches(".jsonl");
        let session = SessionId::new(stem).unwrap();
        let project = file.relative_path.split('/').next().unwrap();
        let lines: Vec<&[u8]> = file.content.split_inclusive(|byte| *byte == b'\n').collect();
        let half = lines.len() / 2;
        let entries = |lines: &[&[u8]]| {
            let entries = SessionEntries::from_ndjson(lines.concat()).with_project_key(project);
            if stem.starts_with("agent-") { entries.with_subpath(stem) } else { entries }
        };
        let push = async |process: &EnhancedTokenDatabaseBridge| {
            let _ = process.append(&session, entries(&lines[..half])).await.unwrap();
            let _ = process.append(&session, entries(&lines[half..])).await.unwrap();
            process.append(&session, entries(&lines)).await.unwrap()
        };
        let (of_a, of_b) = tokio::join!(push(&a), push(&b));
        assert!(of_a.success && of_b.success);
        let object = TranscriptStream::new(format!("s3://b/projects/{}", file.relative_path));
        let _ = b.read_stream(&object, file.content.as_slice()).await.unwrap();
        let position = a.stored_stream_position(&object).await.unwrap().unwrap();
        let result = a.read_stream(&object.starting_at(position.bytes), &b""[..]).await.unwrap();
        assert_eq!((result.position, result.lines_read), (position, 0));
    }
    let all = ResponseFilter::default();
    let totals = a.token_store().totals(&all).await.unwrap();
    assert_eq!((totals.responses, totals.counts.total()), (history.truth.responses, history.truth.total()));

    // Without files there is nothing to synchronize or to compare with, and nothing is gone.
    let synchronized = a.sync_all_sessions(SyncOptions::default()).await.unwrap();
    let status = |status| synchronized.iter().filter(|result| result.status == status).count();
    assert!(status(SyncStatus::Streamed) > 0 && status(SyncStatus::SourceGone) == 0, "{synchronized:?}");
    let result = a.verify_data_integrity(IntegrityOptions::default()).await.unwrap();
    assert!(result.passed, "{result:?}");
    assert_eq!(result.unverifiable().responses, totals.responses);

    let with_files = process(folder.path());
    let _ = with_files.sync_all_sessions(SyncOptions::default()).await.unwrap();
    assert_eq!(a.token_store().totals(&all).await.unwrap(), totals);
    assert!(with_files.verify_data_integrity(IntegrityOptions::default()).await.unwrap().passed);
}
