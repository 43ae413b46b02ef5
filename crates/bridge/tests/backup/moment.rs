//! A backup is a snapshot, even during writes.

use std::fs;

use bridge::storage::ResponseFilter;
use bridge::{
    BackfillOptions, SyncOptions,
    backup::{BackupPlace, ExportOptions},
};

use crate::backup::{bridge, history};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_during_writes_is_a_consistent_snapshot() {
    let (truth, folder) = history(41);
    let projects = folder.path().join("projects");
    let (ours, _) = bridge("from", &projects).await;
    let writer = ours.clone();
    let writing = tokio::spawn(async move {
        let options = BackfillOptions::default().with_batch_size(1);
        writer.backfill_historical_data(options).await.unwrap()
    });
    let mut exports = Vec::new();
    while exports.is_empty() || !writing.is_finished() {
        let backup = folder.path().join(format!("backup-{}", exports.len()));
        let export = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap();
        exports.push((backup, export));
    }
    assert!(writing.await.unwrap().success);
    let sizes: Vec<_> = exports.iter().map(|(_, export)| export.summary.totals.responses).collect();
    assert!(
        sizes.is_sorted() && sizes[0] < truth.truth.responses,
        "no export ran during the writes: {sizes:?}"
    );

    let middle = exports.len() / 2;
    for (number, (backup, export)) in exports.into_iter().enumerate() {
        if number != 0 && number != middle {
            continue;
        }
        let (theirs, _) = bridge(&format!("to_{number}"), &projects).await;
        let import = theirs.import_store(BackupPlace::Folder(backup.clone())).await.unwrap();
        assert!(import.equals_backup(), "the manifest and the rows differ: {import:?}, {export:?}");
        // A cursor ahead of its rows would keep them from ever being read again.
        let _ = theirs.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
        let totals = theirs.token_store().totals(&ResponseFilter::default()).await.unwrap();
        assert_eq!((totals.responses, totals.counts.total()), (truth.truth.responses, truth.truth.total()));
        fs::remove_dir_all(backup).unwrap();
    }
}
