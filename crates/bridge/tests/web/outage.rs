//! The database is away, or silent.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bridge::web::{EntriesOptions, router};
use bridge_testkit::fixtures::line;
use bridge_testkit::proxy::Fault;

use crate::observability::behind_proxy;
use crate::web::{bridge_of, fresh, get, push, send};

/// Longer than any step takes.
const POLLS_MAX: u32 = 600;

#[tokio::test]
async fn a_service_is_ready_when_its_database_answers() {
    let (proxy, store) = behind_proxy(|options| options).await;
    let service =
        router(bridge_of(Arc::clone(&store)), fresh().with_ready_timeout(Duration::from_millis(50)));
    for fault in [Fault::Silent, Fault::Closed] {
        proxy.set(fault);
        let answer = get(&service, "/health/ready").await;
        assert_eq!(answer.of("Problem", 503)["type"], "urn:problem-type:bridge:not-ready");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(get(&service, "/health/live").await.status, 200);
    }
    proxy.set(Fault::None);
    let service = router(bridge_of(store), fresh().with_ready_timeout(Duration::from_secs(30)));
    for _ in 0..POLLS_MAX {
        if get(&service, "/health/ready").await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the service is not ready");
}

#[tokio::test]
async fn an_unreachable_database_is_a_problem_that_names_no_host() {
    let (proxy, store) = behind_proxy(|options| options).await;
    let service = router(bridge_of(store), fresh().with_entries(EntriesOptions::default()));
    proxy.set(Fault::Closed);
    let read = |target| Request::get(target).body(Body::empty()).unwrap();
    let entries = push("/api/v1/sessions/s/entries", "application/x-ndjson", line("s", 1, 40));
    for request in [read("/api/v1/totals"), read("/api/v1/sessions/s"), read("/api/v1/audit"), entries] {
        let target = request.uri().path().to_owned();
        let answer = send(&service, request).await;
        assert_eq!(answer.of("Problem", 503)["type"], "urn:problem-type:bridge:unavailable", "{target}");
        assert_eq!(answer.header("retry-after"), "5");
        assert!(!answer.text.contains("127.0.0.1") && !answer.text.contains("http://"), "{}", answer.text);
        assert_eq!(answer.json()["correlation_id"], answer.header("x-correlation-id"), "{target}");
    }
}

#[tokio::test]
async fn a_silent_database_bounds_the_time_of_a_request_and_their_number() {
    let (proxy, store) = behind_proxy(|options| options).await;
    proxy.set(Fault::Silent);
    let bridge = bridge_of(store);
    let impatient = router(bridge.clone(), fresh().with_request_timeout(Duration::from_millis(50)));
    let answer = get(&impatient, "/api/v1/totals").await;
    assert_eq!(answer.of("Problem", 503)["type"], "urn:problem-type:bridge:timed-out");
    assert_eq!(answer.header("retry-after"), "1");

    let narrow =
        router(bridge.clone(), fresh().with_requests_max(1).with_request_timeout(Duration::from_hours(1)));
    // Polled first, the one that waits has the only place.
    let (answer, live) = tokio::select! {
        biased;
        answer = get(&narrow, "/api/v1/totals") => panic!("{answer:?}"),
        answers = async {
            (get(&narrow, "/api/v1/sessions").await, get(&narrow, "/health/live").await)
        } => answers,
    };
    assert_eq!(answer.of("Problem", 503)["type"], "urn:problem-type:bridge:busy");
    assert_eq!(answer.header("retry-after"), "1");
    // Probes are answered under load.
    assert_eq!(live.status, 200);

    let options = EntriesOptions::default().with_requests_max(1);
    let taking = router(bridge, fresh().with_entries(options).with_request_timeout(Duration::from_hours(1)));
    let entries = || push("/api/v1/sessions/s/entries", "application/x-ndjson", line("s", 1, 40));
    let answer = tokio::select! {
        biased;
        answer = send(&taking, entries()) => panic!("{answer:?}"),
        answer = send(&taking, entries()) => answer,
    };
    assert_eq!(answer.of("Problem", 503)["type"], "urn:problem-type:bridge:busy");
}
