//! The answers that the relay gives itself.

/// Why a request does not reach the engine.
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
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Malformed => ("400 Bad Request", "", "the request is malformed"),
            Self::NotFound => ("404 Not Found", "", "there is nothing for this user"),
            Self::MethodNotAllowed => {
                ("405 Method Not Allowed", "Allow: GET, HEAD, POST\r\n", "the method is not allowed")
            }
            Self::Slow => ("408 Request Timeout", "", "the request did not become complete in time"),
            Self::BodyTooLarge => {
                ("413 Content Too Large", "", "a body of this size needs a user with its password")
            }
            Self::HeadTooLarge => {
                ("431 Request Header Fields Too Large", "", "the request's head is too large")
            }
            Self::Busy => ("503 Service Unavailable", "Retry-After: 1\r\n", "there are too many connections"),
            Self::EngineDown => {
                ("503 Service Unavailable", "Retry-After: 1\r\n", "the engine is being restarted")
            }
        }
    }

    /// The whole answer. The connection ends behind it.
    pub(super) fn answer(self) -> Vec<u8> {
        let (status, fields, words) = self.words();
        let length = words.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n{fields}Content-Type: text/plain; charset=UTF-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{words}\n"
        )
        .into_bytes()
    }
}
