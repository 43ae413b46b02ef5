//! A connection that passes on only ClickHouse's own answers.
//!
//! It works on the bytes below the HTTP client, so no request can miss it. The head of each answer is held back
//! until it is judged. A foreign one ends the connection with the reason, and its body is never read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

use super::answer::{Expected, judge};

/// A longer head is not ClickHouse's.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The client reads the whole body of an error. ClickHouse's are a few kilobytes long.
const ERROR_BYTES_MAX: usize = 1 << 20;

const READ_BYTES: usize = 8 << 10;

/// Wraps a connector, and closes connections on which anything but ClickHouse answers, so that a proxy's page is never
/// mistaken for a stored row. For clients of your own; see
/// [`ClickHouseOptions::from_client`](crate::ClickHouseOptions::from_client).
#[derive(Debug, Clone)]
pub struct GuardedConnector<C>(C);

impl<C> GuardedConnector<C> {
    /// Guards the connections of this connector.
    pub fn new(connector: C) -> Self {
        Self(connector)
    }
}

impl<C> Service<Uri> for GuardedConnector<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = GuardedStream<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move { connecting.await.map(GuardedStream::new) })
    }
}

/// A connection of a [`GuardedConnector`].
#[derive(Debug)]
pub struct GuardedStream<S> {
    stream: S,
    phase: Phase,
    expected: Expected,
    /// Bytes of the answer that were read and not passed on: a head that is not judged yet, or what came with it.
    held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The head of an answer comes next.
    Head,
    /// The head was judged: the body follows.
    Body,
    /// The body of an error follows, of which this many bytes may be read.
    ErrorBody(usize),
}

impl<S> GuardedStream<S> {
    fn new(stream: S) -> Self {
        Self { stream, phase: Phase::Head, expected: Expected::default(), held: Vec::new() }
    }

    /// Notes where a request begins: the client sends none before it has the whole answer to the one before, and
    /// a request's head is the first that it writes of it.
    fn note_written(&mut self, bytes: &[u8]) {
        if let Some(expected) = Expected::of_request(bytes) {
            self.expected = expected;
            self.phase = Phase::Head;
        }
    }

    /// Judges the buffered part of a head. Leaves the phase unchanged only if more must be read.
    fn judge_held(&mut self) -> io::Result<()> {
        match judge(&self.held, &self.expected).map_err(io::Error::other)? {
            None if self.held.len() > HEAD_BYTES_MAX => {
                Err(io::Error::other("the head of the answer is too long"))
            }
            None => Ok(()),
            // The final answer follows an informational one.
            Some(head) if head.status < 200 => {
                self.held.drain(..head.length);
                if self.held.is_empty() { Ok(()) } else { self.judge_held() }
            }
            Some(head) if head.status == 200 => {
                self.phase = Phase::Body;
                Ok(())
            }
            Some(_) => {
                self.phase = Phase::ErrorBody(ERROR_BYTES_MAX);
                Ok(())
            }
        }
    }
}

impl<S: Read + Unpin> GuardedStream<S> {
    /// Reads until the head is judged. Returns `false` if the stream ends before.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.phase == Phase::Head {
            let mut bytes = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer.unfilled()))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.held.extend_from_slice(buffer.filled());
            self.judge_held()?;
        }
        Poll::Ready(Ok(true))
    }

    fn pass_held(&mut self, buffer: &mut ReadBufCursor<'_>) {
        let length = buffer.remaining().min(self.held.len());
        buffer.put_slice(&self.held[..length]);
        self.held.drain(..length);
    }
}

impl<S: Read + Unpin> Read for GuardedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        if guarded.phase == Phase::Head && !ready!(guarded.poll_head(context))? {
            // The client notices that the answer is truncated.
            guarded.pass_held(&mut buffer);
            return Poll::Ready(Ok(()));
        }
        if !guarded.held.is_empty() {
            guarded.pass_held(&mut buffer);
            return Poll::Ready(Ok(()));
        }
        if let Phase::ErrorBody(left) = guarded.phase {
            if left == 0 {
                return Poll::Ready(Err(io::Error::other("the error that the database reports is too long")));
            }
            let before = buffer.remaining();
            let mut bytes = [0; READ_BYTES];
            let limit = left.min(before).min(READ_BYTES);
            let mut read = ReadBuf::new(&mut bytes[..limit]);
            ready!(Pin::new(&mut guarded.stream).poll_read(context, read.unfilled()))?;
            buffer.put_slice(read.filled());
            guarded.phase = Phase::ErrorBody(left - read.filled().len());
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut guarded.stream).poll_read(context, buffer)
    }
}

impl<S: Write + Unpin> Write for GuardedStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let guarded = self.get_mut();
        let written = ready!(Pin::new(&mut guarded.stream).poll_write(context, bytes))?;
        guarded.note_written(bytes);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guarded = self.get_mut();
        let written = ready!(Pin::new(&mut guarded.stream).poll_write_vectored(context, slices))?;
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty()) {
            guarded.note_written(first);
        }
        Poll::Ready(Ok(written))
    }
}

impl<S: Connection> Connection for GuardedStream<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}
