//! Answers from a proxy or captive portal in place of the database: transient ones are retried, others reported.

use bridge_core::BridgeError;
use bridge_storage::{ClickHouseOptions, ClickHouseStore, TokenStore, UpsertOptions};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::{hasty, response};

pub(crate) const HTML: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>Log in!</html>";
pub(crate) const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
pub(crate) const JSON: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 99999999999\r\n\r\nendless";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

async fn migrate_and_store(options: ClickHouseOptions) -> Result<(), BridgeError> {
    let store = ClickHouseStore::new(options)?;
    store.migrate().await?;
    store.upsert(&[response(1, 5), response(2, 7)], &UpsertOptions::default()).await.map(drop)
}

#[tokio::test]
async fn transient_answers_are_retried_and_permanent_ones_reported() {
    let database = TestDatabase::of_this_test();
    for answer in [HTML, EMPTY, JSON, UNAVAILABLE] {
        let proxy = FaultProxy::before(database.host()).await.unwrap();
        proxy.set(Fault::AnswerInstead(3, answer));
        migrate_and_store(hasty(&database.writer_url_by(proxy.host()))).await.unwrap();
        assert_eq!(proxy.cuts(), 1);
    }
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    proxy.set(Fault::AnswerInstead(0, FORBIDDEN));
    let error = migrate_and_store(hasty(&database.writer_url_by(proxy.host()))).await.unwrap_err();
    assert!(!error.is_retryable() && error.kind() == "misconfigured", "{error:?}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("403") && cause.contains("proxy"), "{cause}");
}

#[tokio::test]
async fn acquiring_a_connection_needs_a_live_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let database = TestDatabase::of_this_test();
    let dead = ClickHouseStore::new(hasty(&database.writer_url_by(&host))).unwrap();
    let error = dead.pool().acquire_connection().await.unwrap_err();
    assert_eq!(error.kind(), "unreachable");

    let live = ClickHouseStore::new(hasty(&database.writer_url())).unwrap();
    live.migrate().await.unwrap();
    let connection = live.pool().acquire_connection().await.unwrap();
    let rows: u64 = connection.client().query("SELECT count() FROM token_usage").fetch_one().await.unwrap();
    assert_eq!(rows, 0);
}
