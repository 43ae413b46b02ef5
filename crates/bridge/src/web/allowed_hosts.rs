//! The host names that a service accepts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::context::finish;
use super::problem::{Problem, ProblemKind};

/// The host names by which a service may be asked.
///
/// Prevents DNS rebinding, where another site's name resolves to this machine and lets the pages of that site read the
/// answers. Only `localhost` and the operator's names are accepted. IP addresses cannot be rebound; they are accepted
/// if the service listens on them.
///
/// ```
/// use bridge::web::AllowedHosts;
///
/// let hosts = AllowedHosts::of_listener("127.0.0.1:8080".parse()?).with_names(["tokens.example"]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    bound: IpAddr,
    names: Vec<String>,
}

impl AllowedHosts {
    /// Returns the hosts of a service that listens on this address.
    #[must_use]
    pub fn of_listener(bound: SocketAddr) -> Self {
        Self { bound: bound.ip(), names: Vec::new() }
    }

    /// Returns the hosts with these names, under which the service is reachable besides, for example through a proxy.
    #[must_use]
    pub fn with_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.names.extend(names.into_iter().map(Into::into));
        self
    }

    fn accept(&self, host: &str) -> bool {
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

/// Returns the router with requests for other hosts refused (421), and with security headers on every response that
/// does not have its own: no other site may frame, embed or read it, and nothing is loaded from anywhere. A page of the
/// embedder sends the `content-security-policy` that it needs.
pub fn protect(router: Router, hosts: AllowedHosts) -> Router {
    router.layer(from_fn_with_state(Arc::new(hosts), check_host))
}

async fn check_host(State(hosts): State<Arc<AllowedHosts>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(Authority::as_str).or(host);
    let instance = request.uri().path().to_owned();
    let response = if host.is_some_and(|host| hosts.accept(host)) {
        next.run(request).await
    } else {
        let why = "start the service with the additional names that it should accept";
        Problem::new(ProblemKind::UnknownHost, why).into_response()
    };
    finish(response, &instance, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(bound: &str, names: &[&str]) -> AllowedHosts {
        AllowedHosts::of_listener(SocketAddr::new(bound.parse().unwrap(), 80))
            .with_names(names.iter().copied())
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
            assert!(own.accept(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "192.0.2.1", "a b", "evil.example:80"] {
            assert!(!own.accept(host), "{host}");
        }
        assert!(hosts("192.0.2.1", &[]).accept("192.0.2.1:8080"));
        assert!(hosts("0.0.0.0", &[]).accept("192.0.2.7") && !hosts("0.0.0.0", &[]).accept("evil.example"));
    }
}
