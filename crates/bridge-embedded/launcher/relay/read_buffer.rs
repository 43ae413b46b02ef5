//! Bytes received from a peer and not consumed yet.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::limits::HEAD_BYTES_MAX;

const READ_BYTES: usize = 32 << 10;

/// A stream with a read timeout.
pub(super) trait Wire {
    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()>;
    fn receive(&self, into: &mut [u8]) -> io::Result<usize>;
}

impl Wire for TcpStream {
    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }

    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(into)
    }
}

impl Wire for UnixStream {
    fn limit_reads(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }

    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        (&mut &*self).read(into)
    }
}

/// Reason that a head could not be read.
#[derive(Debug)]
pub(super) enum HeadError {
    /// The peer closed the connection before the first byte.
    Ended,
    /// No byte arrived within the idle time.
    Idle,
    /// It began and was not complete in time.
    Slow,
    TooLarge,
    /// It is not an HTTP head.
    Malformed,
    /// The peer closed the connection in the middle.
    Broken,
}

/// Received bytes, of which `bytes[used..]` are not consumed.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    used: usize,
}

impl ReadBuffer {
    /// Returns the bytes that are not consumed.
    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.used = self.bytes.len().min(self.used + count);
        if self.used == self.bytes.len() {
            self.bytes.clear();
            self.used = 0;
        }
    }

    /// Receives more; returns the number of bytes, 0 at the end of the stream.
    pub(super) fn fill(&mut self, wire: &impl Wire) -> io::Result<usize> {
        if self.used > 0 {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        let before = self.bytes.len();
        self.bytes.resize(before + READ_BYTES, 0);
        let outcome = loop {
            match wire.receive(self.bytes.get_mut(before..).unwrap_or_default()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        self.bytes.truncate(before + outcome.as_ref().copied().unwrap_or(0));
        outcome
    }

    /// As [`fill`](Self::fill), before the deadline.
    pub(super) fn fill_by(&mut self, wire: &impl Wire, deadline: Instant) -> io::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        wire.limit_reads(Some(left))?;
        self.fill(wire)
    }

    /// Reads a head that must begin within `idle` and then be complete within `whole`.
    pub(super) fn timed_head(
        &mut self,
        wire: &impl Wire,
        idle: Duration,
        whole: Duration,
    ) -> Result<Vec<u8>, HeadError> {
        if self.waiting().is_empty() {
            match self.fill_by(wire, Instant::now() + idle) {
                Ok(0) => return Err(HeadError::Ended),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Err(HeadError::Idle),
                Err(_) => return Err(HeadError::Ended),
            }
        }
        let deadline = Instant::now() + whole;
        self.head(HEAD_BYTES_MAX, |buffer| buffer.fill_by(wire, deadline))
    }

    /// Reads a head, including its final empty line.
    pub(super) fn head(
        &mut self,
        bytes_max: usize,
        mut fill: impl FnMut(&mut Self) -> io::Result<usize>,
    ) -> Result<Vec<u8>, HeadError> {
        let mut scanned = 0;
        loop {
            match scan_head(self.waiting(), scanned) {
                HeadScan::Complete(length) if length <= bytes_max => {
                    let head = self.waiting().get(..length).unwrap_or_default().to_vec();
                    self.consume(length);
                    return Ok(head);
                }
                HeadScan::Complete(_) => return Err(HeadError::TooLarge),
                HeadScan::Malformed => return Err(HeadError::Malformed),
                HeadScan::Partial => {}
            }
            scanned = self.waiting().len();
            if scanned > bytes_max {
                return Err(HeadError::TooLarge);
            }
            match fill(self) {
                Ok(0) => return Err(HeadError::Broken),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Err(HeadError::Slow),
                Err(_) => return Err(HeadError::Broken),
            }
        }
    }
}

pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

enum HeadScan {
    Complete(usize),
    Partial,
    Malformed,
}

/// Searches for the empty line that ends a head, from `from` on. Fails at the first byte that no head contains, so that
/// a client of another protocol is refused at once.
fn scan_head(bytes: &[u8], from: usize) -> HeadScan {
    if bytes.first().is_some_and(|first| !first.is_ascii_uppercase()) {
        return HeadScan::Malformed;
    }
    let mut previous = from.checked_sub(1).and_then(|at| bytes.get(at)).copied();
    for (at, byte) in bytes.iter().copied().enumerate().skip(from) {
        let allowed = match byte {
            b'\n' => previous == Some(b'\r'),
            _ if previous == Some(b'\r') => false,
            b'\r' | b'\t' => true,
            _ => byte >= b' ' && byte != 0x7f,
        };
        if !allowed {
            return HeadScan::Malformed;
        }
        let end = at + 1;
        if byte == b'\n' && bytes.get(..end).is_some_and(|head| head.ends_with(b"\r\n\r\n")) {
            return HeadScan::Complete(end);
        }
        previous = Some(byte);
    }
    HeadScan::Partial
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a text that comes in pieces of one size.
    fn head(text: &[u8], piece: usize) -> (Result<Vec<u8>, HeadError>, Vec<u8>) {
        let mut pieces = text.chunks(piece);
        let mut buffer = ReadBuffer::default();
        let head = buffer.head(HEAD_BYTES_MAX, |buffer| {
            let next = pieces.next().unwrap_or_default();
            buffer.bytes.extend(next);
            Ok(next.len())
        });
        (head, buffer.waiting().to_vec())
    }

    #[test]
    fn reads_heads_in_pieces_of_any_size() {
        let text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for piece in 1..=text.len() {
            let (head, rest) = head(text, piece);
            assert_eq!((head.unwrap().as_slice(), rest.as_slice()), (text.as_slice(), b"".as_slice()));
        }
        let (_, rest) = head(b"GET / HTTP/1.1\r\n\r\nbody", 100);
        assert_eq!(rest, b"body");
    }

    #[test]
    fn refuses_a_malformed_head_at_its_first_wrong_byte() {
        for text in [
            b"\x16\x03\x01\x02\0\x01".as_slice(),
            b"GET / HTTP/1.1\nHost: x\n\n",
            b"GET / HTTP/1.1\r\nX: \0\r\n\r\n",
            b"GET / HTTP/1.1\rX",
            b"\r\n\r\n",
        ] {
            assert!(matches!(head(text, 1).0, Err(HeadError::Malformed)), "{text:?}");
        }
    }

    #[test]
    fn head_size_is_limited_and_truncation_detected() {
        let long = [b"GET /".as_slice(), &vec![b'a'; HEAD_BYTES_MAX]].concat();
        assert!(matches!(head(&long, 4096).0, Err(HeadError::TooLarge)));
        assert!(matches!(head(b"GET / HT", 3).0, Err(HeadError::Broken)));
    }
}
