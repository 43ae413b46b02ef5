//! Takes entries of a session that a client pushes.

use std::sync::Arc;

use axum::body::Bytes;
use axum::error_handling::HandleErrorLayer;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, RawQuery};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use axum::{BoxError, Extension};
use bridge_core::{DamageCounts, HostName, StreamResult};
use serde::{Serialize, Serializer};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;

use super::Web;
use super::answers::{CostChangeAnswer, Count};
use super::context::{Caller, limit_body};
use super::dashboard::FLAG;
use super::options::EntriesOptions;
use super::parameters::{Parameters, session_id};
use super::problem::{Problem, ProblemKind};
use crate::entries::{InvalidEntries, SessionEntries};

/// Returns the route, with limits of its own: a body is held in memory.
pub(super) fn route(options: EntriesOptions) -> MethodRouter<Arc<Web>> {
    let limits = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(async |error: BoxError| Problem::of_limit(&error)))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(options.requests_max))
        .layer(from_fn_with_state(options.body_bytes_max, limit_body))
        .layer(DefaultBodyLimit::max(options.body_bytes_max))
        .layer(Extension(options));
    post(append).layer(limits)
}

async fn append(
    Extension(options): Extension<EntriesOptions>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let session = session_id(id)?;
    let mut parameters = Parameters::parse(raw.as_deref());
    let place = StreamParameters::take(&mut parameters);
    let with_cost = parameters.choice("cost", &FLAG).unwrap_or_default();
    parameters.finish()?;
    let format = Format::of(&headers)?;
    let body = body.map_err(|error| unread(&error, options))?;
    let reading = tokio::task::spawn_blocking(move || format.read(&body));
    let entries = reading.await.map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))?;
    // The error says where it is, and quotes nothing of the entries.
    let entries = entries.map_err(|error| Problem::new(ProblemKind::InvalidEntries, error.to_string()))?;
    // Boxed: the futures of operations are large.
    let result = Box::pin(caller.bridge.append(&session, place.of(entries))).await?;
    super::json(StatusCode::OK, &EntriesAnswer::new(&result, with_cost))
}

fn unread(error: &BytesRejection, options: EntriesOptions) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::body_too_large(options.body_bytes_max)
    } else {
        Problem::new(ProblemKind::InvalidEntries, "the body ended early")
    }
}

/// The parameters of the entries.
struct StreamParameters {
    first: Option<u64>,
    subpath: Option<String>,
    project_key: Option<String>,
    host: Option<HostName>,
}

impl StreamParameters {
    fn take(parameters: &mut Parameters) -> Self {
        Self {
            first: parameters.number("first", 0..=u64::MAX),
            subpath: parameters.name("subpath"),
            project_key: parameters.name("project_key"),
            host: parameters.value("host"),
        }
    }

    fn of(self, mut entries: SessionEntries) -> SessionEntries {
        if let Some(first) = self.first {
            entries = entries.with_first(first);
        }
        if let Some(subpath) = self.subpath {
            entries = entries.with_subpath(subpath);
        }
        if let Some(key) = self.project_key {
            entries = entries.with_project_key(key);
        }
        if let Some(host) = self.host {
            entries = entries.with_host(host);
        }
        entries
    }
}

/// The format of a body.
#[derive(Clone, Copy)]
enum Format {
    /// One entry per line.
    Lines,
    /// A JSON array.
    Array,
}

impl Format {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let unsupported = |what| Problem::new(ProblemKind::UnsupportedMediaType, what);
        // The lines of a compressed body would all be damaged.
        if headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
            return Err(unsupported("the body must not be compressed"));
        }
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-ndjson") {
            Ok(Self::Lines)
        } else if essence.eq_ignore_ascii_case("application/json") {
            Ok(Self::Array)
        } else {
            Err(unsupported("the content type must be application/x-ndjson or application/json"))
        }
    }

    fn read(self, body: &[u8]) -> Result<SessionEntries, InvalidEntries> {
        match self {
            Self::Lines => Ok(SessionEntries::from_ndjson(body)),
            Self::Array => SessionEntries::from_json_array(body),
        }
    }
}

/// A signed number of 64 bits.
struct Change(i64);

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The result of pushed entries. Errors of sessions are only logged.
#[derive(Serialize)]
struct EntriesAnswer {
    success: bool,
    /// The number of the next entry.
    expected: Count,
    lines_read: Count,
    lines_known: Count,
    records_stored: Count,
    new_responses: Count,
    /// The change of all totals.
    tokens: Change,
    /// The change of all costs, if it was asked for and there are prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_change: Option<CostChangeAnswer>,
    damage: Damage,
    duration_seconds: f64,
}

#[derive(Serialize)]
struct Damage {
    bad_lines: Count,
    bad_usage: Count,
    oversize_lines: Count,
    pending_lines: Count,
}

impl From<DamageCounts> for Damage {
    fn from(damage: DamageCounts) -> Self {
        Self {
            bad_lines: Count(damage.bad_lines),
            bad_usage: Count(damage.bad_usage),
            oversize_lines: Count(damage.oversize_lines),
            pending_lines: Count(damage.pending_lines),
        }
    }
}

impl EntriesAnswer {
    fn new(result: &StreamResult, with_cost: bool) -> Self {
        Self {
            success: result.success,
            expected: Count(result.position.lines),
            lines_read: Count(result.lines_read),
            lines_known: Count(result.lines_known),
            records_stored: Count(result.records_stored),
            new_responses: Count(result.new_responses),
            tokens: Change(result.tokens()),
            cost_change: with_cost.then(|| result.cost_change()).flatten().map(CostChangeAnswer::from),
            damage: result.damage.into(),
            duration_seconds: result.processing_time.as_secs_f64(),
        }
    }
}
