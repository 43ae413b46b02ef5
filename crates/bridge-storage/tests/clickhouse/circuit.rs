//! A database that is gone: callers fail at once, what is under way is bridged, and it heals by itself.

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

/// A store whose circuit opens after three failures, behind a network that fails on command.
async fn behind_proxy(retry: RetryPolicy) -> (FaultProxy, ClickHouseStore) {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let circuit = CircuitPolicy { failures: 3, open_for: PAUSE, open_for_max: PAUSE };
    let options = options(&database.writer_url_by(proxy.host()));
    let store = ClickHouseStore::new(options.with_retry(retry).with_circuit(circuit)).unwrap();
    store.migrate().await.unwrap();
    (proxy, store)
}

async fn ask(store: &ClickHouseStore) -> Result<(), BridgeError> {
    store.totals(&ResponseFilter::default()).await.map(drop)
}

async fn kinds(store: &ClickHouseStore, calls: usize) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    for _ in 0..calls {
        kinds.push(ask(store).await.map_or_else(|error| error.kind(), |()| "ok"));
    }
    kinds
}

#[tokio::test]
async fn callers_fail_at_once_until_the_database_is_back() {
    let (proxy, store) = behind_proxy(RetryPolicy::once()).await;
    proxy.set(Fault::Closed);
    assert_eq!(kinds(&store, 4).await, ["unreachable", "unreachable", "unreachable", "circuit_open"]);
    let cuts = proxy.cuts();
    let watch = Stopwatch::start();
    for _ in 0..100 {
        let error = ask(&store).await.unwrap_err();
        let source =
            std::error::Error::source(&error).and_then(|source| source.downcast_ref::<OpenCircuit>());
        let pause = source.expect("it says when the database is asked again");
        assert!(pause.retry_in <= PAUSE * 5 / 4 && pause.cause.contains("cannot be reached"), "{pause}");
    }
    assert!(watch.elapsed() < Duration::from_millis(100), "{:?}", watch.elapsed());
    assert_eq!(proxy.cuts(), cuts, "nobody asks");

    proxy.set(Fault::None);
    tokio::time::sleep(PAUSE * 5 / 4).await;
    assert_eq!(kinds(&store, 2).await, ["ok", "ok"]);
    assert_eq!(store.stats().circuit, Some(CircuitState::Closed { failures: 0 }));
}

#[tokio::test]
async fn one_caller_finds_out_and_the_others_do_not_wait_for_it() {
    let (proxy, store) = behind_proxy(RetryPolicy::once()).await;
    proxy.set(Fault::Closed);
    kinds(&store, 3).await;
    proxy.set(Fault::Silent);
    tokio::time::sleep(PAUSE * 5 / 4).await;
    let store = Arc::new(store);
    let probing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { ask(&store).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(matches!(store.stats().circuit, Some(CircuitState::Probing { .. })));
    let watch = Stopwatch::start();
    assert_eq!(kinds(&store, 3).await, ["circuit_open"; 3]);
    assert!(watch.elapsed() < Duration::from_millis(50), "{:?}", watch.elapsed());

    // Whoever probes is cancelled: the next caller does it, and its call goes through.
    probing.abort();
    assert!(probing.await.unwrap_err().is_cancelled());
    proxy.set(Fault::None);
    assert_eq!(kinds(&store, 2).await, ["ok", "ok"]);
    assert_eq!(store.stats().pool.map(|pool| (pool.in_use, pool.waiting)), Some((0, 0)));
}

#[tokio::test]
async fn a_restart_is_bridged_for_what_is_under_way() {
    let (proxy, store) = behind_proxy(RetryPolicy::default()).await;
    let store = Arc::new(store);
    proxy.set(Fault::Closed);
    let writers: Vec<_> = (1..=5_u128)
        .map(|key| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.upsert(&[response(key, 1)], &UpsertOptions::default()).await })
        })
        .collect();
    // Between them they open the circuit, and somebody who comes then does not wait.
    let is_open = async {
        while !matches!(store.stats().circuit, Some(CircuitState::Open(_))) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), is_open).await.expect("it opens");
    assert_eq!(kinds(&store, 1).await, ["circuit_open"]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    proxy.set(Fault::None);
    for writer in writers {
        assert_eq!(writer.await.unwrap().unwrap(), [UpsertOutcome::New]);
    }
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().responses, 5);
}

/// Cancelled after any time, at any await: pool and circuit are in order, and the next call goes through.
#[tokio::test]
async fn a_call_that_is_dropped_anywhere_leaves_pool_and_circuit_in_order() {
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
async fn an_answer_to_a_health_check_closes_it() {
    let (proxy, store) = behind_proxy(RetryPolicy::once()).await;
    proxy.set(Fault::Closed);
    kinds(&store, 3).await;
    proxy.set(Fault::None);
    // A health check asks whatever the circuit says, and its answer counts.
    store.probe_connection().await.unwrap();
    assert_eq!(kinds(&store, 1).await, ["ok"]);
}
