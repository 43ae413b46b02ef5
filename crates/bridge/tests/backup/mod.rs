//! Backups on a real engine: from one database into another, into folders that are damaged or full, and by the server.
//!
//! One embedded engine for the binary, databases named after the tests. The engine is fetched on first use; without
//! it these tests fail.

mod damaged;
mod folder;
mod joined;
mod killed;
mod moment;
mod server;

use std::path::Path;
use std::sync::Arc;

use bridge::storage::{
    ClickHouseOptions, ClickHouseStore, ResponseFilter, StoredResponse, StoredScope, TokenStore,
    UpsertOptions,
};
use bridge::{BackfillOptions, Clock, EnhancedTokenDatabaseBridge, ManualClock, SystemClock, Timestamp};
use bridge_testkit::engine::{TestDatabase, engine};

use crate::history;

/// A bridge to a migrated store in a database of this test, with the transcripts below a folder.
async fn bridge(role: &str, sources: &Path) -> (EnhancedTokenDatabaseBridge, TestDatabase) {
    let test = TestDatabase::of_this_test().name;
    let database = TestDatabase::named(&format!("{}_{role}", test.trim_start_matches("test_")));
    let store: Arc<dyn TokenStore> =
        Arc::new(ClickHouseStore::new(ClickHouseOptions::from_url(&database.writer_url()).unwrap()).unwrap());
    store.migrate().await.unwrap();
    (over(store, sources), database)
}

fn over(store: Arc<dyn TokenStore>, sources: &Path) -> EnhancedTokenDatabaseBridge {
    // Files that were written a moment ago are looked at twice.
    let later = SystemClock.now().as_millis() + 3_600_000;
    let clock = ManualClock::new(Timestamp::from_millis(later).unwrap());
    crate::builder(store, &[sources]).clock(Arc::new(clock)).build()
}

/// Stores the history, and corrects some of it by force: of one session every output is halved.
async fn fill(bridge: &EnhancedTokenDatabaseBridge) {
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let store = bridge.token_store();
    let rows = store.responses(&ResponseFilter::default()).await.unwrap();
    let session = rows.iter().find(|row| row.counts.output > 1).unwrap().session.clone();
    let mut corrected: Vec<_> = rows.into_iter().filter(|row| row.session == session).collect();
    for row in &mut corrected {
        row.counts.output /= 2;
    }
    store.upsert(&corrected, &UpsertOptions::default().forced()).await.unwrap();
    let rows = stored(bridge).await;
    assert!(rows.iter().any(|row| row.version.forced() > 0));
}

/// All rows as they are stored.
async fn stored(bridge: &EnhancedTokenDatabaseBridge) -> Vec<StoredResponse> {
    bridge.token_store().integrity().unwrap().stored(&StoredScope::all()).await.unwrap()
}

/// Rows and a hash over every column of a table, each row once.
async fn hash(database: &TestDatabase, table: &str) -> (u64, u64) {
    let writer = &engine().endpoint().writer;
    let client = clickhouse::Client::default().with_url(format!("http://{}", database.host()));
    let client = client.with_user(&writer.user).with_password(&writer.password).with_database(&database.name);
    // As text: a map's hash would depend on how it is kept.
    let query = format!("SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM {table} FINAL");
    client.query(&query).fetch_one().await.unwrap()
}
