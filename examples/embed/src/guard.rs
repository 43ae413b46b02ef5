//! Who is answered, and what browsers may do with the answers.

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

/// So long a request may take.
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

/// Which requests are answered.
#[derive(Clone)]
pub(crate) struct Guard {
    hosts: Arc<Hosts>,
}

/// The names under which the service is reached.
struct Hosts {
    bound: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    /// A page elsewhere may have its own name resolve to this machine (DNS rebinding) and would read the answers as
    /// its own. So only names that no stranger gives away are answered: this machine's, and those that the operator
    /// names. A number cannot be rebound; it counts where the service listens on it.
    fn admit(&self, host: &str) -> bool {
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
    /// For a service that listens here and is reached under these names, too.
    pub(crate) fn new(bound: SocketAddr, names: Vec<String>) -> Self {
        Self { hosts: Arc::new(Hosts { bound: bound.ip(), names }) }
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().authority().map(Authority::as_str).or(host);
        if !host.is_some_and(|host| self.hosts.admit(host)) {
            let message =
                "this service is not known under this name; it is started with the names that it answers to";
            return (StatusCode::MISDIRECTED_REQUEST, message).into_response();
        }
        let late =
            |_| (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "no answer in time").into_response();
        tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(late)
    }
}

/// The middleware around everything.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = guard.answer(request, next).await;
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
    fn only_this_machine_and_the_names_given_are_answered() {
        let own = hosts("127.0.0.1", &["tokens.example"]);
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "tokens.example",
            "TOKENS.example:80",
        ] {
            assert!(own.admit(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "192.0.2.1", "a b", "evil.example:80"] {
            assert!(!own.admit(host), "{host}");
        }
        assert!(hosts("192.0.2.1", &[]).admit("192.0.2.1:8080"));
        assert!(hosts("0.0.0.0", &[]).admit("192.0.2.7") && !hosts("0.0.0.0", &[]).admit("evil.example"));
    }
}
