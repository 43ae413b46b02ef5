//! Hostile input: what cannot be used is refused, named, and never repeated raw.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::routing::get as route;
use bridge::web::{AllowedHosts, protect, router};
use serde_json::Value;

use crate::web::{fresh, get, send, service, stored};

fn parameters(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["parameter"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_wrong_parameter_is_named() {
    let service = service().await;
    for (target, wrong) in [
        ("totals?days=0", vec!["days"]),
        ("totals?days=99999999999999999999&zone=Europe/Atlantis", vec!["zone", "days"]),
        ("totals?days=1&from=2026-01-01T00:00:00Z", vec!["days"]),
        ("totals?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", vec!["to"]),
        ("totals?from=yesterday&to=1", vec!["from", "to"]),
        ("totals?from=9999-01-01T00:00:00Z", vec!["from"]),
        ("totals?session=", vec!["session"]),
        ("totals?limit=1", vec!["limit"]),
        ("totals?mood=good&mood!=bad&branch!!=x", vec!["branch!!", "mood", "mood!"]),
        ("totals?extra=yes&previous=2&cost=maybe", vec!["extra", "cost", "previous"]),
        ("dashboard?by=skill&by=mood&by=luck", vec!["by", "by"]),
        ("trend?step=second", vec!["step"]),
        ("breakdown?by=mood&order=random&direction=up", vec!["by", "order", "direction"]),
        ("sessions?limit=1001", vec!["limit"]),
        ("sessions?limit=-1&offset=4294967296", vec!["limit", "offset"]),
        ("sessions?limit=1&limit=2", vec!["limit"]),
        (
            "audit?limit=0&outcome=lost&correlation_id=1&actor=&after=1",
            vec!["actor", "outcome", "correlation_id", "after", "limit"],
        ),
        ("receipt?verbose", vec!["verbose"]),
        ("sessions/s?x=1", vec!["x"]),
        ("sessions/%FF", vec!["id"]),
    ] {
        let problem = get(&service, &format!("/api/v1/{target}")).await.of("Problem", 400);
        assert_eq!(parameters(&problem), wrong, "{target}");
        assert_eq!(problem["type"], "urn:problem-type:bridge:invalid-parameters");
    }
    let id = "x".repeat(513);
    let problem = get(&service, &format!("/api/v1/sessions/{id}")).await;
    assert!(!problem.text.contains("errors\":[{\"parameter\":\"xxx"), "{}", problem.text);
    assert_eq!(parameters(&problem.of("Problem", 400)), ["id"]);
}

#[tokio::test]
async fn control_characters_are_not_repeated() {
    let service = service().await;
    for target in
        ["/api/v1/totals?%1B%5B31m%0A=1", "/api/v1/totals?%E2%80%AE=%00", "/api/v1/totals?zone=%1B%5B31m"]
    {
        let answer = get(&service, target).await;
        let _ = answer.of("Problem", 400);
        let raw = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!answer.json()["detail"].as_str().unwrap().contains(raw), "{}", answer.text);
    }
}

#[tokio::test]
async fn only_known_paths_are_read_and_only_read() {
    let service = service().await;
    for target in
        ["/api/v1/", "/api/v1/none", "/api/v1/sessions/", "/api/v1/sessions/a/b", "/api/v1/../totals"]
    {
        let answer = get(&service, target).await;
        assert_eq!(answer.status, 404, "{target}");
    }
    let _ = get(&service, "/api/v1/none").await.of("Problem", 404);
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
        for target in ["/api/v1/totals", "/health/ready", "/metrics"] {
            let request = Request::builder().method(method.clone()).uri(target).body(Body::empty()).unwrap();
            let answer = send(&service, request).await;
            let _ = answer.of("Problem", 405);
            assert_eq!(answer.header("allow"), "GET,HEAD", "{method} {target}");
        }
    }
    let head = Request::head("/api/v1/totals").body(Body::empty()).unwrap();
    let answer = send(&service, head).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, ""));
}

#[tokio::test]
async fn large_requests_are_refused() {
    let service = service().await;
    let long = get(&service, &format!("/api/v1/totals?session={}", "x".repeat(9000))).await;
    let _ = long.of("Problem", 414);
    for length in ["16385", "18446744073709551615", "18446744073709551616", "-1", "one"] {
        let request =
            Request::get("/api/v1/totals").header("content-length", length).body(Body::empty()).unwrap();
        let _ = send(&service, request).await.of("Problem", 413);
    }
}

#[tokio::test]
async fn other_hosts_are_refused_and_every_response_has_security_headers() {
    let page = ([("content-security-policy", "default-src 'self'")], "page");
    let app = router(stored().await, fresh()).merge(Router::new().route("/", route(async move || page)));
    let app = protect(app, AllowedHosts::of_listener("127.0.0.1:80".parse().unwrap()));
    for (host, path, status) in [
        ("evil.example", "/", 421),
        ("evil.example", "/api/v1/totals", 421),
        ("localhost", "/api/v1/totals", 200),
        ("localhost", "/api/v1/totals?x", 400),
        ("localhost", "/health/live", 200),
        ("localhost", "/", 200),
        ("localhost", "/missing", 404),
    ] {
        let answer = send(&app, Request::get(path).header("host", host).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{host} {path}: {}", answer.text);
        let policy = if path == "/" && status == 200 { "default-src 'self'" } else { "default-src 'none'; " };
        assert!(answer.header("content-security-policy").starts_with(policy), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{path}");
        }
        if status == 421 {
            let _ = answer.of("Problem", 421);
            assert!(!answer.text.contains("evil"), "{}", answer.text);
        }
    }
    let nobody = send(&app, Request::get("/health/live").body(Body::empty()).unwrap()).await;
    assert_eq!(nobody.status, 421);
}
