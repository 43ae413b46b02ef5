//! Correlation id, actor, shared answers, and layers of the embedder.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use bridge::web::{WebOptions, router};
use bridge::{Actor, AuditFilter, CorrelationId, EnhancedTokenDatabaseBridge};
use bridge_testkit::log::LogCollector;

use crate::web::{fresh, get, send, service, stored};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4701";

fn traced(target: &str, header: &str) -> Request {
    Request::get(target).header("traceparent", header).body(Body::empty()).unwrap()
}

async fn operations(bridge: &EnhancedTokenDatabaseBridge) -> usize {
    bridge.audit_log(&AuditFilter::default()).await.unwrap().len()
}

#[tokio::test]
async fn the_callers_trace_is_the_correlation_id_in_header_log_and_audit() {
    let log = LogCollector::of_this_process();
    let bridge = stored().await;
    let service = router(bridge.clone(), fresh());
    let answer = send(&service, traced("/api/v1/totals", &format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    assert_eq!(answer.header("x-correlation-id"), TRACE);
    let id: CorrelationId = TRACE.parse().unwrap();
    let audit = bridge.audit_log(&AuditFilter::default().with_correlation_id(id)).await.unwrap();
    assert_eq!((audit.len(), audit[0].operation.as_str()), (1, "get_dashboard_token_metrics"));
    assert!(
        log.lines().iter().any(|line| line.contains(TRACE) && line.contains("bridge operation completed"))
    );

    // An error names it, too; a header that is not valid is none.
    let problem = send(&service, traced("/api/v1/none", &format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    assert_eq!(problem.of("Problem", 404)["correlation_id"], TRACE);
    let answer = send(&service, traced("/api/v1/totals", &format!("00-{TRACE}-0000000000000000-01"))).await;
    assert_ne!(answer.header("x-correlation-id"), TRACE);
    let one = get(&service, "/health/live").await.header("x-correlation-id").to_owned();
    assert_ne!(get(&service, "/health/live").await.header("x-correlation-id"), one);
}

/// A middleware as an embedder's authentication.
async fn authenticate(mut request: Request, next: Next) -> axum::response::Response {
    let user = request.headers().get("x-user").and_then(|user| user.to_str().ok());
    if let Some(Ok(actor)) = user.map(Actor::new) {
        request.extensions_mut().insert(actor);
    }
    next.run(request).await
}

#[tokio::test]
async fn the_actor_of_a_middleware_or_of_the_option_is_on_record() {
    let bridge = stored().await;
    let by_extension = router(bridge.clone(), fresh()).layer(from_fn(authenticate));
    let option = fresh().with_actor(|parts| {
        let user = parts.headers.get("x-user")?.to_str().ok()?;
        Actor::new(format!("option:{user}")).ok()
    });
    let by_option = router(bridge.clone(), option);
    for service in [by_extension, by_option] {
        for user in ["alice", "bob"] {
            let request = Request::get("/api/v1/totals").header("x-user", user).body(Body::empty()).unwrap();
            assert_eq!(send(&service, request).await.status, 200);
        }
        assert_eq!(get(&service, "/api/v1/totals").await.status, 200);
    }
    let audit = bridge.audit_log(&AuditFilter::default()).await.unwrap();
    let actors: Vec<_> = audit.iter().rev().map(|record| record.actor.as_ref().map(Actor::as_str)).collect();
    let expected = [Some("alice"), Some("bob"), None, Some("option:alice"), Some("option:bob"), None];
    assert_eq!(actors, expected);
}

#[tokio::test]
async fn many_requests_of_a_moment_are_one_operation_for_each_actor() {
    let bridge = stored().await;
    let options = WebOptions::default().with_answer_ttl(Duration::from_hours(1));
    let service = router(bridge.clone(), options).layer(from_fn(authenticate));
    let requests = (0..400).map(|number| {
        let target = ["/api/v1/totals?session=a&days=7", "/api/v1/totals?days=7&session=a"][number % 2];
        let user = ["alice", "bob"][number / 2 % 2];
        let request = Request::get(target).header("x-user", user).body(Body::empty()).unwrap();
        let service = service.clone();
        tokio::spawn(async move { send(&service, request).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap().of("Totals", 200)["totals"]["tokens"]["total"], "30");
    }
    assert_eq!(operations(&bridge).await, 2);
    // Other parameters, another answer.
    let _ = get(&service, "/api/v1/totals?session=b&days=7").await.of("Totals", 200);
    assert_eq!(operations(&bridge).await, 3);
}

#[tokio::test]
async fn the_router_nests_and_merges_with_others() {
    let nested = Router::new().nest("/tokens", service().await).fallback(async || "own");
    let _ = get(&nested, "/tokens/api/v1/totals").await.of("Totals", 200);
    assert_eq!(get(&nested, "/tokens/api/v1/x").await.of("Problem", 404)["instance"], "/tokens/api/v1/x");
    let merged = Router::new().fallback(async || "own").merge(service().await);
    let _ = get(&merged, "/api/v1/totals").await.of("Totals", 200);
    assert_eq!(get(&merged, "/elsewhere").await.text, "own");
}
