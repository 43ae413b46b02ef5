//! One request of a client and the engine's response.
//!
//! Architecture invariant: whatever the client does, the engine sees a well-formed request or a chunked body with a
//! malformed end, and can always write its response to the end.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::chunked::{LAST_CHUNK, write_chunk};
use super::limits::{DISCARDED_BYTES_MAX, HEAD_TIME_MAX, SILENCE_MAX, SMALL_BODY_BYTES};
use super::query_id::QueryId;
use super::read_buffer::{ReadBuffer, is_timeout};
use super::refusal::Refusal;
use super::request::{BodyLength, Request};
use super::request_body::{BodyError, RequestBody};
use super::response::Response;
use super::upstream::Upstream;

/// Result of an exchange for the client's connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The client may send its next request.
    KeepAlive,
    Close,
    Refused(Refusal),
}

/// The two sides of an exchange.
pub(super) struct Exchange<'a> {
    pub(super) client: &'a TcpStream,
    pub(super) buffer: &'a mut ReadBuffer,
    pub(super) upstream: &'a mut Option<Upstream>,
    pub(super) socket: &'a Path,
}

impl Exchange<'_> {
    /// Buffers the start of a body before the engine sees the request. Unless `authenticated`, the body must be
    /// small and complete in time.
    pub(super) fn collect(&mut self, request: &Request, authenticated: bool) -> Result<RequestBody, Outcome> {
        if matches!(request.body, BodyLength::Bytes(bytes) if !authenticated && bytes > SMALL_BODY_BYTES as u64)
        {
            return Err(Outcome::Refused(Refusal::BodyTooLarge));
        }
        if request.expects_continue
            && (&mut &*self.client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err()
        {
            return Err(Outcome::Close);
        }
        let mut body = RequestBody::new(request.body);
        let deadline = Instant::now() + HEAD_TIME_MAX;
        while !body.is_done() && body.received.len() < SMALL_BODY_BYTES {
            let limit =
                if authenticated { SILENCE_MAX } else { deadline.saturating_duration_since(Instant::now()) };
            self.receive(&mut body, limit).map_err(refused)?;
        }
        if body.is_done() || authenticated { Ok(body) } else { Err(Outcome::Refused(Refusal::BodyTooLarge)) }
    }

    /// Forwards the request and returns the response to the client.
    pub(super) fn run(mut self, request: &Request, mut body: RequestBody) -> Outcome {
        let reused = self.upstream.take().and_then(Upstream::reusable);
        let Some(mut upstream) = reused.or_else(|| Upstream::open(self.socket).ok()) else {
            return Outcome::Refused(Refusal::EngineDown);
        };
        let query_id = QueryId::for_request(request);
        let mut out = head(request, &body, &query_id);
        if body.is_done() {
            out.append(&mut body.received);
        } else {
            write_chunk(&std::mem::take(&mut body.received), &mut out);
        }
        let mut sent = upstream.write(&out);
        while sent.is_ok() && !body.is_done() {
            if let Err(error) = self.receive(&mut body, SILENCE_MAX) {
                upstream.abandon_body();
                return refused(error);
            }
            out.clear();
            write_chunk(&body.received, &mut out);
            body.received.clear();
            if body.is_done() {
                out.extend(LAST_CHUNK);
            }
            sent = upstream.write(&out);
        }
        // An engine that stopped reading may have responded with the reason.
        self.response(request, upstream, &query_id, sent.is_ok())
    }

    fn receive(&mut self, body: &mut RequestBody, limit: Duration) -> Result<(), BodyError> {
        if self.buffer.waiting().is_empty() {
            match self.buffer.fill_by(self.client, Instant::now() + limit) {
                Ok(0) => return Err(BodyError::Broken),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Err(BodyError::Slow),
                Err(_) => return Err(BodyError::Broken),
            }
        }
        let used = body.advance(self.buffer.waiting())?;
        self.buffer.consume(used);
        Ok(())
    }

    /// Reads the response to its end, even if the client is gone.
    fn response(
        &mut self,
        request: &Request,
        mut upstream: Upstream,
        query_id: &QueryId,
        sent: bool,
    ) -> Outcome {
        let Ok(mut response) = upstream.response(request.method) else { return Outcome::Close };
        let keep_alive = sent && request.keep_alive && response.length.is_delimited(request.is_http_1_1);
        let mut out = Vec::new();
        response.write_head(request.is_http_1_1, keep_alive, &mut out);
        let mut recipient = Recipient { client: self.client, discarded: None };
        let complete =
            self.pass_body(request, &mut upstream, &mut response, &mut recipient, query_id, &mut out);
        let whole = response.length.is_done();
        if !complete {
            return Outcome::Close;
        }
        if !sent || !response.keep_alive {
            upstream.close();
        } else if whole {
            upstream.mark_idle();
            *self.upstream = Some(upstream);
        }
        if keep_alive && whole && recipient.discarded.is_none() { Outcome::KeepAlive } else { Outcome::Close }
    }

    /// Forwards the body; returns false where the engine's connection broke in it.
    fn pass_body(
        &self,
        request: &Request,
        upstream: &mut Upstream,
        response: &mut Response,
        recipient: &mut Recipient<'_>,
        query_id: &QueryId,
        out: &mut Vec<u8>,
    ) -> bool {
        loop {
            let Ok(used) = response.length.advance(upstream.buffer.waiting(), request.is_http_1_1, out)
            else {
                return false;
            };
            upstream.buffer.consume(used);
            if recipient.pass(out) {
                query_id.cancel(request, self.socket);
            }
            out.clear();
            if response.length.is_done() {
                return true;
            }
            match upstream.fill() {
                Ok(0) => return !response.length.is_delimited(true),
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

/// The client that receives the response, or the bytes dropped since it is gone.
struct Recipient<'a> {
    client: &'a TcpStream,
    discarded: Option<u64>,
}

impl Recipient<'_> {
    /// Sends or drops bytes. Returns true once: when the query should be canceled because too many were dropped.
    fn pass(&mut self, bytes: &[u8]) -> bool {
        if self.discarded.is_none() && (&mut &*self.client).write_all(bytes).is_ok() {
            return false;
        }
        let before = self.discarded.unwrap_or(0);
        let after = before.saturating_add(bytes.len() as u64);
        self.discarded = Some(after);
        before <= DISCARDED_BYTES_MAX && after > DISCARDED_BYTES_MAX
    }
}

/// Returns the head to send to the engine.
fn head(request: &Request, body: &RequestBody, query_id: &QueryId) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method_name(), request.target).into_bytes();
    request.headers.write_end_to_end(&mut head);
    query_id.write_header(&mut head);
    match request.body {
        BodyLength::None => {}
        _ if body.is_done() => head.extend(format!("Content-Length: {}\r\n", body.received.len()).as_bytes()),
        _ => head.extend(b"Transfer-Encoding: chunked\r\n"),
    }
    head.extend(b"Connection: keep-alive\r\n\r\n");
    head
}

fn refused(error: BodyError) -> Outcome {
    match error {
        BodyError::Broken => Outcome::Close,
        BodyError::Slow => Outcome::Refused(Refusal::Slow),
        BodyError::Malformed => Outcome::Refused(Refusal::Malformed),
    }
}
