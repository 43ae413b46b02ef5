//! A rollback during a backfill, and the ingestion after it.

use std::sync::Arc;

use bridge::storage::{CheckpointStore, ResponseFilter, SummaryFilter, TokenStore};
use bridge::{BackfillOptions, BridgeError, CheckpointName, RollbackMode};
use bridge_testkit::engine::TestDatabase;

use crate::engine::{bridge, history, store};

/// The rollback removes the stored batches and fences the rest of the backfill; the next backfill stores everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_stops_a_running_backfill_and_the_next_completes() {
    let database = TestDatabase::named("rollback_of_a_backfill");
    let (history, folder) = history(21);
    let admin = Arc::new(store(&database.writer_url()));
    admin.migrate().await.unwrap();
    let empty = CheckpointName::new("empty").unwrap();
    let other = bridge(Arc::new(store(&database.writer_url())), folder.path()).build();
    let admin_bridge = bridge(admin.clone(), folder.path()).build();
    admin_bridge.checkpoints().create(&empty).await.unwrap();

    // The other host's backfill pauses after its first batch until the rollback is done.
    let (reached, wait) = std::sync::mpsc::channel::<()>();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new((reached, Some(gone)));
    let progress = move |progress: &bridge::BackfillProgress| {
        if progress.rows > 0 {
            let mut gate = gate.lock().unwrap();
            if let Some(gone) = gate.1.take() {
                gate.0.send(()).unwrap();
                gone.recv().unwrap();
            }
        }
    };
    let options = BackfillOptions::default().with_batch_size(1).with_progress(progress);
    let backfill = tokio::spawn(async move { other.backfill_historical_data(options).await });
    tokio::task::block_in_place(|| wait.recv()).unwrap();
    let done = admin_bridge.rollback_bridge_integration(&empty, RollbackMode::Perform).await.unwrap();
    assert!(done.before.unwrap().responses > 0);
    admin_bridge.checkpoints().resume().await.unwrap();
    go.send(()).unwrap();
    let error = backfill.await.unwrap().unwrap_err();
    assert!(matches!(error, BridgeError::Backfill { .. }), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("rolled back"), "{cause}");
    assert_eq!(admin.totals(&ResponseFilter::default()).await.unwrap().responses, 0);
    assert!(admin.sources(&Default::default()).await.unwrap().is_empty());

    let result = admin_bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert_eq!(result.total_tokens_stored, history.truth.total());
    assert_eq!(result.new_responses, result.total_responses);

    // The result equals that of a store without any rollback.
    let fresh = TestDatabase::named("rollback_of_no_backfill");
    let untouched = Arc::new(store(&fresh.writer_url()));
    untouched.migrate().await.unwrap();
    let _ = bridge(untouched.clone(), folder.path())
        .build()
        .backfill_historical_data(BackfillOptions::default())
        .await
        .unwrap();
    let all = ResponseFilter::default();
    assert_eq!(admin.responses(&all).await.unwrap(), untouched.responses(&all).await.unwrap());
    let mut summaries = Vec::new();
    for store in [&admin, &untouched] {
        let mut read = store.summaries(&SummaryFilter::default().with_metadata(true)).await.unwrap();
        // Only the time of the last sync differs.
        read.iter_mut()
            .filter_map(|summary| summary.metadata.as_mut())
            .for_each(|metadata| metadata.last_sync = None);
        summaries.push(read);
    }
    assert_eq!(summaries[0], summaries[1]);
    assert_eq!(admin.state().await.unwrap().epoch.0, 1);
}
