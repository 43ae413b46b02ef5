//! Errors as problem details (RFC 9457).

use axum::BoxError;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bridge_core::{BridgeError, ConnectionKind, CorrelationId, StorageKind};
use serde::Serialize;

use super::answers::Count;

/// An error of a request. It holds no path of this machine, no host and no text of the database: those are in the log,
/// under the correlation id.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    kind: ProblemKind,
    detail: String,
    errors: Vec<InvalidParameter>,
    /// The failed operation, if it is not that of the request itself.
    operation: Option<CorrelationId>,
    /// The number of the entry that comes next, if other ones were pushed.
    expected: Option<Count>,
}

/// A parameter that cannot be used, and why.
#[derive(Debug, Clone, Serialize)]
pub(super) struct InvalidParameter {
    pub(super) parameter: String,
    pub(super) detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProblemKind {
    InvalidParameters,
    InvalidEntries,
    NotFound,
    UnknownSession,
    UnknownPrices,
    MethodNotAllowed,
    OutOfOrder,
    RolledBack,
    Denied,
    BodyTooLarge,
    TargetTooLong,
    UnsupportedMediaType,
    UnknownHost,
    Internal,
    Unsupported,
    Busy,
    TimedOut,
    Unavailable,
    NotReady,
}

impl ProblemKind {
    fn facts(self) -> ProblemFacts {
        use StatusCode as Code;
        let (status, name, title) = match self {
            Self::InvalidParameters => (Code::BAD_REQUEST, "invalid-parameters", "Invalid parameters"),
            Self::InvalidEntries => (Code::BAD_REQUEST, "invalid-entries", "Invalid entries"),
            Self::NotFound => (Code::NOT_FOUND, "not-found", "There is no such resource"),
            Self::UnknownSession => (Code::NOT_FOUND, "unknown-session", "The session is not stored"),
            Self::UnknownPrices => (Code::NOT_FOUND, "unknown-prices", "The price list is not stored"),
            Self::MethodNotAllowed => {
                (Code::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed")
            }
            Self::OutOfOrder => (Code::CONFLICT, "out-of-order", "Entries are missing"),
            Self::Denied => (Code::FORBIDDEN, "denied", "The store rejected the request"),
            Self::RolledBack => (Code::CONFLICT, "rolled-back", "The store was rolled back"),
            Self::BodyTooLarge => (Code::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::TargetTooLong => (Code::URI_TOO_LONG, "target-too-long", "The target is too long"),
            Self::UnsupportedMediaType => {
                (Code::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type")
            }
            Self::UnknownHost => (Code::MISDIRECTED_REQUEST, "unknown-host", "The host name is not accepted"),
            Self::Internal => (Code::INTERNAL_SERVER_ERROR, "internal", "The operation failed"),
            Self::Unsupported => (Code::NOT_IMPLEMENTED, "unsupported", "The store does not offer this"),
            Self::Busy => (Code::SERVICE_UNAVAILABLE, "busy", "The service is busy"),
            Self::TimedOut => (Code::SERVICE_UNAVAILABLE, "timed-out", "The request took too long"),
            Self::Unavailable => (Code::SERVICE_UNAVAILABLE, "unavailable", "The database is not available"),
            Self::NotReady => (Code::SERVICE_UNAVAILABLE, "not-ready", "The service is not ready"),
        };
        let retry_after = match self {
            Self::Busy | Self::TimedOut | Self::NotReady => Some("1"),
            Self::Unavailable => Some("5"),
            _ => None,
        };
        ProblemFacts { status, name, title, retry_after }
    }
}

/// The facts that all problems of a kind have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProblemFacts {
    pub(super) status: StatusCode,
    /// The last part of the type.
    name: &'static str,
    pub(super) title: &'static str,
    /// The seconds to wait, where a retry may succeed.
    pub(super) retry_after: Option<&'static str>,
}

/// The JSON of a problem.
#[derive(Serialize)]
struct ProblemDetails<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<CorrelationId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [InvalidParameter],
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Count>,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), operation: None, expected: None }
    }

    /// Returns the problem of a request with these parameters.
    pub(super) fn of_parameters(errors: Vec<InvalidParameter>) -> Self {
        let list: Vec<_> =
            errors.iter().map(|error| format!("{}: {}", error.parameter, error.detail)).collect();
        Self { errors, ..Self::new(ProblemKind::InvalidParameters, list.join("; ")) }
    }

    /// Returns the problem of a body that is longer than this.
    pub(super) fn body_too_large(bytes_max: usize) -> Self {
        Self::new(ProblemKind::BodyTooLarge, format!("the body exceeds {bytes_max} bytes"))
    }

    /// Returns the problem of an error of a limiting layer.
    pub(super) fn of_limit(error: &BoxError) -> Self {
        if error.is::<tower::timeout::error::Elapsed>() {
            Self::new(ProblemKind::TimedOut, "no answer was ready in time")
        } else {
            Self::new(ProblemKind::Busy, "too many requests are being served")
        }
    }

    pub(super) fn facts(&self) -> ProblemFacts {
        self.kind.facts()
    }

    #[cfg(feature = "page")]
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the response for a request of this path.
    pub(super) fn render(&self, instance: &str, request: Option<CorrelationId>) -> Response {
        let ProblemFacts { status, name, title, retry_after } = self.facts();
        let details = ProblemDetails {
            r#type: format!("urn:problem-type:bridge:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            instance,
            correlation_id: self.operation.or(request),
            errors: &self.errors,
            expected: self.expected,
        };
        let body = serde_json::to_vec(&details).expect("texts and numbers are JSON");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        (status, headers, Body::from(body)).into_response()
    }
}

impl From<BridgeError> for Problem {
    fn from(error: BridgeError) -> Self {
        let kind = match &error {
            BridgeError::InvertedRange { .. } => ProblemKind::InvalidParameters,
            BridgeError::UnknownSession { .. } => ProblemKind::UnknownSession,
            BridgeError::OutOfOrder { .. } => ProblemKind::OutOfOrder,
            BridgeError::Storage { kind: StorageKind::RolledBack, .. } => ProblemKind::RolledBack,
            BridgeError::Storage { kind: StorageKind::UnknownPrices, .. } => ProblemKind::UnknownPrices,
            BridgeError::Storage { kind: StorageKind::Unsupported, .. } => ProblemKind::Unsupported,
            BridgeError::Storage { kind: StorageKind::Denied, .. } => ProblemKind::Denied,
            BridgeError::Storage { kind: StorageKind::Busy, .. }
            | BridgeError::Connection { kind: ConnectionKind::PoolExhausted, .. } => ProblemKind::Busy,
            error if error.is_retryable() => ProblemKind::Unavailable,
            _ => ProblemKind::Internal,
        };
        // The messages of other kinds name hosts and paths, or are the database's own.
        let detail = match &error {
            BridgeError::InvertedRange { .. } | BridgeError::UnknownSession { .. } => error.to_string(),
            BridgeError::OutOfOrder { expected, offset, unit, .. } => {
                format!("begins at {unit} {offset}, but {unit} {expected} comes next")
            }
            BridgeError::Connection { kind, .. } => kind.to_string(),
            BridgeError::Storage { kind: StorageKind::Denied, message, .. } => message.clone(),
            BridgeError::Storage { kind, .. } => kind.to_string(),
            _ => "the log has the cause, under the correlation id".to_owned(),
        };
        let expected = match &error {
            BridgeError::OutOfOrder { expected, .. } => Some(Count(*expected)),
            _ => None,
        };
        Self { operation: error.context().correlation_id, expected, ..Self::new(kind, detail) }
    }
}

impl IntoResponse for Problem {
    /// Returns a response that [`render`](Self::render) replaces where request and path are known.
    fn into_response(self) -> Response {
        let mut response = self.facts().status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_tells_neither_hosts_nor_paths_nor_the_databases_words() {
        let errors = [
            BridgeError::connection(ConnectionKind::Unreachable, "read", "secret-host:8123"),
            BridgeError::storage(StorageKind::Other, "read", "secret message"),
            BridgeError::unreadable("/secret/path", "secret cause"),
            BridgeError::backup("/secret/path", "secret defect"),
            BridgeError::backfill("secret progress"),
        ];
        for error in errors {
            let problem = Problem::from(error);
            assert!(!problem.detail.contains("secret") && !problem.detail.is_empty(), "{problem:?}");
        }
    }

    #[test]
    fn only_what_may_succeed_later_has_a_time_to_retry() {
        let status = |error: BridgeError| {
            let facts = Problem::from(error).facts();
            (facts.status.as_u16(), facts.retry_after)
        };
        let connection = |kind| status(BridgeError::connection(kind, "read", "db"));
        let storage = |kind| status(BridgeError::storage(kind, "read", ""));
        assert_eq!(connection(ConnectionKind::CircuitOpen), (503, Some("5")));
        assert_eq!(connection(ConnectionKind::PoolExhausted), (503, Some("1")));
        assert_eq!(connection(ConnectionKind::Refused), (500, None));
        assert_eq!(storage(StorageKind::Busy), (503, Some("1")));
        assert_eq!(storage(StorageKind::Unsupported), (501, None));
        assert_eq!(storage(StorageKind::Denied), (403, None));
        assert_eq!(storage(StorageKind::Corrupt), (500, None));
    }

    /// An embedder's store writes it for the caller.
    #[test]
    fn a_denial_states_the_rule_of_the_store() {
        let error = BridgeError::storage(StorageKind::Denied, "upsert", "the quota of the month is used up");
        assert_eq!(Problem::from(error).detail, "the quota of the month is used up");
    }
}
