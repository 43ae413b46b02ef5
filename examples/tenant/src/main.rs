//! A service of one tenant that embeds the bridge: a database client, a store and authentication of its own.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `TENANT_TOKEN` | what a request must present as its bearer token | required |
//! | `TENANT_NAME` | who asks, in log and audit; the label `tenant` of every response | `tenant` |
//! | `TENANT_ENVIRONMENT` | the label `environment` of the transcripts' responses | `production` |
//! | `TENANT_SOURCES` | the folder with the transcripts | the client's usual places |
//! | `TENANT_DATA_DIR` | data folder of the embedded engine | `tenant.clickhouse` |
//! | `TENANT_CLICKHOUSE_URL`, `_USER`, `_PASSWORD`, `_DATABASE` | a server in place of the engine | |
//! | `TENANT_LISTEN` | address of the service | `127.0.0.1:8081` |
//! | `TENANT_STOP_WITH_STDIN` | if set, the service also ends when its standard input does | |

mod store;

use std::env;
use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use bridge::assignment::{Assignment, Labels};
use bridge::embedded::EngineOptions;
use bridge::storage::{ClickHouseOptions, ClickHouseStore};
use bridge::stream::SessionEntries;
use bridge::web::{self, AllowedHosts, EntriesOptions, WebOptions};
use bridge::{
    Actor, AuditOptions, BridgeError, DashboardQuery, Dimension, EmbeddedDatabase,
    EnhancedTokenDatabaseBridge, SessionId, StorageKind, TokenStore,
};
use clickhouse::Client;
use serde::Deserialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use store::TenantStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let stop = stop_requested()?;
    let data_dir = PathBuf::from(variable("TENANT_DATA_DIR").unwrap_or("tenant.clickhouse".to_owned()));
    let (client, engine) = connect(data_dir.clone()).await?;
    // Several services may share the database: the prefix keeps their tables apart.
    let options = ClickHouseOptions::from_client(client).with_table_prefix("tenant_")?;
    let store = Arc::new(TenantStore::new(Arc::new(ClickHouseStore::new(options)?)));
    store.migrate().await?;

    let name = variable("TENANT_NAME").unwrap_or("tenant".to_owned());
    let environment = variable("TENANT_ENVIRONMENT").unwrap_or("production".to_owned());
    let labels = Labels::new([("tenant", &name), ("environment", &environment)])?;
    let mut builder = EnhancedTokenDatabaseBridge::builder(store.clone())
        .assignments(Assignment::of_labels(labels))
        .audit(AuditOptions::default().with_spool_dir(data_dir.join("audit-spool")))
        .watch_itself();
    if let Some(folder) = variable("TENANT_SOURCES") {
        builder = builder.sources([folder]);
    }
    if let Some(engine) = engine {
        builder = builder.close_engine(engine);
    }
    let bridge = builder.build();
    let syncing = bridge.keep_in_sync(Duration::from_secs(1), |outcome| {
        if let Err(error) = outcome {
            eprintln!("not synchronized: {error}");
        }
    });

    let listener = web::listen(&variable("TENANT_LISTEN").unwrap_or("127.0.0.1:8081".to_owned())).await?;
    let address = listener.local_addr()?;
    let gate = Gate {
        header: format!("Bearer {}", variable("TENANT_TOKEN").ok_or("TENANT_TOKEN is not set")?),
        actor: Actor::new(name)?,
    };
    let app = routes(bridge.clone(), store)
        .nest(
            "/usage",
            web::router(bridge.clone(), WebOptions::default().with_entries(EntriesOptions::default())),
        )
        .layer(middleware::from_fn_with_state(Arc::new(gate), authenticate));
    println!("listening on {address}");
    web::serve(listener, web::protect(app, AllowedHosts::of_listener(address)), stop).await;

    // No request is under way any more. What the last synchronization did not reach, the next start reads.
    syncing.stop().await;
    match bridge.shutdown().await {
        // Other programs may go on using the engine of the data folder.
        Err(rest) if rest.running_tasks || rest.unwritten_records > 0 => Err(rest.into()),
        _ => Ok(()),
    }
}

/// The service's own routes.
fn routes(bridge: EnhancedTokenDatabaseBridge, store: Arc<TenantStore>) -> Router {
    let pushes = Router::new()
        .route("/sessions/{session}/entries", post(push))
        .route("/environments/{environment}", get(environment_tokens))
        .with_state(bridge);
    Router::new()
        .route("/writes", get(writes))
        .route("/suspended", put(suspend))
        .with_state(store)
        .merge(pushes)
        .route("/live", get(async || "live\n"))
}

/// Which entries a push begins with.
#[derive(Deserialize)]
struct Numbered {
    first: Option<u64>,
}

/// Stores pushed entries as the bridge's router does, with answers of the service's own: a suspended tenant gets a 403.
async fn push(
    State(bridge): State<EnhancedTokenDatabaseBridge>,
    Extension(actor): Extension<Actor>,
    Extension(assignment): Extension<Assignment>,
    Path(session): Path<String>,
    Query(numbered): Query<Numbered>,
    body: Bytes,
) -> Response {
    let Ok(session) = SessionId::new(session) else { return StatusCode::BAD_REQUEST.into_response() };
    let mut entries = SessionEntries::from_ndjson(body);
    if let Some(first) = numbered.first {
        entries = entries.with_first(first);
    }
    match bridge.with_actor(actor).with_assignment(assignment).append(&session, entries).await {
        Ok(result) if result.success => Json(json!({ "next": result.position.lines })).into_response(),
        Ok(result) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "errors": result.errors }))).into_response()
        }
        Err(error) => {
            eprintln!("not stored: {error}");
            match error {
                BridgeError::OutOfOrder { expected, .. } => {
                    (StatusCode::CONFLICT, Json(json!({ "next": expected }))).into_response()
                }
                BridgeError::Storage { kind: StorageKind::Denied, .. } => {
                    StatusCode::FORBIDDEN.into_response()
                }
                error if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    }
}

/// Returns the tenant's tokens of one environment.
async fn environment_tokens(
    State(bridge): State<EnhancedTokenDatabaseBridge>,
    Extension(actor): Extension<Actor>,
    Path(environment): Path<String>,
) -> Result<Json<serde_json::Value>, StatusCode> {
    let label = |name| Dimension::label(name).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR);
    let query = DashboardQuery::default()
        .without_lists()
        .without_receipt()
        .with_values(label("tenant")?, [actor.as_str()])
        .with_values(label("environment")?, [environment]);
    let metrics = bridge.with_actor(actor).dashboard().get_dashboard_token_metrics(query).await;
    let metrics = metrics.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Json(json!({ "tokens": metrics.total_tokens.to_string() })))
}

async fn writes(State(store): State<Arc<TenantStore>>) -> Json<serde_json::Value> {
    let (passed, refused) = store.writes();
    Json(json!({ "passed": passed, "refused": refused }))
}

async fn suspend(State(store): State<Arc<TenantStore>>, Json(suspended): Json<bool>) -> StatusCode {
    store.suspend(suspended);
    StatusCode::NO_CONTENT
}

/// Who is admitted.
struct Gate {
    header: String,
    actor: Actor,
}

/// Admits requests with the tenant's token, and names the tenant as their actor. Probes need no token.
async fn authenticate(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let presented = request.headers().get("authorization").map(|value| value.as_bytes());
    let is_probe = matches!(request.uri().path(), "/live" | "/usage/health/live" | "/usage/health/ready");
    if !is_probe && !presented.is_some_and(|header| is_same(header, gate.header.as_bytes())) {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]).into_response();
    }
    request.extensions_mut().insert(gate.actor.clone());
    // What a job pushes belongs to the environment that it names, else to the transcripts' one.
    let environment = request.headers().get("x-environment").and_then(|value| value.to_str().ok());
    let labels = Labels::new(environment.map(|environment| ("environment", environment)));
    let Ok(labels) = labels else { return StatusCode::BAD_REQUEST.into_response() };
    request.extensions_mut().insert(Assignment::of_labels(labels));
    next.run(request).await
}

/// Compares in constant time.
fn is_same(presented: &[u8], secret: &[u8]) -> bool {
    presented.len() == secret.len() && presented.iter().zip(secret).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Returns the service's own client, and the engine that it needs where no server is named.
async fn connect(data_dir: PathBuf) -> Result<(Client, Option<EmbeddedDatabase>), Box<dyn Error>> {
    if let Some(url) = variable("TENANT_CLICKHOUSE_URL") {
        let client = Client::default()
            .with_url(url)
            .with_user(variable("TENANT_CLICKHOUSE_USER").unwrap_or("default".to_owned()))
            .with_password(variable("TENANT_CLICKHOUSE_PASSWORD").unwrap_or_default())
            .with_database(variable("TENANT_CLICKHOUSE_DATABASE").unwrap_or("bridge".to_owned()));
        return Ok((client, None));
    }
    let start =
        move || EmbeddedDatabase::start_with(&EngineOptions::at(data_dir), |event| eprintln!("{event}"));
    let database = tokio::task::spawn_blocking(start).await??;
    let engine = database.engine();
    let endpoint = engine.endpoint();
    let client = Client::default()
        .with_url(&endpoint.url)
        .with_user(&endpoint.writer.user)
        .with_password(&endpoint.writer.password)
        .with_database(&endpoint.database);
    Ok((client, Some(database)))
}

/// Returns a future that completes when the service is asked to end.
fn stop_requested() -> Result<impl Future<Output = ()>, std::io::Error> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = end_of_input(), if variable("TENANT_STOP_WITH_STDIN").is_some() => {}
        }
    })
}

/// Waits on a thread of its own: a read of Tokio's standard input would keep the runtime from ending.
async fn end_of_input() {
    let (ended, end) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        // An error of reading is an end as well.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(ended);
    });
    let _ = end.await;
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
