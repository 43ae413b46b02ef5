//! Metrics of the HTTP router.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use bridge_core::Stopwatch;
use metrics::{Counter, Histogram};

use super::Instruments;
use super::names as name;
use super::register::{counter, histogram};

/// The label of each path of the router; any other is `other`.
const ROUTES: [(&str, &str); 18] = [
    ("live", "/health/live"),
    ("ready", "/health/ready"),
    ("metrics", "/metrics"),
    ("totals", "/api/v1/totals"),
    ("trend", "/api/v1/trend"),
    ("breakdown", "/api/v1/breakdown"),
    ("dashboard", "/api/v1/dashboard"),
    ("receipt", "/api/v1/receipt"),
    ("limits", "/api/v1/limits"),
    ("expiring", "/api/v1/expiring"),
    ("blocks", "/api/v1/blocks"),
    ("budgets", "/api/v1/budgets"),
    ("hosts", "/api/v1/hosts"),
    ("sessions", "/api/v1/sessions"),
    ("session", "/api/v1/sessions/{id}"),
    ("entries", "/api/v1/sessions/{id}/entries"),
    ("audit", "/api/v1/audit"),
    ("health", "/api/v1/health"),
];
const OTHER: usize = ROUTES.len();

/// Outcomes of a request: the class of its status, or none because the client left before the answer.
const STATUSES: [&str; 4] = ["2xx", "4xx", "5xx", "cancelled"];
const CANCELLED: usize = 3;

/// The handles of the router's metrics, by route.
pub(super) struct HttpMetrics([(Histogram, [Counter; STATUSES.len()]); OTHER + 1]);

impl HttpMetrics {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|route| {
            let route = ROUTES.get(route).map_or("other", |(label, _)| label);
            let requests = STATUSES.map(|status| counter(&name::HTTP_REQUESTS, &[route, status]));
            (histogram(&name::HTTP_DURATION, &[route]), requests)
        }))
    }

    fn ended(&self, route: usize, status: usize, took: Duration) {
        let (duration, requests) = &self.0[route];
        requests[status].increment(1);
        // How long a client waited before it left says nothing about the service.
        if status != CANCELLED {
            duration.record(took);
        }
    }
}

/// Counts a request when it ends; one that is dropped before counts as cancelled.
pub(crate) struct RequestGuard {
    metrics: Arc<Instruments>,
    route: usize,
    status: usize,
    watch: Stopwatch,
}

impl RequestGuard {
    /// Returns the guard of a request of this path, in the form in which the router declares it.
    pub(crate) fn begin(metrics: Arc<Instruments>, path: Option<&str>) -> Self {
        // Within a nested router the declared path begins with that of the outer one.
        let position = |path: &str| ROUTES.iter().position(|(_, route)| path.ends_with(route));
        let route = path.and_then(position).unwrap_or(OTHER);
        Self { metrics, route, status: CANCELLED, watch: Stopwatch::start() }
    }

    /// Ends the request with this status.
    pub(crate) fn end(mut self, status: StatusCode) {
        self.status = match status {
            _ if status.is_client_error() => 1,
            _ if status.is_server_error() => 2,
            _ => 0,
        };
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.metrics.http.ended(self.route, self.status, self.watch.elapsed());
    }
}
