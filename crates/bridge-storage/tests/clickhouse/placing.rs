//! Placement and retention of the tables: prefix, expiry, topology.

use std::time::Duration;

use bridge_core::{
    AuditFilter, AuditId, AuditRecord, BridgeError, Clock, CorrelationId, OperationName, ResponseUsage,
    StorageKind, SystemClock, Timestamp,
};
use bridge_storage::{
    AuditStore, CheckpointStore, ClickHouseOptions, ClickHouseStore, IntegrityStore, ResponseFilter,
    Retention, SummaryFilter, TokenStore, UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;

use crate::rollback::{NOW, name};
use crate::{client, options, response};

async fn migrated(change: impl Fn(ClickHouseOptions) -> ClickHouseOptions) -> ClickHouseStore {
    let store = ClickHouseStore::new(change(options(&TestDatabase::of_this_test().writer_url()))).unwrap();
    store.migrate().await.unwrap();
    store
}

async fn names() -> Vec<String> {
    let client = client(&TestDatabase::of_this_test());
    let query = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name";
    client.query(query).fetch_all::<String>().await.unwrap()
}

async fn responses(store: &ClickHouseStore) -> u64 {
    store.totals(&ResponseFilter::default()).await.unwrap().responses
}

#[tokio::test]
async fn a_prefix_applies_to_every_table_and_isolates_the_store() {
    let plain = migrated(|options| options).await;
    let known = names().await;
    let store = migrated(|options| options.with_table_prefix("etb_").unwrap()).await;
    let prefixed: Vec<_> = names().await.into_iter().filter(|name| !known.contains(name)).collect();
    assert_eq!(prefixed, known.iter().map(|name| format!("etb_{name}")).collect::<Vec<_>>());

    store.upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    assert_eq!((responses(&store).await, responses(&plain).await), (1, 0));
    assert_eq!(store.summaries(&SummaryFilter::default()).await.unwrap().len(), 1);
    assert_eq!(plain.summaries(&SummaryFilter::default()).await.unwrap().len(), 0);
    // A forced upsert of a known row: the look-up uses the prefix as well.
    store.upsert(&[response(1, 2)], &UpsertOptions::default().forced()).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(responses(&store).await, 1);
}

#[tokio::test]
async fn rows_expire_by_retention_and_stay_once_it_is_removed() {
    let database = TestDatabase::of_this_test();
    let engine_of = async || {
        let query = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?";
        client(&database).query(query).bind("token_usage").fetch_one::<String>().await.unwrap()
    };
    let merge = async || {
        client(&database).query_raw("OPTIMIZE TABLE token_usage FINAL").execute().await.unwrap();
    };
    let store = migrated(|options| options).await;
    store.upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();

    // The row is from June 2025.
    migrated(|options| options.with_retention(Retention::For(Duration::from_hours(24 * 36_500)))).await;
    assert!(engine_of().await.contains("TTL time + toIntervalSecond(3153600000)"));
    merge().await;
    assert_eq!(responses(&store).await, 1);

    migrated(|options| options.with_retention(Retention::For(Duration::from_hours(24)))).await;
    merge().await;
    assert_eq!(responses(&store).await, 0);

    // Without the option the retention stays unchanged.
    migrated(|options| options).await;
    assert!(engine_of().await.contains("TTL"));
    migrated(|options| options.with_retention(Retention::Forever)).await;
    assert!(!engine_of().await.contains("TTL"));
    store.upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    merge().await;
    assert_eq!(responses(&store).await, 1);
}

/// The TTL adds the age to the time; a sum beyond the type's range must not wrap into the past.
#[tokio::test]
async fn responses_with_late_times_do_not_expire_early() {
    let database = TestDatabase::of_this_test();
    let times = [0, 4_294_967_295_000, 7_416_230_400_000, Timestamp::MAX.as_millis()];
    let row =
        |(key, millis)| ResponseUsage { time: Timestamp::from_millis(millis).unwrap(), ..response(key, 1) };
    let rows: Vec<_> = (1_u128..).zip(times).map(row).collect();
    let store = migrated(|options| options).await;
    let day = Duration::from_hours(24);
    for (age, kept) in [(Duration::MAX, 4), (day * 36_500, 4), (day, 3)] {
        store.upsert(&rows, &UpsertOptions::default().forced()).await.unwrap();
        migrated(|options| options.with_retention(Retention::For(age))).await;
        client(&database).query_raw("OPTIMIZE TABLE token_usage FINAL").execute().await.unwrap();
        assert_eq!(responses(&store).await, kept, "{age:?}");
        assert!(store.retention_cutoff(SystemClock.now()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn audit_retention_expires_audit_records_only() {
    let database = TestDatabase::of_this_test();
    let day = Retention::For(Duration::from_hours(24));
    let store = migrated(|options| options.with_audit_retention(day)).await;
    let now = SystemClock.now().as_millis();
    let of = |days_ago: i64| {
        let time = Timestamp::from_millis(now - days_ago * 86_400_000).unwrap();
        let operation = OperationName::new("backfill_historical_data").unwrap();
        AuditRecord::new(AuditId::new(time, 0, 1), time, CorrelationId(1), operation)
    };
    store.put_audit(&[of(0), of(2)]).await.unwrap();
    store.upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    for table in ["bridge_audit", "token_usage"] {
        client(&database).query_raw(&format!("OPTIMIZE TABLE {table} FINAL")).execute().await.unwrap();
    }
    let left = store.audit_records(&AuditFilter::default()).await.unwrap();
    assert_eq!(left, [of(0)]);
    assert_eq!(responses(&store).await, 1);
}

#[tokio::test]
async fn an_unchanged_retention_is_not_reapplied() {
    let retention = Retention::For(Duration::from_hours(24 * 36_500));
    migrated(|options| options.with_retention(retention)).await;
    let changed = async || {
        let query = "SELECT toUnixTimestamp64Micro(toDateTime64(metadata_modification_time, 6)) \
                     FROM system.tables WHERE database = currentDatabase() AND name = 'token_usage'";
        client(&TestDatabase::of_this_test()).query(query).fetch_one::<i64>().await.unwrap()
    };
    let before = changed().await;
    // ClickHouse stores the modification time in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    migrated(|options| options.with_retention(retention)).await;
    assert_eq!(changed().await, before);
}

#[tokio::test]
async fn single_server_tables_are_refused_for_a_cluster() {
    migrated(|options| options).await;
    let options = options(&TestDatabase::of_this_test().writer_url()).with_cluster("main").unwrap();
    let error = ClickHouseStore::new(options).unwrap().migrate().await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Schema, .. }), "{error}");
    assert!(error.to_string().contains("made without a cluster"), "{error}");
}

#[tokio::test]
async fn acquiring_a_connection_times_out() {
    let timeout = Duration::from_millis(50);
    let store = migrated(|options| options.with_pool_size(1).with_acquire_timeout(timeout)).await;
    let held = store.pool().acquire_connection().await.unwrap();
    let error = store.pool().acquire_connection().await.unwrap_err();
    assert!(error.to_string().contains("no connection became free in time"), "{error}");
    drop(held);
    drop(store.pool().acquire_connection().await.unwrap());
}

#[tokio::test]
async fn checkpointed_rows_do_not_expire() {
    let database = TestDatabase::of_this_test();
    let engines = async || {
        let query = "SELECT name, engine_full LIKE '% TTL %' FROM system.tables \
                     WHERE database = currentDatabase() AND name LIKE 'token_usage%' ORDER BY name";
        client(&database).query(query).fetch_all::<(String, bool)>().await.unwrap()
    };
    let merge_all = async || {
        for (table, _) in engines().await {
            client(&database).query_raw(&format!("OPTIMIZE TABLE {table} FINAL")).execute().await.unwrap();
        }
    };
    let of = |tables: [(&str, bool); 3]| tables.map(|(name, expires)| (name.to_owned(), expires));
    let (before, during) = (name("before"), name("during"));
    let store = migrated(|options| options).await;
    // The row is from June 2025.
    store.upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    store.create_checkpoint(&before, NOW).await.unwrap();
    let century = Retention::For(Duration::from_hours(24 * 36_500));
    let store = migrated(|options| options.with_retention(century)).await;
    store.create_checkpoint(&during, NOW).await.unwrap();
    let tables = [
        ("token_usage", true),
        ("token_usage_checkpoint_before", false),
        ("token_usage_checkpoint_during", false),
    ];
    assert_eq!(engines().await, of(tables));

    let day = Retention::For(Duration::from_hours(24));
    let store = migrated(|options| options.with_retention(day)).await;
    merge_all().await;
    assert_eq!(responses(&store).await, 0);
    assert_eq!(
        store.list_checkpoints().await.unwrap().iter().map(|kept| kept.totals.responses).collect::<Vec<_>>(),
        [1, 1]
    );

    // A restored checkpoint takes on the retention of the live table.
    let replaced = store.roll_back(&during, NOW).await.unwrap();
    let tables = [
        ("token_usage", true),
        ("token_usage_checkpoint_before", false),
        ("token_usage_checkpoint_before_rollback_1", false),
    ];
    assert_eq!(engines().await[..3], of(tables));
    store.resume().await.unwrap();
    merge_all().await;
    assert_eq!(responses(&store).await, 0);

    let store = migrated(|options| options.with_retention(Retention::Forever)).await;
    store.roll_back(&before, NOW).await.unwrap();
    merge_all().await;
    assert_eq!(responses(&store).await, 1);
    assert!(engines().await.iter().all(|(_, expires)| !expires));
    store.drop_checkpoint(&replaced).await.unwrap();
}
