//! What has been received from a peer and not been used yet.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::limits::HEAD_BYTES_MAX;

const READ_BYTES: usize = 32 << 10;

/// A stream whose reads can be given a limit.
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

/// Why there is no head.
#[derive(Debug)]
pub(super) enum NoHead {
    /// The peer ended the connection before its first byte.
    Ended,
    /// Nothing came within the time for waiting.
    Idle,
    /// It began and did not become whole in time.
    Slow,
    TooLarge,
    /// It is no head of HTTP.
    Malformed,
    /// The peer went away in the middle.
    Broken,
}

/// Received bytes: `bytes[used..]` are still to be used.
#[derive(Debug, Default)]
pub(super) struct Inflow {
    bytes: Vec<u8>,
    used: usize,
}

impl Inflow {
    /// The bytes that are received and not used.
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

    /// Receives more; answers how much, none at the peer's end.
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

    /// Receives with a deadline for the whole of what is received.
    pub(super) fn fill_by(&mut self, wire: &impl Wire, deadline: Instant) -> io::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        wire.limit_reads(Some(left))?;
        self.fill(wire)
    }

    /// Takes a head, its last empty line included, of a client that has so long to begin and so long to end.
    pub(super) fn timed_head(
        &mut self,
        wire: &impl Wire,
        idle: Duration,
        whole: Duration,
    ) -> Result<Vec<u8>, NoHead> {
        if self.waiting().is_empty() {
            match self.fill_by(wire, Instant::now() + idle) {
                Ok(0) => return Err(NoHead::Ended),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Err(NoHead::Idle),
                Err(_) => return Err(NoHead::Ended),
            }
        }
        let deadline = Instant::now() + whole;
        self.head(HEAD_BYTES_MAX, |inflow| inflow.fill_by(wire, deadline))
    }

    /// Takes a head, its last empty line included.
    pub(super) fn head(
        &mut self,
        bytes_max: usize,
        mut fill: impl FnMut(&mut Self) -> io::Result<usize>,
    ) -> Result<Vec<u8>, NoHead> {
        let mut scanned = 0;
        loop {
            match scan_head(self.waiting(), scanned) {
                HeadScan::Complete(length) if length <= bytes_max => {
                    let head = self.waiting().get(..length).unwrap_or_default().to_vec();
                    self.consume(length);
                    return Ok(head);
                }
                HeadScan::Complete(_) => return Err(NoHead::TooLarge),
                HeadScan::Malformed => return Err(NoHead::Malformed),
                HeadScan::Partial => {}
            }
            scanned = self.waiting().len();
            if scanned > bytes_max {
                return Err(NoHead::TooLarge);
            }
            match fill(self) {
                Ok(0) => return Err(NoHead::Broken),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Err(NoHead::Slow),
                Err(_) => return Err(NoHead::Broken),
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

/// Looks for the empty line that ends a head, from `from` on. Refuses at the first byte that no head has, so that
/// whoever speaks something else is not waited for.
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
    fn head(text: &[u8], piece: usize) -> (Result<Vec<u8>, NoHead>, Vec<u8>) {
        let mut pieces = text.chunks(piece);
        let mut inflow = Inflow::default();
        let head = inflow.head(HEAD_BYTES_MAX, |inflow| {
            let next = pieces.next().unwrap_or_default();
            inflow.bytes.extend(next);
            Ok(next.len())
        });
        (head, inflow.waiting().to_vec())
    }

    #[test]
    fn a_head_is_taken_whole_whatever_pieces_it_comes_in() {
        let text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for piece in 1..=text.len() {
            let (head, rest) = head(text, piece);
            assert_eq!((head.unwrap().as_slice(), rest.as_slice()), (text.as_slice(), b"".as_slice()));
        }
        let (_, rest) = head(b"GET / HTTP/1.1\r\n\r\nbody", 100);
        assert_eq!(rest, b"body");
    }

    #[test]
    fn what_is_no_head_is_refused_at_its_first_wrong_byte() {
        for text in [
            b"\x16\x03\x01\x02\0\x01".as_slice(),
            b"GET / HTTP/1.1\nHost: x\n\n",
            b"GET / HTTP/1.1\r\nX: \0\r\n\r\n",
            b"GET / HTTP/1.1\rX",
            b"\r\n\r\n",
        ] {
            assert!(matches!(head(text, 1).0, Err(NoHead::Malformed)), "{text:?}");
        }
    }

    #[test]
    fn a_head_has_a_limit_and_an_end() {
        let long = [b"GET /".as_slice(), &vec![b'a'; HEAD_BYTES_MAX]].concat();
        assert!(matches!(head(&long, 4096).0, Err(NoHead::TooLarge)));
        assert!(matches!(head(b"GET / HT", 3).0, Err(NoHead::Broken)));
    }
}
