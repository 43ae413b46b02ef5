//! Import into a store with existing rows.

use bridge::storage::{ResponseFilter, TokenStore, UpsertOptions};
use bridge::{
    ResponseUsage, SummaryQuery,
    backup::{BackupPlace, ExportOptions},
};

use crate::backup::{bridge, fill, history, stored};

/// Some rows with changed counters: greater, lesser and forced ones.
fn changed(rows: &[ResponseUsage], place: usize) -> (Vec<ResponseUsage>, Vec<ResponseUsage>) {
    let mut rows: Vec<_> = rows.iter().skip(place).step_by(3).cloned().collect();
    for (number, row) in rows.iter_mut().enumerate() {
        row.forced = 0;
        row.counts.output = if number % 2 == 0 { row.counts.output + 1 } else { row.counts.output / 2 };
    }
    let forced = rows.split_off(rows.len() * 2 / 3);
    (rows, forced)
}

async fn put(store: &dyn TokenStore, (rows, forced): &(Vec<ResponseUsage>, Vec<ResponseUsage>)) {
    store.upsert(rows, &UpsertOptions::default()).await.unwrap();
    store.upsert(forced, &UpsertOptions::default().forced()).await.unwrap();
}

#[tokio::test]
async fn an_import_keeps_the_greater_version_of_each_row() {
    let (_, folder) = history(31);
    let (ours, _) = bridge("from", &folder.path().join("projects")).await;
    let (theirs, _) = bridge("to", &folder.path().join("projects")).await;
    let (empty, _) = bridge("empty", &folder.path().join("projects")).await;
    fill(&ours).await;
    fill(&theirs).await;
    let rows = ours.token_store().responses(&ResponseFilter::default()).await.unwrap();
    put(&**ours.token_store(), &changed(&rows, 0)).await;
    put(&**theirs.token_store(), &changed(&rows, 1)).await;

    // The expected merge: the row with the greater version for each key of both stores.
    let mut expected = std::collections::BTreeMap::new();
    for row in stored(&ours).await.into_iter().chain(stored(&theirs).await) {
        let known = expected.entry(row.key).or_insert_with(|| row.clone());
        if known.version < row.version {
            *known = row;
        }
    }
    let expected: Vec<_> = expected.into_values().collect();
    assert_ne!(stored(&theirs).await, expected);
    let backup = folder.path().join("backup");
    let _ = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap();
    // Cached summaries must not survive the import.
    let before = theirs.get_stored_token_summaries(SummaryQuery::last_days(100_000)).await.unwrap();
    for _ in 0..2 {
        let import = theirs.import_store(BackupPlace::Folder(backup.clone())).await.unwrap();
        assert_eq!(stored(&theirs).await, expected);
        let counted =
            expected.iter().filter_map(|row| row.usage.as_ref()).filter(|row| row.origin.is_counted());
        assert_eq!(import.after.responses, counted.count() as u64);
    }
    assert_ne!(before, theirs.get_stored_token_summaries(SummaryQuery::last_days(100_000)).await.unwrap());
    // Importing both backups into an empty store, in the other order, yields the same rows.
    let lines = folder.path().join("lines");
    let options = ExportOptions::to_folder(&lines).with_format(bridge::storage::BackupFormat::JsonLines);
    let _ = theirs.export_store(options).await.unwrap();
    for backup in [lines, backup] {
        let _ = empty.import_store(BackupPlace::Folder(backup)).await.unwrap();
    }
    assert_eq!(stored(&empty).await, expected);
}
