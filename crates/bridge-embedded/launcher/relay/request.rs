//! Strict parsing of a request's head: anything that two parsers could read differently (request smuggling) is refused.

use super::headers::{self, Headers, Repeated};
use super::limits::HEADERS_MAX;
use super::refusal::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
}

/// Length of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    None,
    Bytes(u64),
    Chunked,
}

/// The head of an unambiguous request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: Headers,
    pub(super) body: BodyLength,
    /// False for HTTP/1.0.
    pub(super) is_http_1_1: bool,
    /// The client keeps the connection open for another request.
    pub(super) keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

impl Request {
    /// Parses a head.
    pub(super) fn parse(head: &[u8]) -> Result<Self, Refusal> {
        let (first, headers) = headers::parse(head, HEADERS_MAX).ok_or(Refusal::Malformed)?;
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refusal::Malformed);
        };
        let is_http_1_1 = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ => return Err(Refusal::Malformed),
        };
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            _ => return Err(Refusal::MethodNotAllowed),
        };
        if !is_target(target) {
            return Err(Refusal::Malformed);
        }
        for once in ["Host", "X-ClickHouse-User", "X-ClickHouse-Key", "Authorization", "Content-Encoding"] {
            headers.only(once)?;
        }
        let body = body_length(&headers, is_http_1_1)?;
        let expects_continue = match headers.only("Expect")? {
            None => false,
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => body != BodyLength::None,
            Some(_) => return Err(Refusal::Malformed),
        };
        let keep_alive = !headers.lists("Connection", "close")
            && (is_http_1_1 || headers.lists("Connection", "keep-alive"));
        let target = target.to_owned();
        Ok(Self { method, target, headers, body, is_http_1_1, keep_alive, expects_continue })
    }

    /// Returns the path, without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns the raw value of the first parameter with this name.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn method_name(&self) -> &'static str {
        match self.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
        }
    }
}

impl From<Repeated> for Refusal {
    fn from(_: Repeated) -> Self {
        Self::Malformed
    }
}

fn body_length(headers: &Headers, is_http_1_1: bool) -> Result<BodyLength, Refusal> {
    let length = headers.only("Content-Length")?;
    let coding = headers.only("Transfer-Encoding")?;
    match (length, coding) {
        (None, None) => Ok(BodyLength::None),
        (None, Some(coding)) if is_http_1_1 && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(BodyLength::Chunked)
        }
        (Some(digits), None) if (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            let bytes = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            bytes.map(BodyLength::Bytes).ok_or(Refusal::Malformed)
        }
        _ => Err(Refusal::Malformed),
    }
}

/// Returns whether it is a path with an optional query, of visible characters and valid percent escapes.
fn is_target(target: &str) -> bool {
    let escapes = || target.split('%').skip(1);
    target.starts_with('/')
        && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        && escapes().all(|text| text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, Refusal> {
        Request::parse(format!("{text}\r\n\r\n").as_bytes())
    }

    #[test]
    fn parses_plain_requests() {
        let text = "POST /?query=SELECT%201&query_id=a%20b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked";
        let request = parse(text).unwrap();
        assert_eq!((request.method, request.path()), (Method::Post, "/"));
        assert_eq!((request.body, request.keep_alive), (BodyLength::Chunked, true));
        assert_eq!((request.parameter("query_id"), request.parameter("id")), (Some("a%20b"), None));
        let old = parse("GET / HTTP/1.0\r\nContent-Length: 12").unwrap();
        assert_eq!((old.body, old.keep_alive, old.is_http_1_1), (BodyLength::Bytes(12), false, false));
        assert!(
            parse("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3").unwrap().expects_continue
        );
    }

    #[test]
    fn refuses_ambiguous_requests() {
        for text in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / HTTP/2.0",
            "GET http://x/ HTTP/1.1",
            "GET /%zz HTTP/1.1",
            "GET /% HTTP/1.1",
            "GET /#x HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "POST / HTTP/1.1\r\nContent-Length: -1",
            "POST / HTTP/1.1\r\nContent-Length: +1",
            "POST / HTTP/1.1\r\nContent-Length: 1, 1",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999",
            "POST / HTTP/1.1\r\nContent-Length:",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked",
            "POST / HTTP/1.1\r\nExpect: miracles",
            "GET / HTTP/1.1\r\nX-ClickHouse-User: a\r\nX-ClickHouse-User: b",
        ] {
            assert!(matches!(parse(text), Err(Refusal::Malformed)), "{text}");
        }
        for method in ["OPTIONS", "TRACE", "PUT", "DELETE", "get", "CONNECT"] {
            assert!(
                matches!(parse(&format!("{method} / HTTP/1.1")), Err(Refusal::MethodNotAllowed)),
                "{method}"
            );
        }
    }
}
