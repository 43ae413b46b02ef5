//! Query ids, by which a query is canceled.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::request::{Method, Request};
use super::upstream::Upstream;

/// A request's query id.
#[derive(Debug)]
pub(super) enum QueryId {
    /// The client's own, percent-encoded.
    Given(String),
    Made(String),
}

impl QueryId {
    /// Returns the client's own id, or a new one.
    pub(super) fn for_request(request: &Request) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if let Some(id) = request.parameter("query_id").filter(|id| !id.is_empty()) {
            return Self::Given(id.to_owned());
        }
        if let Some(id) = request.headers.all("X-ClickHouse-Query-Id").next() {
            return Self::Given(id.iter().map(|byte| format!("%{byte:02x}")).collect());
        }
        // The engine refuses an id in use, and may still run queries of an earlier supervisor.
        let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self::Made(format!("relay-{start:x}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Writes the header, unless the client sent an id itself.
    pub(super) fn write_header(&self, into: &mut Vec<u8>) {
        if let Self::Made(id) = self {
            into.extend(format!("X-ClickHouse-Query-Id: {id}\r\n").as_bytes());
        }
    }

    /// Cancels the query, as the user who sent it. On a separate thread, because the query ends only while its response
    /// is being read.
    pub(super) fn cancel(&self, request: &Request, socket: &Path) {
        let (text, socket) = (self.cancel_request(request), socket.to_owned());
        let cancel = move || {
            let Ok(mut upstream) = Upstream::open(&socket) else { return };
            if upstream.write(&text).is_ok() && upstream.response(Method::Post).is_ok() {
                upstream.close();
            }
        };
        let _ = std::thread::Builder::new().name("cancel".into()).spawn(cancel);
    }

    fn cancel_request(&self, request: &Request) -> Vec<u8> {
        let (Self::Given(id) | Self::Made(id)) = self;
        let mut text = format!(
            "POST /?param_id={id}&query=KILL%20QUERY%20WHERE%20query_id%3D%7Bid%3AString%7D%20ASYNC HTTP/1.1\r\n"
        )
        .into_bytes();
        for name in ["X-ClickHouse-User", "X-ClickHouse-Key"] {
            if let Some(value) = request.headers.all(name).next() {
                text.extend(format!("{name}: ").as_bytes());
                text.extend(value);
                text.extend(b"\r\n");
            }
        }
        text.extend(b"Content-Length: 0\r\nConnection: keep-alive\r\n\r\n");
        text
    }
}
