//! Who is admitted.

mod refusals;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use refusals::Refusals;

/// Returns the router that admits only requests with this token, as `Authorization: Bearer TOKEN`, or as the password
/// that a browser asks for. Probes need none.
pub fn with_token(router: Router, token: Option<String>) -> Router {
    match token {
        Some(token) => {
            let gate = Arc::new(Gate { token, refusals: Refusals::new() });
            router.layer(from_fn_with_state(gate, authenticate))
        }
        None => router,
    }
}

/// Returns the router with answers that make browsers use TLS from then on.
pub fn over_tls_only(router: Router) -> Router {
    router.layer(map_response(async |mut response: Response| {
        let a_year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, a_year);
        response
    }))
}

struct Gate {
    token: String,
    refusals: Refusals,
}

async fn authenticate(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let is_probe = matches!(request.uri().path(), "/health/live" | "/health/ready");
    let presented = request.headers().get(AUTHORIZATION);
    let text = presented.and_then(|value| value.to_str().ok());
    if is_probe || text.is_some_and(|text| admits(text, &gate.token)) {
        return next.run(request).await;
    }
    gate.refusals.count(presented.is_some());
    let challenge = r#"Basic realm="token usage", charset="UTF-8""#;
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], "authentication required\n").into_response()
}

fn admits(presented: &str, token: &str) -> bool {
    let Some((scheme, value)) = presented.split_once(' ') else { return false };
    if scheme.eq_ignore_ascii_case("bearer") {
        return is_same(value.trim().as_bytes(), token.as_bytes());
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(value.trim()).ok());
    let Some(Some(decoded)) = decoded else { return false };
    let password = decoded.iter().position(|byte| *byte == b':').map(|colon| &decoded[colon + 1..]);
    password.is_some_and(|password| is_same(password, token.as_bytes()))
}

/// Compares in constant time.
fn is_same(presented: &[u8], secret: &[u8]) -> bool {
    presented.len() == secret.len() && presented.iter().zip(secret).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_admits_by_either_scheme() {
        let token = "0123456789abcdef";
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for presented in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef", &basic("me:0123456789abcdef")]
        {
            assert!(admits(presented, token), "{presented}");
        }
        for presented in [
            "",
            "Bearer",
            "Bearer 0123456789abcde",
            "0123456789abcdef",
            &basic("0123456789abcdef"),
            "Basic !",
            &basic(":"),
        ] {
            assert!(!admits(presented, token), "{presented}");
        }
    }
}
