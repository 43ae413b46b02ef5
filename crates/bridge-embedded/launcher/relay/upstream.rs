//! The relay's own connections to the engine.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::limits::{ENGINE_HEAD_BYTES_MAX, ENGINE_IDLE_MAX, ENGINE_WAIT_MAX, LINGER_MAX};
use super::read_buffer::ReadBuffer;
use super::request::Method;
use super::response::{InvalidResponse, Response};

/// A connection that the engine has accepted.
#[derive(Debug)]
pub(super) struct Upstream {
    stream: UnixStream,
    pub(super) buffer: ReadBuffer,
    last_used: Instant,
}

impl Upstream {
    /// Connects and waits for the engine's greeting. The listener is the supervisor's, so `connect` succeeds while the
    /// engine is down, and the connection waits in the backlog for the next engine; only the greeting shows one.
    pub(super) fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ENGINE_WAIT_MAX))?;
        (&stream).read_exact(&mut [0])?;
        stream.set_read_timeout(None)?;
        Ok(Self { stream, buffer: ReadBuffer::default(), last_used: Instant::now() })
    }

    /// Returns the connection, unless the engine has closed it or is about to.
    pub(super) fn reusable(mut self) -> Option<Self> {
        if self.last_used.elapsed() > ENGINE_IDLE_MAX || !self.buffer.waiting().is_empty() {
            return None;
        }
        // Between two responses there is nothing to read: anything but "would block" is the end or garbage.
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
        self.buffer.fill(&self.stream)
    }

    /// Reads the head of the response.
    pub(super) fn response(&mut self, method: Method) -> Result<Response, InvalidResponse> {
        loop {
            let stream = &self.stream;
            let head = self
                .buffer
                .head(ENGINE_HEAD_BYTES_MAX, |buffer| buffer.fill(stream))
                .map_err(|_| InvalidResponse)?;
            let response = Response::parse(&head, method)?;
            if !response.is_interim() {
                return Ok(response);
            }
        }
    }

    /// Aborts a request in the middle of its chunked body. A malformed chunk fails the request without ending it, so a
    /// half insert is never committed, and the response is read to its end, so the engine sees no broken connection.
    pub(super) fn abandon_body(mut self) {
        let ended =
            self.write(b"abandoned\r\n").and_then(|()| self.stream.shutdown(std::net::Shutdown::Write));
        if ended.is_ok() {
            self.drain(None);
        }
    }

    /// Records the end of a response.
    pub(super) fn mark_idle(&mut self) {
        self.last_used = Instant::now();
    }

    /// Waits for the engine, which has announced it, to close the connection.
    pub(super) fn close(self) {
        self.drain(Some(LINGER_MAX));
    }

    fn drain(mut self, limit: Option<Duration>) {
        if self.stream.set_read_timeout(limit).is_ok() {
            let _ = io::copy(&mut self.stream, &mut io::sink());
        }
    }
}
