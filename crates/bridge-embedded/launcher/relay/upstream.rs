//! The relay's own connections to the engine.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::answer::{Answer, NoAnswer};
use super::inflow::Inflow;
use super::limits::{ENGINE_HEAD_BYTES_MAX, ENGINE_IDLE_MAX, ENGINE_WAIT_MAX, LINGER_MAX};
use super::request::Method;

/// A connection that an engine has accepted.
#[derive(Debug)]
pub(super) struct EngineLink {
    stream: UnixStream,
    pub(super) inflow: Inflow,
    last_used: Instant,
}

impl EngineLink {
    /// Connects, and waits for the engine's greeting as long as a restart may take: the socket is the
    /// supervisor's, so a connection waits in it for the next engine.
    pub(super) fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ENGINE_WAIT_MAX))?;
        (&stream).read_exact(&mut [0])?;
        stream.set_read_timeout(None)?;
        Ok(Self { stream, inflow: Inflow::default(), last_used: Instant::now() })
    }

    /// The connection, if the engine has not closed it and is not about to.
    pub(super) fn reusable(mut self) -> Option<Self> {
        if self.last_used.elapsed() > ENGINE_IDLE_MAX || !self.inflow.waiting().is_empty() {
            return None;
        }
        // Nothing is to be read between two answers: anything but "would block" is the end or nonsense.
        self.stream.set_nonblocking(true).ok()?;
        let quiet =
            matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).ok()?;
        quiet.then_some(self)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub(super) fn fill(&mut self) -> io::Result<usize> {
        self.inflow.fill(&self.stream)
    }

    /// Reads the head of the answer.
    pub(super) fn answer(&mut self, method: Method) -> Result<Answer, NoAnswer> {
        loop {
            let stream = &self.stream;
            let head = self
                .inflow
                .head(ENGINE_HEAD_BYTES_MAX, |inflow| inflow.fill(stream))
                .map_err(|_| NoAnswer)?;
            let answer = Answer::parse(&head, method)?;
            if !answer.is_interim() {
                return Ok(answer);
            }
        }
    }

    /// Ends the request in the middle of its chunked body. The engine finds no chunk where one must begin and
    /// fails the request; its answer is read to the end, so it meets no broken connection.
    pub(super) fn abandon_body(mut self) {
        let ended =
            self.write(b"abandoned\r\n").and_then(|()| self.stream.shutdown(std::net::Shutdown::Write));
        if ended.is_ok() {
            self.drain(None);
        }
    }

    /// Notes that an answer is complete.
    pub(super) fn rest(&mut self) {
        self.last_used = Instant::now();
    }

    /// Waits until the engine, which has said that it will, closes the connection.
    pub(super) fn close(self) {
        self.drain(Some(LINGER_MAX));
    }

    fn drain(mut self, limit: Option<Duration>) {
        if self.stream.set_read_timeout(limit).is_ok() {
            let _ = io::copy(&mut self.stream, &mut io::sink());
        }
    }
}
