//! Backups on a real engine: between databases, damaged, on full disks, and by the server.
//!
//! The binary starts one embedded engine; databases are named after the tests. The engine is fetched on first use;
//! without it these tests fail.

mod damaged;
mod folder;
mod joined;
mod killed;
mod moment;
mod prices_and_projects;
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

/// A bridge with a migrated store in its own database of this test, and with the transcripts below a folder.
async fn bridge(role: &str, sources: &Path) -> (EnhancedTokenDatabaseBridge, TestDatabase) {
    let test = TestDatabase::of_this_test().name;
    let database = TestDatabase::named(&format!("{}_{role}", test.trim_start_matches("test_")));
    let store: Arc<dyn TokenStore> =
        Arc::new(ClickHouseStore::new(ClickHouseOptions::from_url(&database.writer_url()).unwrap()).unwrap());
    store.migrate().await.unwrap();
    (over(store, sources), database)
}

fn over(store: Arc<dyn TokenStore>, sources: &Path) -> EnhancedTokenDatabaseBridge {
    // Recently modified files would be read twice.
    let later = SystemClock.now().as_millis() + 3_600_000;
    let clock = ManualClock::new(Timestamp::from_millis(later).unwrap());
    crate::builder(store, &[sources]).clock(Arc::new(clock)).build()
}

/// Stores the history, and halves every output of one session by force.
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

/// All rows as stored.
async fn stored(bridge: &EnhancedTokenDatabaseBridge) -> Vec<StoredResponse> {
    bridge.token_store().integrity().unwrap().stored(&StoredScope::all()).await.unwrap()
}

/// The number of distinct rows of a table, and a hash over all their columns.
async fn hash(database: &TestDatabase, table: &str) -> (u64, u64) {
    let writer = &engine().endpoint().writer;
    let client = clickhouse::Client::default().with_url(format!("http://{}", database.host()));
    let client = client.with_user(&writer.user).with_password(&writer.password).with_database(&database.name);
    // As text, because a map's hash would depend on its storage format.
    let query = format!("SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM {table} FINAL");
    client.query(&query).fetch_one().await.unwrap()
}
