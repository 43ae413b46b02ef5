//! Distinguishes ClickHouse's own answers from those of proxies, captive portals and other servers.

use std::fmt;
use std::time::Duration;

use bridge_core::ConnectionKind;
use httparse::{EMPTY_HEADER, Header, Status};

/// ClickHouse sends about a dozen headers.
const HEADERS_MAX: usize = 128;

/// A query's settings travel in its URL; the rest of the head is short.
const REQUEST_LINE_BYTES_MAX: usize = 1 << 20;

/// The request header that states how many rows an insert sends.
pub(crate) const ROWS_HEADER: &str = "x-bridge-rows";

/// The query setting that ClickHouse echoes as a header of its answer.
pub(crate) const QUERY_ID: &str = "query_id";

/// The facts that the answer to a request must confirm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    query_id: Option<String>,
    rows: Option<u64>,
}

impl Expected {
    /// Reads the expectations from the head of a request; `None` if the bytes are not the start of one.
    pub(crate) fn of_request(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(b"POST ") && !bytes.starts_with(b"GET ") {
            return None;
        }
        let head = &bytes[..bytes.len().min(REQUEST_LINE_BYTES_MAX)];
        let end = head.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(head.len());
        let text = String::from_utf8_lossy(&head[..end]);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let target = line.split(' ').nth(1).unwrap_or_default();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let query_id = query.split('&').find_map(|pair| pair.strip_prefix("query_id=")).map(str::to_owned);
        let rows = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case(ROWS_HEADER))
            .and_then(|(_, value)| value.trim().parse().ok());
        Some(Self { query_id, rows })
    }
}

/// The head of an answer that is ClickHouse's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Its length in bytes, the empty line included.
    pub(crate) length: usize,
}

/// Judges the head of an answer. `None` while it is incomplete.
///
/// # Errors
///
/// It is not ClickHouse's answer to this request.
pub(crate) fn judge(bytes: &[u8], expected: &Expected) -> Result<Option<Head>, ForeignAnswer> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err(ForeignAnswer::new(0, Doubt::NotHttp)),
    };
    let status = response.code.unwrap_or(0);
    let head = Head { status, length };
    if (100..200).contains(&status) {
        return Ok(Some(head));
    }
    let headers = &*response.headers;
    match doubt(status, headers, expected) {
        None => Ok(Some(head)),
        Some(doubt) => Err(ForeignAnswer {
            content_type: text(headers, "content-type").map(|value| value.chars().take(80).collect()),
            retry_after: text(headers, "retry-after")
                .and_then(|value| value.trim().parse().ok())
                .map(Duration::from_secs),
            ..ForeignAnswer::new(status, doubt)
        }),
    }
}

/// Returns why an answer is not ClickHouse's; `None` if it is.
fn doubt(status: u16, headers: &[Header<'_>], expected: &Expected) -> Option<Doubt> {
    // Every exception has its code. One raised before the query began has no query id.
    if text(headers, "x-clickhouse-exception-code").is_some() {
        return None;
    }
    let Some(query_id) = text(headers, "x-clickhouse-query-id").filter(|_| status == 200) else {
        return Some(Doubt::NotClickHouse);
    };
    if expected.query_id.as_deref().is_some_and(|expected| expected != query_id) {
        return Some(Doubt::AnotherQuery);
    }
    let rows = expected.rows?;
    match text(headers, "x-clickhouse-summary").and_then(written_rows) {
        // Views on the table may write rows of their own. A server that sends the summary before the insert is
        // through states no rows; that it processed this very query is confirmed by the query id.
        Some(written) if written > 0 && written < rows => Some(Doubt::Rows { sent: rows, written }),
        _ => None,
    }
}

fn text<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a str> {
    let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok()
}

fn written_rows(summary: &str) -> Option<u64> {
    let summary: serde_json::Value = serde_json::from_str(summary).ok()?;
    let rows = summary.get("written_rows")?;
    rows.as_u64().or_else(|| rows.as_str()?.parse().ok())
}

/// An answer that is not ClickHouse's to the request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignAnswer {
    status: u16,
    doubt: Doubt,
    content_type: Option<String>,
    retry_after: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Doubt {
    NotHttp,
    NotClickHouse,
    AnotherQuery,
    Rows { sent: u64, written: u64 },
}

impl ForeignAnswer {
    fn new(status: u16, doubt: Doubt) -> Self {
        Self { status, doubt, content_type: None, retry_after: None }
    }

    /// A refusal that asks the client to wait this long.
    #[cfg(test)]
    pub(crate) fn asking_to_wait(wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(429, Doubt::NotClickHouse) }
    }

    /// Returns the foreign answer that caused an error.
    pub(crate) fn in_causes_of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(answer) = error.downcast_ref() {
                return Some(answer);
            }
            // An `io::Error` made of an error has that error's source as its own, and not that error.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(answer) = inner.and_then(|inner| inner.downcast_ref()) {
                return Some(answer);
            }
            cause = error.source();
        }
        None
    }

    /// Returns whether it demands other credentials.
    pub(crate) fn demands_credentials(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    /// A client error recurs until a setting is changed; the others may pass.
    pub(crate) fn connection_kind(&self) -> ConnectionKind {
        match self.status {
            408 => ConnectionKind::TimedOut,
            429 => ConnectionKind::Unreachable,
            400..=499 => ConnectionKind::Misconfigured,
            _ => ConnectionKind::Unreachable,
        }
    }

    /// Returns the wait that the answer asks for before the next attempt.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for ForeignAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.doubt {
            Doubt::NotHttp => {
                return f.write_str("the answer is not HTTP: another kind of server listens at the address");
            }
            Doubt::AnotherQuery => {
                return f.write_str("the answer is to another query: a proxy mixes up answers");
            }
            Doubt::Rows { sent, written } => {
                return write!(f, "rows sent: {sent}; rows that the database confirms as written: {written}");
            }
            Doubt::NotClickHouse => {}
        }
        write!(f, "the answer is not ClickHouse's: HTTP status {}", self.status)?;
        if let Some(content_type) = &self.content_type {
            write!(f, " ({})", content_type.escape_debug())?;
        }
        f.write_str(match self.status {
            401 | 403 => "; a proxy in front of the database requires a permission",
            407 => "; a proxy requires credentials",
            413 => "; a proxy limits the size of requests",
            _ => "; it comes from a proxy or another server",
        })
    }
}

impl std::error::Error for ForeignAnswer {}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: &str, headers: &str) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes()
    }

    fn insert() -> Expected {
        let request = b"POST /?query=INSERT&query_id=abc HTTP/1.1\r\nhost: db\r\nX-Bridge-Rows: 50\r\n\r\n";
        Expected::of_request(request).unwrap()
    }

    const PROOF: &str = "X-ClickHouse-Query-Id: abc\r\nX-ClickHouse-Summary: {\"written_rows\":\"50\"}\r\n";

    #[test]
    fn the_expectations_are_read_from_the_request() {
        assert_eq!(insert(), Expected { query_id: Some("abc".to_owned()), rows: Some(50) });
        assert_eq!(Expected::of_request(b"5\r\nhello\r\n"), None);
    }

    #[test]
    fn only_what_clickhouse_confirms_is_taken_for_its_answer() {
        let judged = |status: &str, headers: &str| judge(&head(status, headers), &insert());
        assert!(judged("200 OK", PROOF).unwrap().is_some());
        assert!(judged("404 Not Found", "X-ClickHouse-Exception-Code: 60\r\n").unwrap().is_some());
        for headers in [
            "Content-Type: text/html\r\n",
            "",
            "X-ClickHouse-Query-Id: other\r\nX-ClickHouse-Summary: {\"written_rows\":\"50\"}\r\n",
            "X-ClickHouse-Query-Id: abc\r\nX-ClickHouse-Summary: {\"written_rows\":\"49\"}\r\n",
        ] {
            let answer = judged("200 OK", headers).unwrap_err();
            assert_eq!(answer.connection_kind(), ConnectionKind::Unreachable, "{answer}");
        }
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\nX-Cl", &insert()), Ok(None));
    }

    #[test]
    fn a_proxys_answer_is_judged_by_its_status() {
        for (status, kind) in [
            ("502 Bad Gateway", ConnectionKind::Unreachable),
            ("503 Service Unavailable", ConnectionKind::Unreachable),
            ("504 Gateway Timeout", ConnectionKind::Unreachable),
            ("429 Too Many Requests", ConnectionKind::Unreachable),
            ("302 Found", ConnectionKind::Unreachable),
            ("401 Unauthorized", ConnectionKind::Misconfigured),
            ("403 Forbidden", ConnectionKind::Misconfigured),
            ("407 Proxy Authentication Required", ConnectionKind::Misconfigured),
            ("413 Content Too Large", ConnectionKind::Misconfigured),
        ] {
            let answer = judge(&head(status, "Retry-After: 7\r\n"), &insert()).unwrap_err();
            assert_eq!(answer.connection_kind(), kind, "{status}");
            assert!(answer.to_string().contains(&status[..3]), "{answer}");
            assert_eq!(answer.retry_after(), Some(Duration::from_secs(7)));
        }
    }
}
