//! A database that is unavailable, slow or lost mid-request: the error kinds, and that no data is lost.

use std::error::Error;
use std::time::Duration;

use bridge_core::{BridgeError, ConnectionKind};
use bridge_embedded::{Endpoint, Engine, EngineOptions, Shutdown};
use bridge_storage::{
    CircuitPolicy, ClickHouseStore, ResponseFilter, RetryPolicy, TokenStore, UpsertOptions, UpsertOutcome,
};
use bridge_testkit::engine::{TestDatabase, engine};
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::{hasty, options, response};

/// The error with its chain of causes, as a log would show it.
fn full_text(error: &BridgeError) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!("\n{error}\n{error:?}");
        cause = error.source();
    }
    text
}

fn assert_kind(error: &BridgeError, wanted: ConnectionKind) {
    let text = full_text(error);
    assert!(matches!(error, BridgeError::Connection { kind, .. } if *kind == wanted), "{text}");
    for user in [&engine().endpoint().writer, &engine().endpoint().reader] {
        assert!(!text.contains(&user.password), "the error contains a password");
    }
}

/// The running test's store behind a fault-injecting proxy.
async fn behind_proxy(timeout: Duration) -> (FaultProxy, ClickHouseStore) {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let options = hasty(&database.writer_url_by(proxy.host())).with_operation_timeout(timeout);
    let store = ClickHouseStore::new(options).unwrap();
    store.migrate().await.unwrap();
    (proxy, store)
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let url = TestDatabase::of_this_test().writer_url_by(&host);
    let error =
        ClickHouseStore::new(hasty(&url)).unwrap().totals(&ResponseFilter::default()).await.unwrap_err();
    assert_kind(&error, ConnectionKind::Unreachable);
    assert!(error.to_string().contains(&host) && error.to_string().contains("4 attempts"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let url = TestDatabase::of_this_test().writer_url();
    let wrong = url.replace(&engine().endpoint().writer.password, "hunter2");
    let error = ClickHouseStore::new(options(&wrong)).unwrap().migrate().await.unwrap_err();
    assert_kind(&error, ConnectionKind::Refused);
    assert!(!full_text(&error).contains("hunter2"));
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let (proxy, store) = behind_proxy(Duration::from_secs(30)).await;
    proxy.set(Fault::Silent);
    let url = TestDatabase::of_this_test().writer_url_by(proxy.host());
    let options = hasty(&url).with_operation_timeout(Duration::from_millis(50));
    let impatient = ClickHouseStore::new(options).unwrap();
    let error = impatient.totals(&ResponseFilter::default()).await.unwrap_err();
    assert_kind(&error, ConnectionKind::TimedOut);
    proxy.set(Fault::None);
    store.totals(&ResponseFilter::default()).await.unwrap();
}

#[tokio::test]
async fn a_store_recovers_when_the_database_is_back() {
    let (proxy, store) = behind_proxy(Duration::from_secs(10)).await;
    proxy.set(Fault::Closed);
    let error = store.upsert(&[response(1, 1)], &UpsertOptions::default()).await.unwrap_err();
    assert_kind(&error, ConnectionKind::Unreachable);
    proxy.set(Fault::None);
    let outcomes = store.upsert(&[response(1, 1)], &UpsertOptions::default()).await.unwrap();
    assert_eq!(outcomes, [UpsertOutcome::New]);
}

/// After a cut anywhere in the look-up or the insert, the next run stores unacknowledged rows exactly once.
///
/// Needs its own engine because some cuts make it abort and restart.
#[tokio::test]
async fn a_cut_at_any_byte_loses_and_duplicates_nothing() {
    let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
    let Endpoint { url, writer, .. } = engine.endpoint();
    let upstream = url.strip_prefix("http://").unwrap();
    let proxy = FaultProxy::before(upstream).await.unwrap();
    let url = |host: &str| format!("http://{}:{}@{host}/test_cut", writer.user, writer.password);
    let no_retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
    // Every call must reach the proxy, even after failures.
    let no_circuit = CircuitPolicy { failures: 0, ..CircuitPolicy::default() };
    let cut = options(&url(proxy.host())).with_retry(no_retry).with_circuit(no_circuit);
    let cut = ClickHouseStore::new(cut).unwrap();
    let direct = ClickHouseStore::new(options(&url(upstream))).unwrap();
    direct.migrate().await.unwrap();

    let (mut rounds, mut stored) = (0, 0);
    for bytes in (0..1_400).step_by(200) {
        for fault in [Fault::CutRequestAfter(bytes), Fault::CutAnswer] {
            let rows = [response(rounds * 2, 1), response(rounds * 2 + 1, 2)];
            proxy.set(fault);
            stored += u32::from(cut.upsert(&rows, &UpsertOptions::default()).await.is_ok());
            proxy.set(Fault::None);
            direct.upsert(&rows, &UpsertOptions::default()).await.unwrap();
            let totals = direct.totals(&ResponseFilter::default()).await.unwrap();
            rounds += 1;
            assert_eq!(u128::from(totals.responses), 2 * rounds);
            assert_eq!(u128::from(totals.counts.output), 3 * rounds);
        }
    }
    assert!(proxy.cuts() >= 10 && stored <= 4, "{} cuts, {stored} succeeded", proxy.cuts());
    assert_eq!(engine.close(Duration::from_secs(30)), Shutdown::Stopped);
}

#[tokio::test]
async fn a_cancelled_call_returns_its_connection() {
    let (proxy, _) = behind_proxy(Duration::from_secs(10)).await;
    let url = TestDatabase::of_this_test().writer_url_by(proxy.host());
    let store = ClickHouseStore::new(options(&url).with_pool_size(1)).unwrap();
    proxy.set(Fault::Silent);
    let all = ResponseFilter::default();
    for _ in 0..3 {
        let call = store.totals(&all);
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    }
    proxy.set(Fault::None);
    store.totals(&all).await.unwrap();
}
