//! The engine's response: its head and the length of its body.

use super::chunked::Unchunker;
use super::headers::{self, Headers};
use super::request::Method;

/// The head of a response.
#[derive(Debug)]
pub(super) struct Response {
    /// Status code and reason: `200 OK`.
    status: String,
    headers: Headers,
    pub(super) length: ResponseLength,
    /// The engine accepts another request on its connection.
    pub(super) keep_alive: bool,
}

/// Length of a response's body.
#[derive(Debug)]
pub(super) enum ResponseLength {
    Bytes(u64),
    Chunked(Unchunker),
    /// Until the connection is closed.
    Unknown,
}

/// The response is not valid HTTP.
#[derive(Debug)]
pub(super) struct InvalidResponse;

impl Response {
    /// Parses a head.
    pub(super) fn parse(head: &[u8], method: Method) -> Result<Self, InvalidResponse> {
        let (first, headers) = headers::parse(head, usize::MAX).ok_or(InvalidResponse)?;
        let (version, status) = first.split_once(' ').ok_or(InvalidResponse)?;
        let code: u16 = status.get(..3).and_then(|code| code.parse().ok()).ok_or(InvalidResponse)?;
        let keep_alive = version == "HTTP/1.1" && !headers.lists("Connection", "close");
        let stated = headers.only("Content-Length").map_err(|_| InvalidResponse)?;
        let length = if method == Method::Head || matches!(code, 100..=199 | 204 | 304) {
            ResponseLength::Bytes(0)
        } else if headers.lists("Transfer-Encoding", "chunked") {
            ResponseLength::Chunked(Unchunker::default())
        } else if let Some(digits) = stated {
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidResponse)?;
            ResponseLength::Bytes(digits.parse().map_err(|_| InvalidResponse)?)
        } else {
            ResponseLength::Unknown
        };
        Ok(Self { status: status.to_owned(), headers, length, keep_alive })
    }

    /// Returns whether another head follows.
    pub(super) fn is_interim(&self) -> bool {
        self.status.starts_with('1')
    }

    /// Writes the head for a client; HTTP/1.0 gets no chunked coding.
    pub(super) fn write_head(&self, is_http_1_1: bool, keep_alive: bool, into: &mut Vec<u8>) {
        into.extend(format!("HTTP/1.1 {}\r\n", self.status).as_bytes());
        self.headers.write_end_to_end(into);
        if let Some(length) = self.headers.all("Content-Length").next() {
            into.extend(b"Content-Length: ");
            into.extend(length);
            into.extend(b"\r\n");
        } else if is_http_1_1 && self.headers.lists("Transfer-Encoding", "chunked") {
            into.extend(b"Transfer-Encoding: chunked\r\n");
        }
        into.extend(if keep_alive {
            b"Connection: keep-alive\r\n\r\n".as_slice()
        } else {
            b"Connection: close\r\n\r\n"
        });
    }
}

impl ResponseLength {
    /// Returns whether the client can find the end before the connection is closed.
    pub(super) fn is_delimited(&self, is_http_1_1: bool) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Chunked(_) => is_http_1_1,
            Self::Unknown => false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Bytes(left) => *left == 0,
            Self::Chunked(unchunker) => unchunker.is_done(),
            Self::Unknown => false,
        }
    }

    /// Consumes the bytes that belong to the body and writes them in the client's coding; returns their number.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        is_http_1_1: bool,
        into: &mut Vec<u8>,
    ) -> Result<usize, InvalidResponse> {
        let used = match self {
            Self::Bytes(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= used as u64;
                used
            }
            Self::Chunked(unchunker) => {
                let payload = |bytes: &[u8]| {
                    if !is_http_1_1 {
                        into.extend(bytes);
                    }
                };
                let used = unchunker.advance(input, payload).map_err(|_| InvalidResponse)?;
                if !is_http_1_1 {
                    return Ok(used);
                }
                used
            }
            Self::Unknown => input.len(),
        };
        into.extend(input.get(..used).unwrap_or_default());
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_response_is_decoded_for_http_1_0_only() {
        let head =
            b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=30\r\n\r\n";
        let body = b"3\r\nabc\r\n0\r\n\r\nnext";
        for (is_http_1_1, text) in [(true, b"3\r\nabc\r\n0\r\n\r\n".as_slice()), (false, b"abc")] {
            let mut response = Response::parse(head, Method::Get).unwrap();
            let mut out = Vec::new();
            response.write_head(is_http_1_1, is_http_1_1, &mut out);
            let head = String::from_utf8(std::mem::take(&mut out)).unwrap();
            assert!(
                head.starts_with("HTTP/1.1 200 OK\r\nX-A: b\r\n") && !head.contains("Keep-Alive:"),
                "{head}"
            );
            assert_eq!(head.contains("chunked"), is_http_1_1);
            assert_eq!(response.length.advance(body, is_http_1_1, &mut out).unwrap(), body.len() - 4);
            assert!(response.length.is_done() && response.length.is_delimited(is_http_1_1) == is_http_1_1);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn response_to_head_has_no_body() {
        let response =
            Response::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", Method::Head).unwrap();
        assert!(response.length.is_done());
        let response = Response::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", Method::Get).unwrap();
        assert!(!response.length.is_done());
        assert!(Response::parse(b"HTTP/1.1\r\n\r\n", Method::Get).is_err());
    }
}
