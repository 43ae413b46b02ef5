//! One request of a client and the engine's answer to it.
//!
//! Architecture invariant: whatever the client does, the engine sees a request that is well formed, or a chunked body
//! that ends wrongly, and it can always write its answer to the end.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::chunked::{LAST_CHUNK, write_chunk};
use super::engine_link::EngineLink;
use super::inflow::{Inflow, is_timeout};
use super::limits::{DISCARDED_BYTES_MAX, HEAD_TIME_MAX, SILENCE_MAX, SMALL_BODY_BYTES};
use super::query_id::QueryId;
use super::refusal::Refusal;
use super::request::{BodyLength, Request};
use super::request_body::{BodyError, RequestBody};

/// How an exchange ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client may send its next request.
    KeepAlive,
    Close,
    Refused(Refusal),
}

/// The two sides of an exchange.
pub(super) struct Exchange<'a> {
    pub(super) client: &'a TcpStream,
    pub(super) inflow: &'a mut Inflow,
    pub(super) link: &'a mut Option<EngineLink>,
    pub(super) socket: &'a Path,
}

impl Exchange<'_> {
    /// Receives a body as far as it is complete before the engine hears of it. A sender that is not `known` must be
    /// done with it, and soon.
    pub(super) fn collect(&mut self, request: &Request, known: bool) -> Result<RequestBody, Ended> {
        if matches!(request.body, BodyLength::Bytes(bytes) if !known && bytes > SMALL_BODY_BYTES as u64) {
            return Err(Ended::Refused(Refusal::BodyTooLarge));
        }
        if request.expects_continue
            && (&mut &*self.client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err()
        {
            return Err(Ended::Close);
        }
        let mut body = RequestBody::new(request.body);
        let deadline = Instant::now() + HEAD_TIME_MAX;
        while !body.is_done() && body.received.len() < SMALL_BODY_BYTES {
            let limit = if known { SILENCE_MAX } else { deadline.saturating_duration_since(Instant::now()) };
            self.receive(&mut body, limit).map_err(refused)?;
        }
        if body.is_done() || known { Ok(body) } else { Err(Ended::Refused(Refusal::BodyTooLarge)) }
    }

    /// Sends the request on and the answer back.
    pub(super) fn run(mut self, request: &Request, mut body: RequestBody) -> Ended {
        let reused = self.link.take().and_then(EngineLink::reusable);
        let Some(mut link) = reused.or_else(|| EngineLink::open(self.socket).ok()) else {
            return Ended::Refused(Refusal::EngineDown);
        };
        let query_id = QueryId::of(request);
        let mut out = head(request, &body, &query_id);
        if body.is_done() {
            out.append(&mut body.received);
        } else {
            write_chunk(&std::mem::take(&mut body.received), &mut out);
        }
        let mut sent = link.write(&out);
        while sent.is_ok() && !body.is_done() {
            if let Err(error) = self.receive(&mut body, SILENCE_MAX) {
                link.abandon_body();
                return refused(error);
            }
            out.clear();
            write_chunk(&body.received, &mut out);
            body.received.clear();
            if body.is_done() {
                out.extend(LAST_CHUNK);
            }
            sent = link.write(&out);
        }
        // Where the engine stopped reading it may have said why.
        self.answer(request, link, &query_id, sent.is_ok())
    }

    fn receive(&mut self, body: &mut RequestBody, limit: Duration) -> Result<(), BodyError> {
        if self.inflow.waiting().is_empty() {
            match self.inflow.fill_by(self.client, Instant::now() + limit) {
                Ok(0) => return Err(BodyError::Broken),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Err(BodyError::Slow),
                Err(_) => return Err(BodyError::Broken),
            }
        }
        let used = body.advance(self.inflow.waiting())?;
        self.inflow.consume(used);
        Ok(())
    }

    /// Reads the answer to its end, whatever becomes of the client.
    fn answer(&mut self, request: &Request, mut link: EngineLink, query_id: &QueryId, sent: bool) -> Ended {
        let Ok(mut answer) = link.answer(request.method) else { return Ended::Close };
        let keep_alive = sent && request.keep_alive && answer.length.is_delimited(request.modern);
        let mut out = Vec::new();
        answer.write_head(request.modern, keep_alive, &mut out);
        let mut recipient = Recipient { client: self.client, discarded: None };
        let complete = self.pass_body(request, &mut link, &mut answer, &mut recipient, query_id, &mut out);
        let whole = answer.length.is_done();
        if !complete {
            return Ended::Close;
        }
        if !sent || !answer.keep_alive {
            link.close();
        } else if whole {
            link.rest();
            *self.link = Some(link);
        }
        if keep_alive && whole && recipient.discarded.is_none() { Ended::KeepAlive } else { Ended::Close }
    }

    /// Passes the body on; false where the engine went away in the middle of it.
    fn pass_body(
        &self,
        request: &Request,
        link: &mut EngineLink,
        answer: &mut Answer,
        recipient: &mut Recipient<'_>,
        query_id: &QueryId,
        out: &mut Vec<u8>,
    ) -> bool {
        loop {
            let Ok(used) = answer.length.advance(link.inflow.waiting(), request.modern, out) else {
                return false;
            };
            link.inflow.consume(used);
            if recipient.pass(out) {
                query_id.cancel(request, self.socket);
            }
            out.clear();
            if answer.length.is_done() {
                return true;
            }
            match link.fill() {
                Ok(0) => return !answer.length.is_delimited(true),
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Who the answer is for, or how much was dropped since that one is gone.
struct Recipient<'a> {
    client: &'a TcpStream,
    discarded: Option<u64>,
}

impl Recipient<'_> {
    /// Sends bytes, or drops them. True once, when so many were dropped that the query is to be canceled.
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

/// The head as the engine gets it.
fn head(request: &Request, body: &RequestBody, query_id: &QueryId) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method_name(), request.target).into_bytes();
    request.fields.write_end_to_end(&mut head);
    query_id.write_field(&mut head);
    match request.body {
        BodyLength::None => {}
        _ if body.is_done() => head.extend(format!("Content-Length: {}\r\n", body.received.len()).as_bytes()),
        _ => head.extend(b"Transfer-Encoding: chunked\r\n"),
    }
    head.extend(b"Connection: keep-alive\r\n\r\n");
    head
}

fn refused(error: BodyError) -> Ended {
    match error {
        BodyError::Broken => Ended::Close,
        BodyError::Slow => Ended::Refused(Refusal::Slow),
        BodyError::Malformed => Ended::Refused(Refusal::Malformed),
    }
}
