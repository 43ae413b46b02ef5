//! The router's own metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bridge::metrics::METRICS;
use bridge::storage::InMemoryStore;
use bridge::web::{EntriesOptions, router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tower::ServiceExt;

use crate::web::{bridge_of, fresh, get};

/// A recorder for one bridge, with the recommended buckets.
fn recorded() -> (bridge::EnhancedTokenDatabaseBridge, PrometheusHandle) {
    let mut recorder = PrometheusBuilder::new();
    for metric in METRICS.iter().filter(|metric| !metric.buckets.is_empty()) {
        recorder =
            recorder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets).unwrap();
    }
    let recorder = recorder.build_recorder();
    let handle = recorder.handle();
    let store = Arc::new(InMemoryStore::default());
    (metrics::with_local_recorder(&recorder, || bridge_of(store)), handle)
}

fn value(rendered: &PrometheusHandle, series: &str) -> u64 {
    let text = rendered.render();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).trim().parse().unwrap()
}

fn requests(rendered: &PrometheusHandle, route: &str, status: &str) -> u64 {
    value(rendered, &format!("bridge_http_requests_total{{route=\"{route}\",status=\"{status}\"}}"))
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status_and_timed_in_buckets() {
    let (bridge, rendered) = recorded();
    let service = axum::Router::new().nest("/tokens", router(bridge, fresh()));
    for target in ["totals", "totals?days=1", "totals?dayz=1", "sessions/unknown", "none"] {
        let _ = get(&service, &format!("/tokens/api/v1/{target}")).await;
    }
    assert_eq!((requests(&rendered, "totals", "2xx"), requests(&rendered, "totals", "4xx")), (2, 1));
    assert_eq!((requests(&rendered, "session", "4xx"), requests(&rendered, "other", "4xx")), (1, 1));
    let buckets = "bridge_http_request_duration_seconds_bucket{route=\"totals\",le=\"30\"}";
    assert_eq!(value(&rendered, buckets), 3);
}

#[tokio::test]
async fn a_request_whose_client_left_is_counted_as_cancelled() {
    let (bridge, rendered) = recorded();
    let service = router(bridge, fresh().with_entries(EntriesOptions::default()));
    let endless = Body::from_stream(tokio_stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::post("/api/v1/sessions/s/entries")
        .header("content-type", "application/x-ndjson")
        .body(endless)
        .unwrap();
    let left = tokio::time::timeout(Duration::from_millis(10), service.oneshot(request)).await;
    assert!(left.is_err());
    assert_eq!(requests(&rendered, "entries", "cancelled"), 1);
}

/// A route that is added without a label of its own would hide among the others.
#[tokio::test]
async fn every_documented_path_has_a_label() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/http-api.md")).unwrap();
    let (bridge, rendered) = recorded();
    let service = router(bridge, fresh().with_entries(EntriesOptions::default()).with_metrics(String::new));
    let mut paths = 0;
    for code in page.split('`') {
        let path = code.trim_start_matches("GET ").trim_start_matches("POST ").split('?').next().unwrap();
        if ["/api/v1/", "/health/", "/metrics"].iter().any(|begin| path.starts_with(begin)) {
            let _ = get(&service, &path.replace("{id}", "s")).await;
            paths += 1;
        }
    }
    assert!(paths >= 13, "the page lists {paths} paths");
    for status in ["2xx", "4xx", "5xx"] {
        assert_eq!(requests(&rendered, "other", status), 0, "{status}");
    }
}
