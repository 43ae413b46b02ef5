//! Over a socket, on a real engine.

use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, TokenStore};
use bridge::web::{AllowedHosts, EntriesOptions, listen, protect, router, serve};
use bridge::{Actor, BackfillOptions};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::fixtures::line_at;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::web::{fresh, schema};

/// Longer than any step takes.
const DEADLINE: Duration = Duration::from_secs(120);

async fn get(address: &str, target: &str) -> (u16, Value) {
    send(address, &format!("GET {target}"), "").await
}

async fn send(address: &str, what: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let headers = format!("Content-Type: application/x-ndjson\r\nContent-Length: {}", body.len());
    let request =
        format!("{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut response)).await.unwrap().unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_is_served_over_a_socket_from_a_real_engine() {
    let database = TestDatabase::named("every_resource_is_served_over_a_socket");
    let store = ClickHouseStore::new(ClickHouseOptions::from_url(&database.writer_url()).unwrap()).unwrap();
    store.migrate().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let time = "2026-03-01T12:00:00Z";
    let transcript = line_at("s", 1, 40, time) + &line_at("s", 1, 40, time) + &line_at("t", 2, 2, time);
    std::fs::write(folder.path().join("s.jsonl"), transcript).unwrap();
    let bridge = crate::builder(Arc::new(store), &[folder.path()]).build();
    let operator = bridge.with_actor(Actor::new("operator").unwrap());
    let _ = operator.backfill_historical_data(BackfillOptions::default()).await.unwrap();

    let listener = listen("127.0.0.1:0").await.unwrap();
    let bound = listener.local_addr().unwrap();
    let app = protect(
        router(bridge, fresh().with_entries(EntriesOptions::default())),
        AllowedHosts::of_listener(bound),
    );
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = tokio::spawn(serve(listener, app, async { drop(stopped.await) }));
    let address = bound.to_string();
    for (target, definition, pointer, value) in [
        ("/health/live", "Status", "/status", json!("live")),
        ("/health/ready", "Status", "/status", json!("ready")),
        ("/api/v1/totals", "Totals", "/totals/tokens/total", json!("42")),
        ("/api/v1/sessions?limit=1", "GroupPage", "/rows/0/name", json!("s")),
        ("/api/v1/sessions/t", "Session", "/tokens/output", json!("2")),
        ("/api/v1/trend?step=month", "Trend", "/buckets/0/responses", json!("2")),
        ("/api/v1/breakdown?by=host", "GroupPage", "/rows/0/name", json!("host")),
        ("/api/v1/dashboard", "Dashboard", "/projects/groups", json!("1")),
        ("/api/v1/receipt", "Receipt", "/repeated/tokens", json!("40")),
        ("/api/v1/health", "Health", "/probes/0/state", json!("healthy")),
        (
            "/api/v1/audit?actor=operator",
            "AuditPage",
            "/records/0/operation",
            json!("backfill_historical_data"),
        ),
        ("/api/v1/totals?days=x", "Problem", "/errors/0/parameter", json!("days")),
    ] {
        let (status, answer) = get(&address, target).await;
        assert_eq!(status, if definition == "Problem" { 400 } else { 200 }, "{target}: {answer}");
        schema::assert_valid(definition, &answer);
        assert_eq!(answer.pointer(pointer), Some(&value), "{target}: {answer:#}");
    }

    // A push of more than the buffer of a connection, twice, as after a lost answer.
    let entries: String = (10..1010).map(|id| line_at("pushed", id, 1, time)).collect();
    for (new, known) in [("1000", "0"), ("0", "1000")] {
        let (status, answer) = send(&address, "POST /api/v1/sessions/pushed/entries?first=0", &entries).await;
        assert_eq!(status, 200, "{answer}");
        schema::assert_valid("Entries", &answer);
        assert_eq!((&answer["new_responses"], &answer["lines_known"]), (&json!(new), &json!(known)));
    }
    let (_, totals) = get(&address, "/api/v1/totals").await;
    assert_eq!(totals["totals"]["tokens"]["total"], "1042");

    // An idle connection does not hold the shutdown up.
    let _idle = TcpStream::connect(&address).await.unwrap();
    drop(stop);
    tokio::time::timeout(DEADLINE, service).await.unwrap().unwrap();
}
