//! Migrations.

use bridge_core::{BridgeError, StorageKind};
use bridge_storage::{ClickHouseStore, ResponseFilter, TokenStore, UpsertOptions};
use bridge_testkit::engine::TestDatabase;

use crate::{client, fresh, options, response};

#[tokio::test]
async fn concurrent_migrations_agree() {
    let url = TestDatabase::of_this_test().writer_url();
    let store = || ClickHouseStore::new(options(&url)).unwrap();
    let (a, b, c) = (store(), store(), store());
    let (a, b, c) = tokio::join!(a.migrate(), b.migrate(), c.migrate());
    a.and(b).and(c).unwrap();
    store().upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
}

async fn refusal(change: &str) -> BridgeError {
    let database = TestDatabase::of_this_test();
    let store = fresh().await;
    client(&database).query_raw(change).execute().await.unwrap();
    store.migrate().await.unwrap_err()
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let error = refusal("INSERT INTO bridge_migrations (number, checksum) VALUES (999, 1)").await;
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Schema, .. }), "{error}");
    assert!(error.to_string().contains("migration 999 is from a newer version"), "{error}");
}

#[tokio::test]
async fn a_changed_schema_is_refused() {
    let error = refusal("INSERT INTO bridge_migrations (number, checksum) VALUES (1, 1)").await;
    assert!(error.to_string().contains("migration 1 was applied in another form"), "{error}");
}

#[tokio::test]
async fn the_reader_can_read_but_not_write() {
    let database = TestDatabase::of_this_test();
    let store = fresh().await;
    store.upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    let reader = ClickHouseStore::new(options(&database.reader_url())).unwrap();
    assert_eq!(reader.totals(&ResponseFilter::default()).await.unwrap().counts.output, 2);
    let error = reader.upsert(&[response(1, 3)], &UpsertOptions::default()).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }), "{error}");
    // Without pending migrations `migrate` succeeds; with one it is denied.
    reader.migrate().await.unwrap();
    client(&database).query_raw("DROP TABLE bridge_migrations").execute().await.unwrap();
    let error = reader.migrate().await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }), "{error}");
}

#[tokio::test]
async fn missing_tables_are_a_schema_error() {
    let store = ClickHouseStore::new(options(&TestDatabase::of_this_test().writer_url())).unwrap();
    let error = store.totals(&ResponseFilter::default()).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Schema, .. }), "{error}");
}
