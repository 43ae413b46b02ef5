//! Session sums in a database of an older version, and forged rows.

use bridge_core::{BridgeError, Origin, ResponseKey, ResponseUsage, RuleRevision, SessionId, StorageKind};
use bridge_storage::{
    ClickHouseStore, IntegrityStore, ResponseFilter, StoredScope, TokenStore, UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;

use crate::{client, fresh, options, response};

/// A row as revision 1 stored an analysis without responses.
pub(crate) fn old_sums(id: &str, session: &str, millis: i64, output: u64) -> ResponseUsage {
    let mut row = response(0, output);
    row.key = ResponseKey::of_analysis_1(id);
    row.session = SessionId::new(session).unwrap();
    row.time = bridge_core::Timestamp::from_millis(row.time.as_millis() + millis).unwrap();
    (row.origin, row.rule_revision) = (Origin::Summed, RuleRevision::FIRST);
    row
}

pub(crate) fn of_session(session: &str, row: ResponseUsage) -> ResponseUsage {
    ResponseUsage { session: SessionId::new(session).unwrap(), rule_revision: RuleRevision::FIRST, ..row }
}

pub(crate) async fn sums_by_session(store: &ClickHouseStore) -> Vec<(String, u64)> {
    let rows = store.breakdown(bridge_storage::Dimension::Session, &ResponseFilter::default(), None).await;
    let mut rows: Vec<_> =
        rows.unwrap().into_iter().map(|row| (row.name, row.totals.counts.output)).collect();
    rows.sort();
    rows
}

/// Downgrades the store to the previous version: no markers, and the migration not yet recorded.
pub(crate) async fn as_an_older_version_left_it(store: &ClickHouseStore, database: &TestDatabase) {
    let rows = store.stored(&StoredScope::all()).await.unwrap();
    let is_marker = |row: &ResponseUsage| row.origin == Origin::Covered;
    let markers = rows.iter().filter(|row| row.usage.as_ref().is_some_and(is_marker));
    let markers: Vec<_> = markers.map(|row| (row.key, row.version)).collect();
    store.remove(&markers).await.unwrap();
    let statement = "DELETE FROM bridge_migrations WHERE number >= 5";
    client(database)
        .query_raw(statement)
        .with_setting("lightweight_deletes_sync", "2")
        .execute()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_migration_merges_session_sums_and_covers_redundant_ones() {
    let (database, store) = (TestDatabase::of_this_test(), fresh().await);
    let rows = [
        old_sums("a", "s", 1, 150),
        old_sums("b", "s", 2, 160),
        old_sums("c", "t", 1, 10),
        of_session("t", response(1, 10)),
        old_sums("forged", "u", 1, 7),
        of_session("v", response(2, 3)),
    ];
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    as_an_older_version_left_it(&store, &database).await;
    let forge = "ALTER TABLE token_usage UPDATE output_tokens = 8 WHERE session_id = 'u'";
    client(&database).query_raw(forge).with_setting("mutations_sync", "2").execute().await.unwrap();
    let sums = |s, t| [("s", s), ("t", t), ("u", 8), ("v", 3)].map(|(name, sum)| (name.to_owned(), sum));
    assert_eq!(sums_by_session(&store).await, sums(310, 20));

    for _ in 0..2 {
        let store = ClickHouseStore::new(options(&database.writer_url())).unwrap();
        store.migrate().await.unwrap();
        assert_eq!(sums_by_session(&store).await, sums(160, 10));
    }
    // The migration has not signed the forged row.
    let stored = store.stored(&StoredScope::all()).await.unwrap();
    let forged: Vec<_> = stored.iter().filter(|row| !row.is_intact()).map(|row| row.key).collect();
    assert_eq!(forged, [ResponseKey::of_analysis_1("forged")]);
    // Responses stored before the migration cover sums as well.
    let mut late = old_sums("late", "v", 9, 100);
    (late.key, late.rule_revision) = (ResponseKey::of_session_sums(&late.session), RuleRevision::CURRENT);
    let outcomes = store.upsert(&[late], &UpsertOptions::default().forced()).await.unwrap();
    assert_eq!(outcomes, [bridge_storage::UpsertOutcome::Covered]);
}

/// Markers outlive the expired responses they stand for, and share their parts.
#[tokio::test]
async fn sums_of_expired_responses_stay_covered() {
    let database = TestDatabase::of_this_test();
    let store = ClickHouseStore::new(options(&database.writer_url())).unwrap();
    store.migrate().await.unwrap();
    let old = ResponseUsage {
        time: bridge_core::Timestamp::from_millis(1_000_000_000_000).unwrap(),
        ..response(1, 5)
    };
    store.upsert(&[old], &UpsertOptions::default()).await.unwrap();
    let client = client(&database);
    let age = "ALTER TABLE token_usage MODIFY TTL time + toIntervalSecond(86400)";
    client.query_raw(age).with_setting("mutations_sync", "2").execute().await.unwrap();
    client.query_raw("OPTIMIZE TABLE token_usage FINAL").execute().await.unwrap();
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().responses, 0);
    let mut sums = response(0, 100);
    (sums.key, sums.origin) = (ResponseKey::of_session_sums(&sums.session), Origin::Summed);
    let outcomes = store.upsert(&[sums], &UpsertOptions::default()).await.unwrap();
    assert_eq!(outcomes, [bridge_storage::UpsertOutcome::Covered]);
}

#[tokio::test]
async fn forged_rows_are_not_returned() {
    let (database, store) = (TestDatabase::of_this_test(), fresh().await);
    store.upsert(&[response(1, 5), response(2, 6)], &UpsertOptions::default()).await.unwrap();
    let forge = "ALTER TABLE token_usage UPDATE output_tokens = 500 WHERE output_tokens = 5";
    client(&database).query_raw(forge).with_setting("mutations_sync", "2").execute().await.unwrap();
    let error = store.responses(&ResponseFilter::default()).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Corrupt, .. }), "{error}");
    assert!(error.to_string().contains("does not verify"), "{error}");
}
