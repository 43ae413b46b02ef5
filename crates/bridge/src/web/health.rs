//! The probes of an orchestrator, the health check and the metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bridge_core::{HealthState, HealthStatus};

use super::Web;
use super::answers::{Health, Status};
use super::latest::Latest;
use super::problem::{Problem, ProblemKind};
use crate::handle::EnhancedTokenDatabaseBridge;

/// The media type of the text format of Prometheus.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The health of the router's bridge, from one check for all who ask: page, API and the metric agree. A reader is never
/// checked: it may not write, and does not synchronize.
#[derive(Debug)]
pub(super) struct ServiceHealth {
    bridge: EnhancedTokenDatabaseBridge,
    last: Arc<Latest<Arc<HealthStatus>>>,
}

impl ServiceHealth {
    pub(super) fn of(bridge: EnhancedTokenDatabaseBridge) -> Self {
        Self { bridge, last: Arc::default() }
    }

    /// Returns the health as of at most this time ago.
    pub(super) async fn current(&self, age_max: Duration) -> Arc<HealthStatus> {
        // Boxed: the futures of operations are large.
        self.last.current(age_max, Box::pin(check(self.bridge.clone()))).await
    }

    /// Returns the last known health without waiting, and has it checked if it is older than this.
    #[cfg(feature = "page")]
    pub(super) fn latest(&self, age_max: Duration) -> Option<Arc<HealthStatus>> {
        self.last.latest(age_max, check(self.bridge.clone()))
    }
}

async fn check(bridge: EnhancedTokenDatabaseBridge) -> Arc<HealthStatus> {
    Arc::new(bridge.health_check().await)
}

/// The process serves requests; says nothing of the database, whose outage no restart ends.
pub(super) async fn live() -> Result<Response, Problem> {
    super::json(StatusCode::OK, &Status { status: "live" })
}

/// The database answers. One question is under way at a time, however many ask.
pub(super) async fn ready(State(web): State<Arc<Web>>) -> Result<Response, Problem> {
    let limit = web.options.ready_timeout;
    let answers = async {
        let question = web.bridge.parts.monitoring.health.database_answers();
        tokio::time::timeout(limit, question).await.unwrap_or(false)
    };
    // A caller that waits for another one's question, which may be dropped, is bounded, too.
    let is_ready = tokio::time::timeout(limit, web.readiness.get((), answers)).await.unwrap_or(false);
    if !is_ready {
        return Err(Problem::new(ProblemKind::NotReady, "the database does not answer"));
    }
    super::json(StatusCode::OK, &Status { status: "ready" })
}

/// The states of all probes; 503 if one is unhealthy.
pub(super) async fn health(State(web): State<Arc<Web>>) -> Result<Response, Problem> {
    let health = web.health.current(web.options.answer_ttl).await;
    let works = health.overall < HealthState::Unhealthy;
    let status = if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    super::json(status, &Health::from(&*health))
}

/// The metrics, as the embedder's recorder renders them.
pub(super) async fn metrics(State(web): State<Arc<Web>>) -> Result<Response, Problem> {
    let not_found = || Problem::new(ProblemKind::NotFound, "this service renders no metrics");
    let render = web.options.render_metrics.as_ref().ok_or_else(not_found)?;
    web.bridge.export_metrics();
    Ok(([(CONTENT_TYPE, METRICS_TYPE)], render()).into_response())
}
