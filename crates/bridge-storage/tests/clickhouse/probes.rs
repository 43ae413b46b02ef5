//! Health probes detect problems and leave no traces.

use std::time::Duration;

use bridge_core::BridgeError;
use bridge_storage::{ClickHouseStore, HealthProbes};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::{client, fresh, options};

fn kind<T: std::fmt::Debug>(result: Result<T, BridgeError>) -> &'static str {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn write_probes_leave_no_parts_and_detect_missing_permission() {
    let writer = fresh().await;
    for _ in 0..3 {
        writer.probe_write().await.unwrap();
    }
    let database = TestDatabase::of_this_test();
    let query =
        "SELECT count() FROM system.parts WHERE database = ? AND table IN ('token_usage', 'source_files')";
    let parts: u64 = client(&database).query(query).bind(&database.name).fetch_one().await.unwrap();
    assert_eq!(parts, 0);
    let reader = ClickHouseStore::new(options(&database.reader_url())).unwrap();
    reader.probe_connection().await.unwrap();
    assert_eq!(kind(reader.probe_write().await), "permission_denied");
}

#[tokio::test]
async fn a_write_probe_needs_the_tables() {
    let store = ClickHouseStore::new(options(&TestDatabase::of_this_test().writer_url())).unwrap();
    assert_eq!(kind(store.probe_write().await), "schema");
}

#[tokio::test]
async fn a_probe_makes_one_attempt_outside_the_pool() {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let options = options(&database.writer_url_by(proxy.host())).with_pool_size(1);
    let store = ClickHouseStore::new(options.with_connect_timeout(Duration::from_secs(1))).unwrap();
    let held = store.pool().acquire_connection().await.unwrap();
    assert_eq!(store.stats().pool.map(|pool| (pool.in_use, pool.size)), Some((1, 1)));
    store.probe_connection().await.unwrap();
    proxy.set(Fault::Closed);
    let cuts = proxy.cuts();
    assert_eq!(kind(store.probe_connection().await), "unreachable");
    assert!(proxy.cuts() <= cuts + 3, "more cuts than one attempt and the open connections explain");
    proxy.set(Fault::Silent);
    assert_eq!(kind(store.probe_connection().await), "timed_out");
    drop(held);
}
