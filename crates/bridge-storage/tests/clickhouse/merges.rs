//! Background merges are invisible to readers.

use bridge_core::ResponseUsage;
use bridge_core::strategy::response_usage;
use bridge_storage::{DashboardFilter, Dimension, InMemoryStore, ResponseFilter, TokenStore, UpsertOptions};
use bridge_testkit::engine::TestDatabase;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::{client, fresh, response};

/// Inserts rows without a look-up, as a naive writer would: duplicates and lesser versions in separate parts.
async fn write_blindly(database: &TestDatabase, times: u32) {
    for _ in 0..times {
        let copy = "INSERT INTO token_usage SELECT * EXCEPT (stored_at) REPLACE (output_tokens - 1 AS output_tokens, \
                    version - 1 AS version), now64(3) FROM token_usage FINAL WHERE output_tokens > 0";
        client(database).query_raw(copy).execute().await.unwrap();
        let copy = "INSERT INTO token_usage SELECT * FROM token_usage FINAL";
        client(database).query_raw(copy).execute().await.unwrap();
    }
}

#[tokio::test]
async fn duplicates_and_merges_do_not_affect_reads() {
    let database = TestDatabase::of_this_test();
    let store = fresh().await;
    let model = InMemoryStore::default();
    let mut runner = TestRunner::deterministic();
    let rows: Vec<ResponseUsage> =
        (0..50).map(|_| response_usage().new_tree(&mut runner).unwrap().current()).collect();
    for part in rows.chunks(7) {
        store.upsert(part, &UpsertOptions::default()).await.unwrap();
        model.upsert(part, &UpsertOptions::default()).await.unwrap();
    }
    let all = ResponseFilter::default();
    let expected = model.responses(&all).await.unwrap();
    for optimize in [false, true, false] {
        write_blindly(&database, 3).await;
        if optimize {
            client(&database).query_raw("OPTIMIZE TABLE token_usage FINAL").execute().await.unwrap();
        }
        assert_eq!(store.responses(&all).await.unwrap(), expected);
        assert_eq!(store.totals(&all).await.unwrap(), model.totals(&all).await.unwrap());
        let dashboard = DashboardFilter::default();
        assert_eq!(store.dashboard(&dashboard).await.unwrap(), model.dashboard(&dashboard).await.unwrap());
        let days = store.breakdown(Dimension::Day, &all, None).await.unwrap();
        assert_eq!(days, model.breakdown(Dimension::Day, &all, None).await.unwrap());
    }
}

#[tokio::test]
async fn unchanged_rows_are_not_rewritten() {
    let database = TestDatabase::of_this_test();
    let store = fresh().await;
    let rows = [response(1, 5), response(2, 6)];
    for _ in 0..3 {
        store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    }
    let written: u64 = client(&database).query("SELECT count() FROM token_usage").fetch_one().await.unwrap();
    // Two rows and the marker of their session.
    assert_eq!(written, 3);
}
