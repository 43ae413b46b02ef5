//! The relay: an HTTP proxy between every client and the engine, on the supervisor's public port.
//!
//! This engine aborts when a connection breaks at certain moments of a request or a response, even an unauthenticated
//! one. So no client reaches it: the relay parses requests strictly, rejects malformed ones itself, and forwards the
//! others over its own connections, which it never breaks. A request waits while the engine is restarted.

#![allow(
    clippy::disallowed_methods,
    reason = "the launcher is built from std alone, without bridge_core's clock"
)]

mod access;
mod chunked;
mod connections;
mod exchange;
mod headers;
mod limits;
mod query_id;
mod read_buffer;
mod refusal;
mod request;
mod request_body;
mod response;
#[cfg(test)]
mod tests;
mod upstream;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use access::Access;

use access::Admission;
use connections::{Connections, Permit};
use exchange::{Exchange, Outcome};
use limits::{HEAD_TIME_MAX, IDLE_MAX, LINGER_BYTES_MAX, LINGER_MAX, SILENCE_MAX};
use read_buffer::{HeadError, ReadBuffer};
use refusal::Refusal;
use request::Request;
use upstream::Upstream;

/// Stack of a connection's thread, several times its deepest use.
const STACK_BYTES: usize = 256 << 10;

/// State that all connections share.
pub(crate) struct Relay {
    access: Access,
    /// Path of the engine's socket.
    socket: PathBuf,
    connections: Arc<Connections>,
}

impl Relay {
    /// Creates a relay to the engine behind a Unix socket.
    pub(crate) fn new(access: Access, socket: PathBuf) -> Self {
        Self { access, socket, connections: Arc::default() }
    }

    /// Serves the listener on background threads until the process exits.
    pub(crate) fn serve(self, listener: TcpListener) -> io::Result<()> {
        let relay = Arc::new(self);
        thread::Builder::new().name("relay".into()).spawn(move || {
            loop {
                match listener.accept() {
                    Ok((client, _)) => relay.admit(client),
                    // Most likely too many open files, of which some are closed soon.
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        })?;
        Ok(())
    }

    fn admit(self: &Arc<Self>, client: TcpStream) {
        let Some(permit) = self.connections.admit() else {
            let _ = client.set_nonblocking(true);
            let _ = (&client).write_all(&Refusal::Busy.response());
            return;
        };
        let relay = Arc::clone(self);
        let serve = move || relay.connection(&Arc::new(client), permit);
        // Without a thread the connection is closed, and the client retries.
        let _ = thread::Builder::new().name("client".into()).stack_size(STACK_BYTES).spawn(serve);
    }

    /// Serves a connection until it is closed.
    fn connection(&self, client: &Arc<TcpStream>, _permit: Permit) {
        let set = client.set_nodelay(true).and_then(|()| client.set_write_timeout(Some(SILENCE_MAX)));
        if set.is_err() {
            return;
        }
        let mut buffer = ReadBuffer::default();
        let mut upstream = None;
        loop {
            match self.request(client, &mut buffer, &mut upstream) {
                Outcome::KeepAlive => {}
                Outcome::Close => return,
                Outcome::Refused(refusal) => return refuse(client, refusal),
            }
        }
    }

    /// Serves one request.
    fn request(
        &self,
        client: &Arc<TcpStream>,
        buffer: &mut ReadBuffer,
        upstream: &mut Option<Upstream>,
    ) -> Outcome {
        let waiting = self.connections.wait(client);
        let head = match buffer.timed_head(client.as_ref(), IDLE_MAX, HEAD_TIME_MAX) {
            Ok(head) => head,
            Err(HeadError::Ended | HeadError::Idle | HeadError::Broken) => return Outcome::Close,
            Err(HeadError::Slow) => return Outcome::Refused(Refusal::Slow),
            Err(HeadError::TooLarge) => return Outcome::Refused(Refusal::HeadTooLarge),
            Err(HeadError::Malformed) => return Outcome::Refused(Refusal::Malformed),
        };
        let request = match Request::parse(&head) {
            Ok(request) => request,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        let authenticated = match self.access.admit(&request) {
            Admission::Refused => return Outcome::Refused(Refusal::NotFound),
            Admission::Proof(proof) => return answer_proof(client, &request, &proof),
            Admission::Authenticated => true,
            Admission::Unauthenticated | Admission::Ping => false,
        };
        // An authenticated request is not evicted in favor of new connections.
        let waiting = Some(waiting).filter(|_| !authenticated);
        let mut exchange = Exchange { client, buffer, upstream, socket: &self.socket };
        match exchange.collect(&request, authenticated) {
            Err(ended) => ended,
            Ok(body) => {
                drop(waiting);
                exchange.run(&request, body)
            }
        }
    }
}

fn answer_proof(client: &TcpStream, request: &Request, proof: &str) -> Outcome {
    let connection = if request.keep_alive { "keep-alive" } else { "close" };
    let length = proof.len();
    let response =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n{proof}");
    match (&mut &*client).write_all(response.as_bytes()) {
        Ok(()) if request.keep_alive => Outcome::KeepAlive,
        _ => Outcome::Close,
    }
}

/// Sends a refusal, then drains the connection for a moment: closing it over unread bytes would reset it, and the
/// client might not read the refusal.
fn refuse(client: &TcpStream, refusal: Refusal) {
    let mut client = client;
    if client.write_all(&refusal.response()).is_err() || client.shutdown(Shutdown::Write).is_err() {
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
