//! The relay: it has the public port for the supervisor's whole life, and stands between every client and the engine.
//!
//! This engine aborts when a connection breaks at certain moments of a request or an answer, which takes no password.
//! So no client reaches it. The relay takes requests strictly, answers what is no request itself, and sends the others
//! on over its own connections, which it never breaks. A request that comes while the engine is down waits for the
//! next one.

#![allow(
    clippy::disallowed_methods,
    reason = "the launcher is built from std alone, without bridge_core's clock"
)]

mod access;
mod answer;
mod chunked;
mod connections;
mod engine_link;
mod exchange;
mod fields;
mod inflow;
mod limits;
mod query_id;
mod refusal;
mod request;
mod request_body;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use access::Access;

use access::Admission;
use connections::{Connections, Place};
use engine_link::EngineLink;
use exchange::{Ended, Exchange};
use inflow::{Inflow, NoHead};
use limits::{HEAD_TIME_MAX, IDLE_MAX, LINGER_BYTES_MAX, LINGER_MAX, SILENCE_MAX};
use refusal::Refusal;
use request::Request;

/// More than the deepest call of a connection's thread needs.
const STACK_BYTES: usize = 256 << 10;

/// What all connections share.
pub(crate) struct Relay {
    access: Access,
    /// Where the engine is reached.
    socket: PathBuf,
    connections: Arc<Connections>,
}

impl Relay {
    /// A relay to the engine behind a Unix socket.
    pub(crate) fn new(access: Access, socket: PathBuf) -> Self {
        Self { access, socket, connections: Arc::default() }
    }

    /// Serves the port in threads of its own, until the process ends.
    pub(crate) fn serve(self, listener: TcpListener) -> io::Result<()> {
        let relay = Arc::new(self);
        thread::Builder::new().name("relay".into()).spawn(move || {
            loop {
                match listener.accept() {
                    Ok((client, _)) => relay.admit(client),
                    // Too many open files, most likely: some are closed soon.
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        })?;
        Ok(())
    }

    fn admit(self: &Arc<Self>, client: TcpStream) {
        let Some(place) = self.connections.admit() else {
            let _ = client.set_nonblocking(true);
            let _ = (&client).write_all(&Refusal::Busy.answer());
            return;
        };
        let relay = Arc::clone(self);
        let serve = move || relay.connection(&Arc::new(client), place);
        // Without a thread the connection is closed: the client tries again.
        let _ = thread::Builder::new().name("client".into()).stack_size(STACK_BYTES).spawn(serve);
    }

    /// Serves a connection to its end.
    fn connection(&self, client: &Arc<TcpStream>, _place: Place) {
        let set = client.set_nodelay(true).and_then(|()| client.set_write_timeout(Some(SILENCE_MAX)));
        if set.is_err() {
            return;
        }
        let (mut inflow, mut link) = (Inflow::default(), None);
        loop {
            match self.request(client, &mut inflow, &mut link) {
                Ended::KeepAlive => {}
                Ended::Close => return,
                Ended::Refused(refusal) => return refuse(client, refusal),
            }
        }
    }

    /// Serves one request.
    fn request(&self, client: &Arc<TcpStream>, inflow: &mut Inflow, link: &mut Option<EngineLink>) -> Ended {
        let waiting = self.connections.wait(client);
        let head = match inflow.timed_head(client.as_ref(), IDLE_MAX, HEAD_TIME_MAX) {
            Ok(head) => head,
            Err(NoHead::Ended | NoHead::Idle | NoHead::Broken) => return Ended::Close,
            Err(NoHead::Slow) => return Ended::Refused(Refusal::Slow),
            Err(NoHead::TooLarge) => return Ended::Refused(Refusal::HeadTooLarge),
            Err(NoHead::Malformed) => return Ended::Refused(Refusal::Malformed),
        };
        let request = match Request::parse(&head) {
            Ok(request) => request,
            Err(refusal) => return Ended::Refused(refusal),
        };
        let known = match self.access.admit(&request) {
            Admission::Refused => return Ended::Refused(Refusal::NotFound),
            Admission::Proof(proof) => return answer_proof(client, &request, &proof),
            Admission::Known => true,
            Admission::Unproven | Admission::Ping => false,
        };
        // One that is known does not make way for others in the middle of its request.
        let waiting = Some(waiting).filter(|_| !known);
        let mut exchange = Exchange { client, inflow, link, socket: &self.socket };
        match exchange.collect(&request, known) {
            Err(ended) => ended,
            Ok(body) => {
                drop(waiting);
                exchange.run(&request, body)
            }
        }
    }
}

fn answer_proof(client: &TcpStream, request: &Request, proof: &str) -> Ended {
    let connection = if request.keep_alive { "keep-alive" } else { "close" };
    let length = proof.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{proof}");
    match (&mut &*client).write_all(answer.as_bytes()) {
        Ok(()) if request.keep_alive => Ended::KeepAlive,
        _ => Ended::Close,
    }
}

/// Answers with a refusal and reads on for a moment: closing over unread bytes would reset the connection, and the
/// client might not find the answer.
fn refuse(client: &TcpStream, refusal: Refusal) {
    let mut client = client;
    if client.write_all(&refusal.answer()).is_err() || client.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let deadline = Instant::now() + LINGER_MAX;
    let mut left = LINGER_BYTES_MAX;
    let mut bytes = [0; 4096];
    while left > 0 {
        let wait = deadline.saturating_duration_since(Instant::now());
        if wait.is_zero() || client.set_read_timeout(Some(wait)).is_err() {
            return;
        }
        match client.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}
