//! The database is away, or silent.

use std::sync::Arc;
use std::time::Duration;

use bridge::web::router;
use bridge_testkit::proxy::Fault;

use crate::observability::behind_proxy;
use crate::web::{bridge_of, fresh, get};

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
    let service = router(bridge_of(store), fresh());
    proxy.set(Fault::Closed);
    for target in ["/api/v1/totals", "/api/v1/sessions/s", "/api/v1/audit"] {
        let answer = get(&service, target).await;
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

    let narrow = router(bridge, fresh().with_requests_max(1).with_request_timeout(Duration::from_hours(1)));
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
}
