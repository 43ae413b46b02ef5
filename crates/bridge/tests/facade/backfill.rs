//! The historical backfill on generated histories with known totals.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bridge::storage::{InMemoryStore, MockTokenStore, ResponseFilter, TokenStore, UpsertOutcome};
use bridge::{
    BackfillOptions, BackfillPhase, BackfillProgress, BridgeError, EnhancedTokenDatabaseBridge, StoreState,
    Timestamp,
};
use bridge_testkit::history::{GeneratedFile, GeneratedHistory, HistoryPlan};
use tempfile::TempDir;

use crate::facade::bridge;

struct Setup {
    history: GeneratedHistory,
    folder: TempDir,
    store: Arc<InMemoryStore>,
    bridge: EnhancedTokenDatabaseBridge,
}

fn setup(seed: u64) -> Setup {
    let history = HistoryPlan { seed, ..HistoryPlan::default() }.generate();
    let folder = tempfile::tempdir().unwrap();
    history.write_below(&folder.path().join("projects")).unwrap();
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), &[folder.path()]);
    Setup { history, folder, store, bridge }
}

/// The history's transcripts. The client's journals are not transcripts.
fn transcripts(history: &GeneratedHistory) -> impl Iterator<Item = &GeneratedFile> {
    history.files.iter().filter(|file| !file.relative_path.ends_with("journal.jsonl"))
}

fn batches_of(batch_size: usize) -> BackfillOptions {
    BackfillOptions::default().with_batch_size(batch_size)
}

#[tokio::test]
async fn every_batch_size_stores_everything_exactly_once() {
    for batch_size in [1, 3, 100] {
        let Setup { history, store, bridge, folder: _folder } = setup(5);
        let first = bridge.backfill_historical_data(batches_of(batch_size)).await.unwrap();
        assert!(first.success, "{:?}", first.errors);
        assert_eq!(first.total_files_processed, transcripts(&history).count() as u64);
        assert_eq!(
            (first.total_tokens_stored, first.total_responses),
            (history.truth.total(), history.truth.responses)
        );
        assert_eq!(first.new_responses, history.truth.responses);
        let totals = store.totals(&ResponseFilter::default()).await.unwrap();
        assert_eq!(
            (totals.counts.total(), totals.responses),
            (history.truth.total(), history.truth.responses)
        );
        assert_eq!(totals.counts.output, history.truth.counters.output);

        let again = bridge.backfill_historical_data(batches_of(batch_size)).await.unwrap();
        assert_eq!((again.records_stored, again.new_responses), (0, 0));
        assert_eq!(again.total_tokens_stored, history.truth.total());
        assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap(), totals);
    }
}

#[tokio::test]
async fn date_ranges_partition_the_history() {
    let Setup { history, store, bridge, folder: _folder } = setup(6);
    let cut = Timestamp::from_millis(HistoryPlan::default().first_millis + 40 * 3_600_000).unwrap();
    let early = BackfillOptions::default().with_end_date(cut);
    let late = BackfillOptions::default().with_start_date(cut);
    let early = bridge.backfill_historical_data(early).await.unwrap();
    let stored = store.totals(&ResponseFilter::default()).await.unwrap();
    assert_eq!((stored.counts.total(), stored.responses), (early.total_tokens_stored, early.total_responses));
    assert!(stored.responses > 0 && stored.responses < history.truth.responses);
    let late = bridge.backfill_historical_data(late).await.unwrap();
    assert_eq!(early.total_tokens_stored + late.total_tokens_stored, history.truth.total());
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.total(), history.truth.total());
}

#[tokio::test]
async fn progress_is_monotonic_and_ends_complete() {
    let Setup { history, bridge, folder: _folder, .. } = setup(7);
    let seen: Arc<Mutex<Vec<BackfillProgress>>> = Arc::default();
    let observed = Arc::clone(&seen);
    let options = batches_of(2).with_progress(move |progress| observed.lock().unwrap().push(*progress));
    let _ = bridge.backfill_historical_data(options).await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].bytes <= pair[1].bytes && pair[0].rows <= pair[1].rows));
    let last = seen.last().unwrap();
    assert_eq!(last.phase, BackfillPhase::Done);
    let files = transcripts(&history).count() as u64;
    let bytes: u64 = transcripts(&history).map(|file| file.content.len() as u64).sum();
    assert_eq!((last.files, last.files_total, last.bytes, last.bytes_total), (files, files, bytes, bytes));
}

/// Polls the future up to this often, then drops it. Returns whether it completed.
async fn poll_and_drop(future: impl Future, polls: usize) -> bool {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let ready =
            std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if ready {
            return true;
        }
        tokio::task::yield_now().await;
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    false
}

#[tokio::test]
async fn a_backfill_cancelled_anywhere_is_completed_by_the_next() {
    let mut dropped = 0;
    for polls in 0..40 {
        let Setup { history, store, bridge, folder: _folder } = setup(8);
        let finished = poll_and_drop(bridge.backfill_historical_data(batches_of(1)), polls).await;
        dropped += u32::from(!finished);
        assert!(
            store.totals(&ResponseFilter::default()).await.unwrap().counts.total() <= history.truth.total()
        );
        let result = bridge.backfill_historical_data(batches_of(1)).await.unwrap();
        assert_eq!(result.total_tokens_stored, history.truth.total());
        assert_eq!(
            store.totals(&ResponseFilter::default()).await.unwrap().counts.total(),
            history.truth.total()
        );
    }
    assert!(dropped > 5, "{dropped}");
}

#[tokio::test]
async fn an_unreadable_file_is_reported_and_the_others_are_stored() {
    let Setup { history, folder, store, bridge } = setup(9);
    let broken = folder.path().join("projects/broken.jsonl");
    std::os::unix::fs::symlink(&broken, &broken).unwrap();
    let result = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert!(!result.success);
    assert_eq!(result.skipped_files, std::slice::from_ref(&broken));
    assert!(result.errors[0].contains(&*broken.to_string_lossy()), "{:?}", result.errors);
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.total(), history.truth.total());
}

#[tokio::test]
async fn a_failing_store_stops_the_backfill_with_its_cause() {
    let Setup { folder, .. } = setup(10);
    let mut store = MockTokenStore::new();
    store.expect_upsert().times(1).returning(|rows, _| Ok(rows.iter().map(|_| UpsertOutcome::New).collect()));
    store.expect_upsert().returning(|_, _| {
        Err(BridgeError::Backfill { message: "the reason".to_owned(), context: Box::default(), source: None })
    });
    store.expect_state().returning(|| Ok(StoreState::first()));
    store.expect_sources().returning(|_| Ok(Vec::new()));
    store.expect_put_sources().returning(|_| Ok(()));
    store.expect_put_audit().returning(|_| Ok(()));
    let store: Arc<dyn TokenStore> = Arc::new(store);
    let error = bridge(store, &[folder.path()]).backfill_historical_data(batches_of(1)).await.unwrap_err();
    assert!(error.to_string().starts_with("backfill: stopped after "), "{error}");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("the reason"));
}

/// The validator refuses such times and ids from an embedder, but those of a transcript are counted.
#[tokio::test]
async fn implausible_times_and_blank_sessions_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str, session: &str, time: &str, tokens: u64| {
        format!(
            r#"{{"type":"assistant","sessionId":"{session}","timestamp":"{time}","message":{{"id":"msg_{id}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{tokens}}}}}}}"#
        ) + "\n"
    };
    let text = line("1", "s", "1970-01-01T00:00:00Z", 5)
        + &line("2", " ", "1970-01-01T12:00:00Z", 7)
        + &line("3", "s", "2299-12-31T00:00:00Z", 9);
    std::fs::write(folder.path().join("s.jsonl"), text).unwrap();
    let store = Arc::new(InMemoryStore::default());
    let result = bridge(store.clone(), &[folder.path()])
        .backfill_historical_data(BackfillOptions::default())
        .await
        .unwrap();
    assert_eq!((result.success, result.total_tokens_stored), (true, 21), "{:?}", result.errors);
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.output, 21);
}
