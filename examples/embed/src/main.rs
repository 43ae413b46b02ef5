//! A web service that embeds the bridge: keeps the store in sync with the transcripts and serves a token dashboard.
//!
//! Run `cargo run --release -p embed` and open <http://127.0.0.1:8080>. The first argument sets another address, further
//! ones are additional host names (`embed 0.0.0.0:8080 tokens.example`); requests for other hosts are rejected. `ETB_…`
//! variables override `bridge_config.yaml`, which is read from the current folder. Ctrl-C and SIGTERM stop the service
//! within seconds, with exit code 0.

mod guard;
mod response_cache;
mod server;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use axum::{Router, middleware};
use bridge::config::BridgeConfig;
use bridge::{
    BridgeError, CalendarUnit, Clock, DashboardBridgeAdapter, DashboardQuery, EnhancedTokenDatabaseBridge,
    Escaped, HealthState, SyncTask, SystemClock, TimeRange, TimeZone, metrics::METRICS,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use crate::guard::Guard;
use crate::response_cache::{CachedResponse, ResponseCache};

/// Shared state of the request handlers.
#[derive(Clone)]
struct Service {
    bridge: EnhancedTokenDatabaseBridge,
    dashboard: Arc<DashboardBridgeAdapter>,
    metrics: PrometheusHandle,
    cache: Arc<ResponseCache<CacheKey>>,
}

/// Identifies a cached response.
#[derive(PartialEq, Eq, Hash)]
enum CacheKey {
    Tokens(String),
    Health,
}

/// Maximum time that the shutdown waits for the database.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum time that the shutdown waits for reader threads.
const READERS_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run());
    runtime.shutdown_timeout(READERS_TIMEOUT);
    outcome
}

async fn run() -> Result<(), Box<dyn Error>> {
    let shutdown = server::shutdown_signal()?;
    tokio::pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => return Ok(()),
        started = start() => started?,
    }
    .serve_until(shutdown)
    .await;
    Ok(())
}

/// The running service.
struct RunningService {
    bridge: EnhancedTokenDatabaseBridge,
    /// Ends with the bridge's shutdown.
    _sync_task: SyncTask,
    listener: tokio::net::TcpListener,
    router: Router,
}

async fn start() -> Result<RunningService, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let metrics = install_recorder()?;
    let config = BridgeConfig::from_yaml_file("bridge_config.yaml")?.with_process_env()?;
    let bridge = config.build().await?;
    let sync_task = bridge.keep_in_sync(Duration::from_secs(5), |_| {});
    let listener = server::listen(&address).await?;
    let dashboard = Arc::new(bridge.dashboard());
    let cache = Arc::new(ResponseCache::new());
    let service = Service { bridge: bridge.clone(), dashboard, metrics, cache };
    let router = router(service, listener.local_addr()?, arguments.collect());
    println!("http://{}", listener.local_addr()?);
    Ok(RunningService { bridge, _sync_task: sync_task, listener, router })
}

/// Installs a recorder whose histograms have the recommended buckets.
fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    let mut recorder = PrometheusBuilder::new();
    for metric in METRICS.iter().filter(|metric| !metric.buckets.is_empty()) {
        recorder = recorder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)?;
    }
    recorder.install_recorder()
}

fn router(service: Service, address: SocketAddr, names: Vec<String>) -> Router {
    let text = |kind: &'static str, text: &'static str| get(async move || ([(CONTENT_TYPE, kind)], text));
    Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/page.js", text("text/javascript; charset=utf-8", include_str!("page.js")))
        .route("/page.css", text("text/css; charset=utf-8", include_str!("page.css")))
        .route("/tokens", get(tokens))
        .route("/health", get(health))
        .route("/metrics", get(metrics_page))
        .with_state(service)
        .layer(middleware::from_fn_with_state(Guard::new(address, names), guard::guard))
}

impl RunningService {
    /// Serves until the shutdown signal. The shutdown does not wait long for an unavailable database: the store is
    /// consistent, and the next start resumes the synchronization.
    async fn serve_until(self, shutdown: impl Future<Output = ()>) {
        server::serve(self.listener, self.router, shutdown).await;
        if let Err(incomplete) = self.bridge.shutdown().within(SHUTDOWN_TIMEOUT).await {
            tracing::warn!(%incomplete, "the shutdown is incomplete");
        }
    }
}

/// Query parameters of `/tokens`.
#[derive(serde::Deserialize)]
struct TokensQuery {
    days: Option<u32>,
    zone: Option<TimeZone>,
    step: Option<CalendarUnit>,
}

async fn tokens(State(service): State<Service>, Query(parameters): Query<TokensQuery>) -> CachedResponse {
    let zone = parameters.zone.unwrap_or_default();
    let step = parameters.step.unwrap_or_default();
    let key = CacheKey::Tokens(format!("{:?} {zone:?} {step:?}", parameters.days));
    let query = async {
        let last_days = |days| TimeRange::last_calendar_days(SystemClock.now(), days, &zone);
        let range = parameters.days.map_or(TimeRange::ALL, last_days);
        let query = DashboardQuery::new(range).by(step, zone.clone());
        match service.dashboard.get_dashboard_token_metrics(query).await {
            Ok(metrics) => json(StatusCode::OK, &metrics),
            Err(error) => failure(&error),
        }
    };
    service.cache.get(key, query).await
}

async fn health(State(service): State<Service>) -> CachedResponse {
    let query = async {
        let health = service.bridge.health_check().await;
        let works = health.overall < HealthState::Unhealthy;
        json(if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
    };
    service.cache.get(CacheKey::Health, query).await
}

async fn metrics_page(State(service): State<Service>) -> String {
    service.bridge.export_metrics();
    service.metrics.render()
}

fn json(status: StatusCode, value: &impl Serialize) -> CachedResponse {
    match serde_json::to_vec(value) {
        Ok(body) => CachedResponse { status, content_type: "application/json", body: body.into() },
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Converts an error to a response: 503 if the client may retry, else 500.
fn failure(error: &BridgeError) -> CachedResponse {
    let retryable = error.is_retryable();
    let status = if retryable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    text(status, format!("{}; {}", Escaped::text(&error.to_string()), bridge::advice(error)))
}

fn text(status: StatusCode, text: String) -> CachedResponse {
    CachedResponse { status, content_type: "text/plain; charset=utf-8", body: text.into() }
}
