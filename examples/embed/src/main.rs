//! A web service that embeds the bridge: keeps the store in sync with the transcripts and serves the figures.
//!
//! `cargo run --release -p embed`, then look at <http://127.0.0.1:8080>. An argument names another address; those behind
//! it are names under which the service is reached (`embed 0.0.0.0:8080 tokens.example`): requests for others are
//! refused. `ETB_…` variables override `bridge_config.yaml`, which is read from the current folder. Ctrl-C and SIGTERM
//! end it within seconds, with exit code 0.

mod answers;
mod guard;
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
    Escaped, HealthState, SyncTask, SystemClock, TimeRange, TimeZone,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use crate::answers::{Answer, Answers};
use crate::guard::Guard;

/// What requests are answered from.
#[derive(Clone)]
struct Service {
    bridge: EnhancedTokenDatabaseBridge,
    dashboard: Arc<DashboardBridgeAdapter>,
    metrics: PrometheusHandle,
    answers: Arc<Answers<Question>>,
}

/// What the store is asked for.
#[derive(PartialEq, Eq, Hash)]
enum Question {
    Tokens(String),
    Health,
}

/// So long a database that does not answer may hold up the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// So long threads that read may.
const THREADS_END: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run());
    runtime.shutdown_timeout(THREADS_END);
    outcome
}

async fn run() -> Result<(), Box<dyn Error>> {
    let ended = server::asked_to_end()?;
    tokio::pin!(ended);
    tokio::select! {
        () = &mut ended => return Ok(()),
        started = start() => started?,
    }
    .serve(ended)
    .await;
    Ok(())
}

/// The service as it runs.
struct Running {
    bridge: EnhancedTokenDatabaseBridge,
    syncing: SyncTask,
    listener: tokio::net::TcpListener,
    router: Router,
}

async fn start() -> Result<Running, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let config = BridgeConfig::from_yaml_file("bridge_config.yaml")?.with_process_env()?;
    let bridge = config.build().await?;
    let syncing = bridge.keep_in_sync(Duration::from_secs(5), |_| {});
    let listener = server::listen(&address).await?;
    let dashboard = Arc::new(bridge.dashboard());
    let service = Service { bridge: bridge.clone(), dashboard, metrics, answers: Arc::new(Answers::new()) };
    let router = router(service, listener.local_addr()?, arguments.collect());
    println!("http://{}", listener.local_addr()?);
    Ok(Running { bridge, syncing, listener, router })
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

impl Running {
    /// Serves until it is asked to end. Then nothing waits long for a database that is gone: what is stored is right,
    /// and the next start reads on.
    async fn serve(self, ended: impl Future<Output = ()>) {
        server::serve(self.listener, self.router, ended).await;
        let farewell = async {
            self.syncing.stop().await;
            self.bridge.shutdown().await
        };
        match tokio::time::timeout(FAREWELL, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the audit is not complete"),
            Err(_) => tracing::warn!("the database did not answer in time; the audit may not be complete"),
        }
    }
}

/// What the page asks for.
#[derive(serde::Deserialize)]
struct Wanted {
    days: Option<u32>,
    zone: Option<TimeZone>,
    step: Option<CalendarUnit>,
}

async fn tokens(State(service): State<Service>, Query(wanted): Query<Wanted>) -> Answer {
    let zone = wanted.zone.unwrap_or_default();
    let step = wanted.step.unwrap_or_default();
    let question = Question::Tokens(format!("{:?} {zone:?} {step:?}", wanted.days));
    let work = async {
        let days = |days| TimeRange::last_calendar_days(SystemClock.now(), days, &zone);
        let range = wanted.days.map_or(TimeRange::ALL, days);
        let query = DashboardQuery::new(range).by(step, zone.clone());
        match service.dashboard.get_dashboard_token_metrics(query).await {
            Ok(figures) => json(StatusCode::OK, &figures),
            Err(error) => failure(&error),
        }
    };
    service.answers.get(question, work).await
}

async fn health(State(service): State<Service>) -> Answer {
    let work = async {
        let health = service.bridge.health_check().await;
        let works = health.overall < HealthState::Unhealthy;
        json(if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
    };
    service.answers.get(Question::Health, work).await
}

async fn metrics_page(State(service): State<Service>) -> String {
    service.bridge.export_metrics();
    service.metrics.render()
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => Answer { status, content_type: "application/json", body: body.into() },
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// An error as an answer.
fn failure(error: &BridgeError) -> Answer {
    let may_pass = error.is_retryable();
    let status = if may_pass { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    text(status, format!("{}; {}", Escaped::text(&error.to_string()), bridge::advice(error)))
}

fn text(status: StatusCode, text: String) -> Answer {
    Answer { status, content_type: "text/plain; charset=utf-8", body: text.into() }
}
