//! Rows without a source: kept as history unless they are damaged.

use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, ResponseFilter, Retention, TokenStore};
use bridge::{BackfillOptions, IntegrityOptions, Repair, integrity::DifferenceKind};
use bridge_testkit::engine::TestDatabase;

use crate::engine::table::Table;

#[tokio::test]
async fn damage_without_a_source_is_removed_only_by_a_purge() {
    let database = TestDatabase::of_this_test();
    let (history, folder) = crate::engine::history(21);
    let store = Arc::new(crate::engine::store(&database.writer_url()));
    store.migrate().await.unwrap();
    let bridge = crate::engine::bridge(store.clone(), folder.path()).build();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let table = Table::of(&database);
    let [row, _] = table.subjects().await;
    for file in &history.files {
        if String::from_utf8_lossy(&file.content).contains(&row.session_id) {
            std::fs::remove_file(folder.path().join("projects").join(&file.relative_path)).unwrap();
        }
    }
    let verify = |repair| {
        let options = IntegrityOptions::default().with_tolerance(0.0).with_repair(repair);
        let bridge = bridge.clone();
        async move { bridge.verify_data_integrity(options).await.unwrap() }
    };
    let kept = verify(Repair::Purge).await;
    assert!(kept.passed && kept.only_stored().stored_tokens > 0, "{kept:?}");
    let totals = || async { store.totals(&ResponseFilter::default()).await.unwrap() };
    assert_eq!(totals().await.counts.total(), history.truth.total());

    table.update(&row, "project = 'another'").await;
    let found = verify(Repair::Force).await;
    let damaged = found.of_kind(DifferenceKind::Corrupted);
    assert!(!found.passed && damaged.responses == 1 && damaged.live_tokens == 0, "{found:?}");
    assert_eq!(found.repair.unwrap().remaining, 1);
    assert_eq!(totals().await.counts.total(), history.truth.total());
    assert_eq!(verify(Repair::Purge).await.repair.unwrap().removed, 1);
    assert!(verify(Repair::Off).await.passed);
    assert_eq!(totals().await.counts.total(), history.truth.total() - damaged.stored_tokens);
}

#[tokio::test]
async fn expired_responses_are_not_missing() {
    let database = TestDatabase::of_this_test();
    let (history, folder) = crate::engine::history(22);
    let day = Retention::For(Duration::from_hours(24));
    let options = ClickHouseOptions::from_url(&database.writer_url()).unwrap().with_retention(day);
    let store = Arc::new(ClickHouseStore::new(options).unwrap());
    store.migrate().await.unwrap();
    // The history is from the first months of 2026.
    let bridge = crate::engine::bridge(store.clone(), folder.path()).build();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let client = clickhouse::Client::default().with_url(format!("http://{}", database.host()));
    let writer = &bridge_testkit::engine::engine().endpoint().writer;
    let client = client.with_user(&writer.user).with_password(&writer.password);
    let merge = format!("OPTIMIZE TABLE {}.token_usage FINAL", database.name);
    client.query_raw(&merge).execute().await.unwrap();
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().responses, 0);

    let exact = IntegrityOptions::default().with_tolerance(0.0).with_repair(Repair::Restore);
    let result = bridge.verify_data_integrity(exact).await.unwrap();
    let expired = result.of_kind(DifferenceKind::Expired);
    assert_eq!((result.passed, expired.live_tokens), (true, history.truth.total()));
    assert_eq!(result.repair.unwrap().restored, 0);
}
