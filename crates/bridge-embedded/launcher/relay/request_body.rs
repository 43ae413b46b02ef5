//! Incremental decoding of a request's body.

use super::chunked::{Malformed, Unchunker};
use super::request::BodyLength;

/// Reason that a body is incomplete.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The client closed the connection.
    Broken,
    Slow,
    Malformed,
}

/// A body, of which `received` is not forwarded yet.
#[derive(Debug)]
pub(super) struct RequestBody {
    pub(super) received: Vec<u8>,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Bytes(u64),
    Chunked(Unchunker),
}

impl RequestBody {
    pub(super) fn new(length: BodyLength) -> Self {
        let rest = match length {
            BodyLength::None => Rest::Bytes(0),
            BodyLength::Bytes(bytes) => Rest::Bytes(bytes),
            BodyLength::Chunked => Rest::Chunked(Unchunker::default()),
        };
        Self { received: Vec::new(), rest }
    }

    pub(super) fn is_done(&self) -> bool {
        match &self.rest {
            Rest::Bytes(left) => *left == 0,
            Rest::Chunked(unchunker) => unchunker.is_done(),
        }
    }

    /// Consumes the bytes that belong to the body; returns their number.
    pub(super) fn advance(&mut self, input: &[u8]) -> Result<usize, BodyError> {
        match &mut self.rest {
            Rest::Bytes(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                self.received.extend(input.get(..used).unwrap_or_default());
                *left -= used as u64;
                Ok(used)
            }
            Rest::Chunked(unchunker) => {
                let received = &mut self.received;
                let advanced = unchunker.advance(input, |payload| received.extend(payload));
                advanced.map_err(|Malformed| BodyError::Malformed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_stops_at_its_own_end() {
        let mut body = RequestBody::new(BodyLength::Bytes(5));
        assert_eq!(body.advance(b"abc"), Ok(3));
        assert!(!body.is_done());
        assert_eq!(body.advance(b"deGET /"), Ok(2));
        assert!(body.is_done() && body.received == b"abcde");
        assert!(RequestBody::new(BodyLength::None).is_done());
        let mut body = RequestBody::new(BodyLength::Chunked);
        assert_eq!(body.advance(b"2\r\nab\r\n0\r\n\r\nGET"), Ok(12));
        assert!(body.is_done() && body.received == b"ab");
        assert_eq!(RequestBody::new(BodyLength::Chunked).advance(b"zz\r\n"), Err(BodyError::Malformed));
    }
}
