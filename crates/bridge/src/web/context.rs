//! Who asks, under which id, and what every response carries.

use std::sync::Arc;

use axum::extract::{MatchedPath, OriginalUri, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bridge_core::{Actor, Assignment, CorrelationId};

use super::Web;
use super::problem::{Problem, ProblemKind};
use crate::dashboard::DashboardBridgeAdapter;
use crate::handle::EnhancedTokenDatabaseBridge;
use crate::telemetry::metrics::RequestGuard;

/// Maximum length of path and query.
const TARGET_BYTES_MAX: usize = 8 << 10;
/// Maximum length that the body of a request for reading may announce. It is not read.
pub(super) const UNREAD_BODY_BYTES_MAX: usize = 16 << 10;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The bridges for one request: their operations carry the request's correlation id and actor.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The bridge that the service is about: what is written, its sources, hosts and audit.
    pub(super) bridge: EnhancedTokenDatabaseBridge,
    /// The bridge that reads the stored usage. The same one, unless the options name a reader.
    pub(super) reader: EnhancedTokenDatabaseBridge,
    pub(super) actor: Option<Actor>,
}

impl Caller {
    /// Returns the dashboard over the stored usage, with the budgets of the service.
    pub(super) fn dashboard(&self) -> DashboardBridgeAdapter {
        self.reader.dashboard().with_budgets_of(&self.bridge.dashboard())
    }
}

/// Middleware that says who asks, measures the request, and finishes the response.
pub(super) async fn with_context(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let guard = RequestGuard::begin(Arc::clone(&web.bridge.runner().telemetry.metrics), path);
    let id = trace_id(&parts.headers).unwrap_or_else(|| web.bridge.runner().next_correlation_id());
    let actor = (web.options.actor)(&parts);
    // Within a nested router the path lacks its first part.
    let target = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let instance = target.path().to_owned();
    let target_bytes = target.path_and_query().map_or(0, |target| target.as_str().len());
    let response = if target_bytes > TARGET_BYTES_MAX {
        let limit = format!("path and query exceed {TARGET_BYTES_MAX} bytes");
        Problem::new(ProblemKind::TargetTooLong, limit).into_response()
    } else {
        let for_request = |bridge: &EnhancedTokenDatabaseBridge| {
            let bridge = bridge.with_correlation_id(id);
            match &actor {
                Some(actor) => bridge.with_actor(actor.clone()),
                None => bridge,
            }
        };
        let (mut bridge, reader) = (for_request(&web.bridge), for_request(web.reader()));
        if let Some(assignment) = parts.extensions.get::<Assignment>() {
            bridge = bridge.with_assignment(assignment.clone());
        }
        parts.extensions.insert(Caller { bridge, reader, actor });
        next.run(Request::from_parts(parts, body)).await
    };
    let response = finish(response, &instance, Some(id));
    guard.end(response.status());
    response
}

/// Middleware that refuses a request whose body is announced as longer than this.
pub(super) async fn limit_body(State(bytes_max): State<usize>, request: Request, next: Next) -> Response {
    let announced = request.headers().get(CONTENT_LENGTH).map_or(0, |length| {
        length.to_str().ok().and_then(|length| length.parse().ok()).unwrap_or(usize::MAX)
    });
    if announced > bytes_max {
        return Problem::body_too_large(bytes_max).into_response();
    }
    next.run(request).await
}

/// Returns the id of the trace that the request belongs to. More than one header is none.
fn trace_id(headers: &HeaderMap) -> Option<CorrelationId> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    CorrelationId::from_traceparent(value.to_str().ok()?)
}

/// Renders the problem of a response, and adds the headers that it lacks.
pub(super) fn finish(mut response: Response, instance: &str, id: Option<CorrelationId>) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.render(instance, id);
    }
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
    if let Some(id) = id {
        let id = HeaderValue::from_str(&id.to_string()).expect("hexadecimal digits are a header's value");
        headers.insert(CORRELATION_ID, id);
    }
    response
}
