//! A web service that embeds the bridge: keeps the store in sync with the transcripts and serves the figures.
//!
//! `cargo run --release -p embed`, then look at <http://127.0.0.1:8080>. An argument names another address, and
//! `ETB_…` variables override `bridge_config.yaml`, which is read from the current folder.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bridge::config::BridgeConfig;
use bridge::core::{CalendarStep, Clock, HealthState, HealthStatus, SystemClock, TimeRange, Zone};
use bridge::{
    BridgeError, DashboardBridgeAdapter, DashboardQuery, DashboardTokenMetrics, EnhancedTokenDatabaseBridge,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// What requests are answered from.
#[derive(Clone)]
struct Service {
    bridge: EnhancedTokenDatabaseBridge,
    dashboard: Arc<DashboardBridgeAdapter>,
    metrics: PrometheusHandle,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let config = BridgeConfig::from_yaml_file("bridge_config.yaml")?.with_process_env()?;
    let bridge = config.build().await?;
    let syncing = bridge.keep_in_sync(Duration::from_secs(5), |_| {});

    let service = Service { bridge: bridge.clone(), dashboard: Arc::new(bridge.dashboard()), metrics };
    let app = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/tokens", get(tokens))
        .route("/health", get(health))
        .route("/metrics", get(metrics_page))
        .with_state(service);
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(interrupted()).await?;

    syncing.stop().await;
    bridge.shutdown().await?;
    Ok(())
}

/// What the page asks for.
#[derive(serde::Deserialize)]
struct Wanted {
    days: Option<u32>,
    zone: Option<Zone>,
    step: Option<CalendarStep>,
}

async fn tokens(
    State(service): State<Service>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<DashboardTokenMetrics>, Failure> {
    let zone = wanted.zone.unwrap_or_default();
    let days = |days| TimeRange::last_calendar_days(SystemClock.now(), days, &zone);
    let range = wanted.days.map_or(TimeRange::ALL, days);
    let query = DashboardQuery::new(range).by(wanted.step.unwrap_or_default(), zone);
    Ok(Json(service.dashboard.get_dashboard_token_metrics(query).await?))
}

async fn health(State(service): State<Service>) -> (StatusCode, Json<HealthStatus>) {
    let health = service.bridge.health_check().await;
    let works = health.overall < HealthState::Unhealthy;
    (if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health))
}

async fn metrics_page(State(service): State<Service>) -> String {
    service.bridge.export_metrics();
    service.metrics.render()
}

/// An error as an answer.
struct Failure(BridgeError);

impl From<BridgeError> for Failure {
    fn from(error: BridgeError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let may_pass = error.is_retryable();
        let status =
            if may_pass { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
        (status, format!("{error}; {}", error.advice())).into_response()
    }
}

async fn interrupted() {
    // Without a signal handler there is no interruption to wait for.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
