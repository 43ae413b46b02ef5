//! The circuit breaker in an outage: new calls fail fast, calls in flight survive, and it closes by itself.

use std::sync::Arc;
use std::time::Duration;

use bridge_core::{BridgeError, Stopwatch};
use bridge_storage::{
    CircuitPolicy, CircuitState, ClickHouseStore, HealthProbes, OpenCircuit, ResponseFilter, RetryPolicy,
    TokenStore, UpsertOptions, UpsertOutcome,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::{options, response};

const PAUSE: Duration = Duration::from_millis(300);

/// A store behind a fault-injecting proxy. Its circuit opens after three failures.
async fn behind_proxy(retry: RetryPolicy) -> (FaultProxy, ClickHouseStore) {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let circuit = CircuitPolicy { failures: 3, open_for: PAUSE, open_for_max: PAUSE };
    let options = options(&database.writer_url_by(proxy.host()));
    let store = ClickHouseStore::new(options.with_retry(retry).with_circuit(circuit)).unwrap();
    store.migrate().await.unwrap();
    (proxy, store)
}

async fn query_totals(store: &ClickHouseStore) -> Result<(), BridgeError> {
    store.totals(&ResponseFilter::default()).await.map(drop)
}

async fn kinds(store: &ClickHouseStore, calls: usize) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    for _ in 0..calls {
        kinds.push(query_totals(store).await.map_or_else(|error| error.kind(), |()| "ok"));
    }
    kinds
}

#[tokio::test]
async fn calls_fail_fast_until_the_database_recovers() {
    let (proxy, store) = behind_proxy(RetryPolicy::once()).await;
    proxy.set(Fault::Closed);
    assert_eq!(kinds(&store, 4).await, ["unreachable", "unreachable", "unreachable", "circuit_open"]);
    let cuts = proxy.cuts();
    let watch = Stopwatch::start();
    for _ in 0..100 {
        let error = query_totals(&store).await.unwrap_err();
        let source =
            std::error::Error::source(&error).and_then(|source| source.downcast_ref::<OpenCircuit>());
        let pause = source.expect("the error states when the next probe is due");
        assert!(pause.retry_in <= PAUSE * 5 / 4 && pause.cause.contains("cannot be reached"), "{pause}");
    }
    assert!(watch.elapsed() < Duration::from_millis(100), "{:?}", watch.elapsed());
    assert_eq!(proxy.cuts(), cuts, "an open circuit sends no requests");

    proxy.set(Fault::None);
    tokio::time::sleep(PAUSE * 5 / 4).await;
    assert_eq!(kinds(&store, 2).await, ["ok", "ok"]);
    assert_eq!(store.stats().circuit, Some(CircuitState::Closed { failures: 0 }));
}

#[tokio::test]
async fn one_call_probes_while_the_others_fail_fast() {
    let (proxy, store) = behind_proxy(RetryPolicy::once()).await;
    proxy.set(Fault::Closed);
    kinds(&store, 3).await;
    proxy.set(Fault::Silent);
    tokio::time::sleep(PAUSE * 5 / 4).await;
    let store = Arc::new(store);
    let probing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { query_totals(&store).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(matches!(store.stats().circuit, Some(CircuitState::Probing { .. })));
    let watch = Stopwatch::start();
    assert_eq!(kinds(&store, 3).await, ["circuit_open"; 3]);
    assert!(watch.elapsed() < Duration::from_millis(50), "{:?}", watch.elapsed());

    // The probing call is cancelled: the next call probes instead and succeeds.
    probing.abort();
    assert!(probing.await.unwrap_err().is_cancelled());
    proxy.set(Fault::None);
    assert_eq!(kinds(&store, 2).await, ["ok", "ok"]);
    assert_eq!(store.stats().pool.map(|pool| (pool.in_use, pool.waiting)), Some((0, 0)));
}

#[tokio::test]
async fn calls_in_flight_survive_a_restart() {
    let (proxy, store) = behind_proxy(RetryPolicy::default()).await;
    let store = Arc::new(store);
    proxy.set(Fault::Closed);
    let writers: Vec<_> = (1..=5_u128)
        .map(|key| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.upsert(&[response(key, 1)], &UpsertOptions::default()).await })
        })
        .collect();
    // Together they open the circuit, so a new call fails fast.
    let is_open = async {
        while !matches!(store.stats().circuit, Some(CircuitState::Open(_))) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), is_open).await.expect("the circuit opens");
    assert_eq!(kinds(&store, 1).await, ["circuit_open"]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    proxy.set(Fault::None);
    for writer in writers {
        assert_eq!(writer.await.unwrap().unwrap(), [UpsertOutcome::New]);
    }
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().responses, 5);
}

/// Whichever await point a call is cancelled at, pool and circuit stay intact and the next call succeeds.
#[tokio::test]
async fn cancelled_calls_leave_pool_and_circuit_intact() {
    let (proxy, store) = behind_proxy(RetryPolicy::default()).await;
    let (rows, options) = ([response(1, 1)], UpsertOptions::default());
    for fault in [Fault::None, Fault::Silent, Fault::Closed] {
        for micros in (0..20_000).step_by(1_000) {
            proxy.set(fault);
            let call = store.upsert(&rows, &options);
            let _ = tokio::time::timeout(Duration::from_micros(micros), call).await;
            assert_eq!(store.stats().pool.map(|pool| (pool.in_use, pool.waiting)), Some((0, 0)));
        }
        proxy.set(Fault::None);
        tokio::time::sleep(PAUSE * 5 / 4).await;
        assert_eq!(kinds(&store, 1).await, ["ok"]);
        assert_eq!(store.stats().circuit, Some(CircuitState::Closed { failures: 0 }));
    }
}

#[tokio::test]
async fn a_successful_health_check_closes_the_circuit() {
    let (proxy, store) = behind_proxy(RetryPolicy::once()).await;
    proxy.set(Fault::Closed);
    kinds(&store, 3).await;
    proxy.set(Fault::None);
    // A health check bypasses the open circuit, and its outcome counts.
    store.probe_connection().await.unwrap();
    assert_eq!(kinds(&store, 1).await, ["ok"]);
}
