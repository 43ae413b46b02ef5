//! The chunked transfer coding.

/// A size line with its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 4096;
const TRAILER_BYTES_MAX: usize = 16 << 10;

/// Incremental decoder of a chunked body.
#[derive(Debug, Default)]
pub(super) struct Unchunker {
    state: State,
    line: Vec<u8>,
    trailer_bytes: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

/// The body is not valid chunked coding.
#[derive(Debug)]
pub(super) struct Malformed;

impl Unchunker {
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes `input` and passes the payload to `payload`; returns the number of bytes consumed, all unless the body
    /// ends in them.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        mut payload: impl FnMut(&[u8]),
    ) -> Result<usize, Malformed> {
        let mut rest = input;
        while !rest.is_empty() && !self.is_done() {
            if let State::Data(left) = self.state {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let (data, behind) = rest.split_at(length);
                payload(data);
                rest = behind;
                let left = left - length as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                continue;
            }
            let Some((byte, behind)) = rest.split_first() else { break };
            rest = behind;
            self.line.push(*byte);
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.state = self.next(line.strip_suffix(b"\r\n").ok_or(Malformed)?)?;
            } else if self.line.len() > LINE_BYTES_MAX {
                return Err(Malformed);
            }
        }
        Ok(input.len() - rest.len())
    }

    /// Returns the state after a line.
    fn next(&mut self, line: &[u8]) -> Result<State, Malformed> {
        match self.state {
            State::Size => match size(line).ok_or(Malformed)? {
                0 => Ok(State::Trailer),
                size => Ok(State::Data(size)),
            },
            State::DataEnd if line.is_empty() => Ok(State::Size),
            State::Trailer if line.is_empty() => Ok(State::Done),
            State::Trailer => {
                self.trailer_bytes += line.len();
                if self.trailer_bytes > TRAILER_BYTES_MAX { Err(Malformed) } else { Ok(State::Trailer) }
            }
            _ => Err(Malformed),
        }
    }
}

/// Parses a chunk-size line; extensions are ignored.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Writes a payload as one chunk.
pub(super) fn write_chunk(payload: &[u8], into: &mut Vec<u8>) {
    if !payload.is_empty() {
        into.extend(format!("{:x}\r\n", payload.len()).as_bytes());
        into.extend(payload);
        into.extend(b"\r\n");
    }
}

/// Ends a chunked body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let (mut unchunker, mut payload, mut used) = (Unchunker::default(), Vec::new(), 0);
        for piece in text.chunks(piece) {
            used += unchunker.advance(piece, |bytes| payload.extend(bytes))?;
        }
        Ok((payload, used, unchunker.is_done()))
    }

    #[test]
    fn decodes_in_pieces_of_any_size_and_stops_at_the_end() {
        let mut body = Vec::new();
        write_chunk(b"hello ", &mut body);
        write_chunk(&[b'x'; 300], &mut body);
        body.extend(b"3;ext=1\r\nend\r\n0\r\nTrailer: t\r\n\r\n");
        let payload = [b"hello ".as_slice(), &[b'x'; 300], b"end"].concat();
        let with_next = [body.as_slice(), b"GET / HTTP/1.1"].concat();
        for piece in 1..=with_next.len() {
            assert_eq!(read(&with_next, piece).unwrap(), (payload.clone(), body.len(), true));
        }
        for cut in 0..body.len() {
            assert!(!read(&body[..cut], 7).unwrap().2);
        }
    }

    #[test]
    fn refuses_malformed_chunks() {
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "1\nx\r\n",
            "2\r\nabc\r\n",
            "10000000000000000\r\n",
            "0x1\r\n",
            " 1\r\n",
        ] {
            assert!(read(text.as_bytes(), 1).is_err(), "{text:?}");
        }
        assert!(read(&[b'1'; LINE_BYTES_MAX + 2], 10).is_err());
        assert!(read(&[b"0\r\n".as_slice(), &b"T: t\r\n".repeat(5000)].concat(), 99).is_err());
    }
}
