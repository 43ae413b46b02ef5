//! Logs, audit and metrics, on a real engine where it matters.

mod audit;
mod correlation;
mod killed;
mod metrics;
mod prices;
mod recorder;
mod requests;
mod spool;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{CircuitPolicy, ClickHouseOptions, ClickHouseStore, RetryPolicy, TokenStore};
use bridge::{AuditOptions, BridgeBuilder, CorrelationId, EnhancedTokenAnalysis, ManualClock, StoreOptions};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::fixtures::{self, now};
use bridge_testkit::proxy::FaultProxy;

/// A bridge with correlation ids 1, 2, 3 …, whose audit is written only on demand.
fn bridge(store: Arc<dyn TokenStore>, sources: &Path) -> BridgeBuilder {
    let ids = std::sync::atomic::AtomicU64::new(1);
    let next = move || CorrelationId(ids.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into());
    crate::builder(store, &[sources])
        .clock(Arc::new(ManualClock::new(now())))
        .audit(on_demand())
        .correlation_ids(next)
}

/// Options of an audit that is written only on demand.
fn on_demand() -> AuditOptions {
    AuditOptions::default().with_write_within(Duration::from_hours(1))
}

/// The running test's store behind a fault-injecting proxy, with short retry delays.
pub(crate) async fn behind_proxy(
    change: impl Fn(ClickHouseOptions) -> ClickHouseOptions,
) -> (FaultProxy, Arc<dyn TokenStore>) {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let delay = Duration::from_millis(1);
    let retry = RetryPolicy { min_delay: delay, max_delay: delay, ..RetryPolicy::default() };
    // Every call must be attempted, even after failures.
    let no_circuit = CircuitPolicy { failures: 0, ..CircuitPolicy::default() };
    let options = ClickHouseOptions::from_url(&database.writer_url_by(proxy.host()))
        .unwrap()
        .with_retry(retry)
        .with_circuit(no_circuit);
    // Without the changes, whose limits creating the tables may exceed on a busy machine.
    ClickHouseStore::new(options.clone()).unwrap().migrate().await.unwrap();
    let store = ClickHouseStore::new(change(options)).unwrap();
    store.migrate().await.unwrap();
    (proxy, Arc::new(store))
}

fn analysis(session: &str, key: u128, output: u64) -> EnhancedTokenAnalysis {
    fixtures::analysis(session, key, &[output])
}

fn forced() -> StoreOptions {
    StoreOptions::default().with_force_update()
}
