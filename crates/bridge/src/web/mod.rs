//! A router that serves the bridge over HTTP, for an axum service that embeds it.
//!
//! [`router`] is a plain [`axum::Router`]: merge it with the routes of the service, nest it below a path, put layers
//! around it. `docs/http-api.md` describes its resources, and `docs/http-api.schema.json` their JSON.
//!
//! **No authentication is built in.** Bind to a loopback address, or put a middleware in front that also sets the
//! actor. It also applies to `/health/live` and `/health/ready`: let them pass for an orchestrator without a token. The
//! limits of bodies, time and numbers apply to the router's own paths only.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! use std::sync::Arc;
//!
//! use axum::extract::Request;
//! use axum::http::StatusCode;
//! use axum::middleware::{self, Next};
//! use axum::response::{IntoResponse, Response};
//! use bridge::storage::InMemoryStore;
//! use bridge::web::{self, AllowedHosts, WebOptions};
//! use bridge::{Actor, EnhancedTokenDatabaseBridge};
//!
//! /// Admits requests with a known token, and names the actor to the router.
//! async fn authenticate(mut request: Request, next: Next) -> Response {
//!     let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
//!     let user = (token == Some("Bearer secret")).then(|| Actor::new("alice@example.com"));
//!     let Some(Ok(actor)) = user else { return StatusCode::UNAUTHORIZED.into_response() };
//!     request.extensions_mut().insert(actor);
//!     next.run(request).await
//! }
//!
//! let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
//! let listener = web::listen("127.0.0.1:0").await?;
//! let api = web::router(bridge.clone(), WebOptions::default()).layer(middleware::from_fn(authenticate));
//! let app = web::protect(api, AllowedHosts::of_listener(listener.local_addr()?));
//!
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let service = tokio::spawn(web::serve(listener, app, async { drop(stopped.await) }));
//! // On SIGTERM:
//! drop(stop);
//! service.await?;
//! bridge.shutdown().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A request is one operation of the bridge. Its correlation id, in the header `x-correlation-id` of the response, is
//! the trace id of the header `traceparent`, else it is made as for any operation. A moment's identical requests of one
//! actor share one operation.

mod allowed_hosts;
mod answers;
mod api_request;
mod audit;
mod blocks;
mod budgets;
mod context;
mod dashboard;
mod entries;
mod health;
mod hosts;
mod latest;
mod options;
#[cfg(feature = "page")]
mod page;
mod parameters;
mod problem;
mod response_cache;
mod serve;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::error_handling::HandleErrorLayer;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bridge_core::Timestamp;
use serde::Serialize;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;

pub use allowed_hosts::{AllowedHosts, protect};
pub use options::{EntriesOptions, WebOptions};
#[cfg(feature = "page")]
pub use page::PageOptions;
pub use serve::{listen, serve};

use crate::handle::EnhancedTokenDatabaseBridge;
use health::ServiceHealth;
use problem::{Problem, ProblemKind};
use response_cache::ResponseCache;

/// A body of JSON that can be sent more than once.
#[derive(Debug, Clone)]
struct Json {
    status: StatusCode,
    body: Bytes,
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

fn encode(status: StatusCode, value: &impl Serialize) -> Result<Json, Problem> {
    let body = serde_json::to_vec(value);
    let body = body.map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))?;
    Ok(Json { status, body: body.into() })
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    encode(status, value).map(IntoResponse::into_response)
}

/// The state of the router.
#[derive(Debug)]
struct Web {
    /// The bridge that the service is about.
    bridge: EnhancedTokenDatabaseBridge,
    health: ServiceHealth,
    options: WebOptions,
    answers: ResponseCache<String, Result<Json, Problem>>,
    /// Apart from the answers, whose queries it must not wait for.
    readiness: ResponseCache<(), bool>,
    #[cfg(feature = "page")]
    pages: page::Shared,
}

impl Web {
    /// Returns the bridge that reads the stored usage.
    fn reader(&self) -> &EnhancedTokenDatabaseBridge {
        self.options.reader.as_ref().unwrap_or(&self.bridge)
    }

    fn now(&self) -> Timestamp {
        self.bridge.ingest().clock.now()
    }

    /// Returns the answer of this key if it is of this moment, else that of the work.
    async fn answer<T: Serialize>(
        &self,
        key: String,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<Response, Problem> {
        let work = async { encode(StatusCode::OK, &work.await?) };
        // Boxed: the futures of operations are large.
        self.answers.get(key, Box::pin(work)).await.map(IntoResponse::into_response)
    }
}

/// Returns a router that serves the bridge:
///
/// | | |
/// |---|---|
/// | `/health/live` | the process serves requests |
/// | `/health/ready` | the database answers, found out within [`ready_timeout`](WebOptions::ready_timeout) |
/// | `/metrics` | what [`with_metrics`](WebOptions::with_metrics) renders |
/// | `/api/v1/totals`, `trend`, `breakdown`, `dashboard`, `receipt` | sums over the stored responses |
/// | `/api/v1/sessions`, `sessions/{id}` | pages of sessions, and what is known of one |
/// | `/api/v1/limits` | the limits that sessions hit |
/// | `/api/v1/expiring` | transcripts that the client will delete and that are not stored |
/// | `/api/v1/blocks` | the blocks by which clients limit usage |
/// | `/api/v1/budgets` | what is spent of the budgets |
/// | `/api/v1/hosts` | when each host of the store was last seen |
/// | `/api/v1/sessions/{id}/entries` | takes pushed entries, if [`with_entries`](WebOptions::with_entries) says so |
/// | `/api/v1/audit` | pages of the audit |
/// | `/api/v1/health` | the states of the health check's probes |
/// | `/`, `/breakdown`, `/sessions`, `/sessions/{id}`, `/receipt`, `/status`, `/suggestions` | the page, if `with_page` (feature `page`) says so |
///
/// With [`with_reader`](WebOptions::with_reader) another bridge reads the stored usage; this one remains the one whose
/// health, metrics, budgets, sources, hosts and audit are shown.
///
/// All resources but the entries are read-only. Errors are problem details (RFC 9457). The router has no fallback, so
/// that it can be merged with any other.
pub fn router(bridge: EnhancedTokenDatabaseBridge, options: WebOptions) -> Router {
    let limits = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(async |error| Problem::of_limit(&error)))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(options.requests_max))
        .layer(TimeoutLayer::new(options.request_timeout));
    let web = Arc::new(Web {
        health: ServiceHealth::of(bridge.clone()),
        bridge,
        answers: ResponseCache::new(options.answer_ttl, options.queries_max),
        readiness: ResponseCache::new(options.answer_ttl, 1),
        #[cfg(feature = "page")]
        pages: page::Shared::new(&options),
        options,
    });
    let unread_body = from_fn_with_state(context::UNREAD_BODY_BYTES_MAX, context::limit_body);
    let not_found =
        || any(async || Problem::new(ProblemKind::NotFound, "see docs/http-api.md for the paths"));
    let api = Router::new()
        .route("/api/v1/totals", get(dashboard::totals))
        .route("/api/v1/trend", get(dashboard::trend))
        .route("/api/v1/breakdown", get(dashboard::breakdown))
        .route("/api/v1/dashboard", get(dashboard::dashboard))
        .route("/api/v1/receipt", get(dashboard::receipt))
        .route("/api/v1/sessions", get(dashboard::sessions))
        .route("/api/v1/sessions/{id}", get(dashboard::session))
        .route("/api/v1/limits", get(dashboard::limits))
        .route("/api/v1/expiring", get(dashboard::expiring))
        .route("/api/v1/blocks", get(blocks::blocks))
        .route("/api/v1/budgets", get(budgets::budgets))
        .route("/api/v1/hosts", get(hosts::hosts))
        .route("/api/v1/audit", get(audit::audit))
        .route("/api/v1/health", get(health::health))
        .route("/api/v1/{*rest}", not_found())
        .layer(unread_body.clone());
    let api = match web.options.entries {
        Some(options) => api.route("/api/v1/sessions/{id}/entries", entries::route(options)),
        None => api,
    };
    #[cfg(feature = "page")]
    let api = match web.options.page {
        Some(_) => api.merge(page::routes().layer(unread_body.clone())),
        None => api,
    };
    // Without a limit of their number: an orchestrator's probes are answered under load, too.
    let probes = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .layer(unread_body);
    api.layer(limits)
        .merge(probes)
        .method_not_allowed_fallback(async || {
            Problem::new(ProblemKind::MethodNotAllowed, "see the `Allow` header")
        })
        .with_state(Arc::clone(&web))
        .layer(from_fn_with_state(web, context::with_context))
}
