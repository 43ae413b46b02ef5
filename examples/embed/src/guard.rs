//! Request checks and security headers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, RETRY_AFTER};
use axum::http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Maximum duration of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Rejects requests for unknown hosts, and requests that take too long.
#[derive(Clone)]
pub(crate) struct Guard {
    hosts: Arc<Hosts>,
}

/// The host names that the service accepts.
struct Hosts {
    bound: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    /// Returns `true` if the `Host` header is accepted.
    ///
    /// Prevents DNS rebinding, where another site's name resolves to this machine and lets its pages read the
    /// responses. Only `localhost` and the operator's names are accepted. IP addresses cannot be rebound; they are
    /// accepted if the service listens on them.
    fn accepts(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let host = authority.host();
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => address.is_loopback() || address == self.bound || self.bound.is_unspecified(),
            Err(_) => {
                let is = |name: &str| host.eq_ignore_ascii_case(name);
                is("localhost") || self.names.iter().any(|name| is(name))
            }
        }
    }
}

impl Guard {
    /// Creates the guard of a service that listens on `bound` and is also reachable under these names.
    pub(crate) fn new(bound: SocketAddr, names: Vec<String>) -> Self {
        Self { hosts: Arc::new(Hosts { bound: bound.ip(), names }) }
    }

    async fn respond(&self, request: Request, next: Next) -> Response {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().authority().map(Authority::as_str).or(host);
        if !host.is_some_and(|host| self.hosts.accepts(host)) {
            let message =
                "unknown host name; start the service with the additional names that it should accept";
            return (StatusCode::MISDIRECTED_REQUEST, message).into_response();
        }
        let timed_out =
            |_| (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "request timed out").into_response();
        tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(timed_out)
    }
}

/// Middleware that applies the guard and adds the security headers to every response.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = guard.respond(request, next).await;
    response.headers_mut().extend(HEADERS);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(bound: &str, names: &[&str]) -> Hosts {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Hosts { bound: bound.parse().unwrap(), names }
    }

    #[test]
    fn only_local_and_configured_host_names_are_accepted() {
        let own = hosts("127.0.0.1", &["tokens.example"]);
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "tokens.example",
            "TOKENS.example:80",
        ] {
            assert!(own.accepts(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "192.0.2.1", "a b", "evil.example:80"] {
            assert!(!own.accepts(host), "{host}");
        }
        assert!(hosts("192.0.2.1", &[]).accepts("192.0.2.1:8080"));
        assert!(hosts("0.0.0.0", &[]).accepts("192.0.2.7") && !hosts("0.0.0.0", &[]).accepts("evil.example"));
    }
}
