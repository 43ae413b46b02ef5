//! The store in ClickHouse, on a real engine.
//!
//! The binary starts one embedded engine; each test has its own database, named after it. The engine is fetched on
//! first use; without it these tests fail.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod circuit;
mod cluster;
mod correlation;
mod failures;
mod fault_at_each_request;
mod foreign_answers;
mod foreign_tables;
mod group_commit;
mod merges;
mod models;
mod own_client;
mod placing;
mod prices;
mod probes;
mod promises;
mod roles;
mod rollback;
mod rollback_killed;
mod rollback_upgraded;
mod schema;
mod sums;
mod views;
mod written_rows;

use bridge_core::{ResponseKey, ResponseUsage, SessionId, Timestamp, TokenCounts};
use bridge_storage::{ClickHouseOptions, ClickHouseStore, RetryPolicy, TokenStore};
use bridge_testkit::engine::TestDatabase;
use std::time::Duration;

/// An empty, migrated store for the running test.
async fn fresh() -> ClickHouseStore {
    migrated(options(&TestDatabase::of_this_test().writer_url())).await
}

/// A second store, in a separate database.
async fn other() -> ClickHouseStore {
    migrated(options(&second_database().writer_url())).await
}

/// An empty, migrated store for the running test, with a table prefix.
async fn fresh_with_prefix() -> ClickHouseStore {
    migrated(prefixed(&TestDatabase::of_this_test())).await
}

async fn other_with_prefix() -> ClickHouseStore {
    migrated(prefixed(&second_database())).await
}

async fn migrated(options: ClickHouseOptions) -> ClickHouseStore {
    let store = ClickHouseStore::new(options).unwrap();
    store.migrate().await.unwrap();
    store
}

fn second_database() -> TestDatabase {
    let test = TestDatabase::of_this_test().name;
    TestDatabase::named(&format!("{}_other", test.trim_start_matches("test_")))
}

fn prefixed(database: &TestDatabase) -> ClickHouseOptions {
    options(&database.writer_url()).with_table_prefix("etb_").unwrap()
}

fn options(url: &str) -> ClickHouseOptions {
    ClickHouseOptions::from_url(url).unwrap()
}

/// Options with short retry delays, so that failures surface quickly.
fn hasty(url: &str) -> ClickHouseOptions {
    let delay = Duration::from_millis(10);
    options(url).with_retry(RetryPolicy { min_delay: delay, max_delay: delay, ..RetryPolicy::default() })
}

/// A plain client, for operations that the store does not offer.
fn client(database: &TestDatabase) -> clickhouse::Client {
    let writer = &bridge_testkit::engine::engine().endpoint().writer;
    clickhouse::Client::default()
        .with_url(format!("http://{}", database.host()))
        .with_user(&writer.user)
        .with_password(&writer.password)
        .with_database(&database.name)
}

fn response(key: u128, output: u64) -> ResponseUsage {
    let time = Timestamp::from_millis(1_750_000_000_000).unwrap();
    let mut row = ResponseUsage::new(ResponseKey(key), SessionId::new("s").unwrap(), time);
    row.counts = TokenCounts { output, ..TokenCounts::ZERO };
    row.finished = true;
    row
}
