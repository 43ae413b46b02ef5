//! The name under which a query can be canceled.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::engine_link::EngineLink;
use super::request::{Method, Request};

/// A request's query id.
#[derive(Debug)]
pub(super) enum QueryId {
    /// The client's, as a part of a URL.
    Given(String),
    Made(String),
}

impl QueryId {
    /// The client's own id, or a new one.
    pub(super) fn of(request: &Request) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if let Some(id) = request.parameter("query_id").filter(|id| !id.is_empty()) {
            return Self::Given(id.to_owned());
        }
        if let Some(id) = request.fields.all("X-ClickHouse-Query-Id").next() {
            return Self::Given(id.iter().map(|byte| format!("%{byte:02x}")).collect());
        }
        // The engine refuses an id that is in use; ids of an earlier supervisor must not come again.
        let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self::Made(format!("relay-{start:x}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Writes the field for the engine, where the client has not named an id.
    pub(super) fn write_field(&self, into: &mut Vec<u8>) {
        if let Self::Made(id) = self {
            into.extend(format!("X-ClickHouse-Query-Id: {id}\r\n").as_bytes());
        }
    }

    /// Has the engine cancel the query, as the user who sent it. In a thread of its own: the query ends only while
    /// its answer is read on.
    pub(super) fn cancel(&self, request: &Request, socket: &Path) {
        let (text, socket) = (self.cancel_request(request), socket.to_owned());
        let cancel = move || {
            let Ok(mut link) = EngineLink::open(&socket) else { return };
            if link.write(&text).is_ok() && link.answer(Method::Post).is_ok() {
                link.close();
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
            if let Some(value) = request.fields.all(name).next() {
                text.extend(format!("{name}: ").as_bytes());
                text.extend(value);
                text.extend(b"\r\n");
            }
        }
        text.extend(b"Content-Length: 0\r\nConnection: keep-alive\r\n\r\n");
        text
    }
}
