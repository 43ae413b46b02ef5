//! Responses of the relay itself.

/// Reason that a request does not reach the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    NotFound,
    MethodNotAllowed,
    Slow,
    BodyTooLarge,
    HeadTooLarge,
    EngineDown,
    Busy,
}

impl Refusal {
    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Malformed => ("400 Bad Request", "", "the request is malformed"),
            Self::NotFound => ("404 Not Found", "", "unknown path or user"),
            Self::MethodNotAllowed => {
                ("405 Method Not Allowed", "Allow: GET, HEAD, POST\r\n", "the method is not allowed")
            }
            Self::Slow => ("408 Request Timeout", "", "the request was not complete in time"),
            Self::BodyTooLarge => {
                ("413 Content Too Large", "", "a body of this size needs an authenticated user")
            }
            Self::HeadTooLarge => {
                ("431 Request Header Headers Too Large", "", "the request's head is too large")
            }
            Self::Busy => ("503 Service Unavailable", "Retry-After: 1\r\n", "too many connections"),
            Self::EngineDown => {
                ("503 Service Unavailable", "Retry-After: 1\r\n", "the engine is being restarted")
            }
        }
    }

    /// Returns the whole response, after which the connection is closed.
    pub(super) fn response(self) -> Vec<u8> {
        let (status, headers, message) = self.parts();
        let length = message.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain; charset=UTF-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{message}\n"
        )
        .into_bytes()
    }
}
