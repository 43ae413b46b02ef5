//! The engine's answer: its head, and where its body ends.

use super::chunked::Unchunker;
use super::fields::{self, Fields};
use super::request::Method;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The code and its words: `200 OK`.
    status: String,
    fields: Fields,
    pub(super) length: AnswerLength,
    /// The engine takes another request on its connection.
    pub(super) keep_alive: bool,
}

/// Where an answer's body ends.
#[derive(Debug)]
pub(super) enum AnswerLength {
    Bytes(u64),
    Chunked(Unchunker),
    /// With the connection.
    Unknown,
}

/// The engine did not answer in HTTP.
#[derive(Debug)]
pub(super) struct NoAnswer;

impl Answer {
    /// Takes a head apart.
    pub(super) fn parse(head: &[u8], method: Method) -> Result<Self, NoAnswer> {
        let (first, fields) = fields::parse(head, usize::MAX).ok_or(NoAnswer)?;
        let (version, status) = first.split_once(' ').ok_or(NoAnswer)?;
        let code: u16 = status.get(..3).and_then(|code| code.parse().ok()).ok_or(NoAnswer)?;
        let keep_alive = version == "HTTP/1.1" && !fields.lists("Connection", "close");
        let stated = fields.only("Content-Length").map_err(|_| NoAnswer)?;
        let length = if method == Method::Head || matches!(code, 100..=199 | 204 | 304) {
            AnswerLength::Bytes(0)
        } else if fields.lists("Transfer-Encoding", "chunked") {
            AnswerLength::Chunked(Unchunker::default())
        } else if let Some(digits) = stated {
            let digits = std::str::from_utf8(digits).map_err(|_| NoAnswer)?;
            AnswerLength::Bytes(digits.parse().map_err(|_| NoAnswer)?)
        } else {
            AnswerLength::Unknown
        };
        Ok(Self { status: status.to_owned(), fields, length, keep_alive })
    }

    /// Whether another head follows.
    pub(super) fn is_interim(&self) -> bool {
        self.status.starts_with('1')
    }

    /// Writes the head for a client, for one of HTTP/1.0 without the chunked coding.
    pub(super) fn write_head(&self, modern: bool, keep_alive: bool, into: &mut Vec<u8>) {
        into.extend(format!("HTTP/1.1 {}\r\n", self.status).as_bytes());
        self.fields.write_end_to_end(into);
        if let Some(length) = self.fields.all("Content-Length").next() {
            into.extend(b"Content-Length: ");
            into.extend(length);
            into.extend(b"\r\n");
        } else if modern && self.fields.lists("Transfer-Encoding", "chunked") {
            into.extend(b"Transfer-Encoding: chunked\r\n");
        }
        into.extend(if keep_alive {
            b"Connection: keep-alive\r\n\r\n".as_slice()
        } else {
            b"Connection: close\r\n\r\n"
        });
    }
}

impl AnswerLength {
    /// Whether the client can find the end without the connection's.
    pub(super) fn is_delimited(&self, modern: bool) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Chunked(_) => modern,
            Self::Unknown => false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Bytes(left) => *left == 0,
            Self::Chunked(unchunker) => unchunker.is_done(),
            Self::Unknown => false,
        }
    }

    /// Uses what belongs to the body, writes it as the client reads it, and answers how many bytes it used.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        modern: bool,
        into: &mut Vec<u8>,
    ) -> Result<usize, NoAnswer> {
        let used = match self {
            Self::Bytes(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= used as u64;
                used
            }
            Self::Chunked(unchunker) => {
                let payload = |bytes: &[u8]| {
                    if !modern {
                        into.extend(bytes);
                    }
                };
                let used = unchunker.advance(input, payload).map_err(|_| NoAnswer)?;
                if !modern {
                    return Ok(used);
                }
                used
            }
            Self::Unknown => input.len(),
        };
        into.extend(input.get(..used).unwrap_or_default());
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_answer_passes_as_it_is_and_plain_for_an_old_client() {
        let head =
            b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=30\r\n\r\n";
        let body = b"3\r\nabc\r\n0\r\n\r\nnext";
        for (modern, text) in [(true, b"3\r\nabc\r\n0\r\n\r\n".as_slice()), (false, b"abc")] {
            let mut answer = Answer::parse(head, Method::Get).unwrap();
            let mut out = Vec::new();
            answer.write_head(modern, modern, &mut out);
            let head = String::from_utf8(std::mem::take(&mut out)).unwrap();
            assert!(
                head.starts_with("HTTP/1.1 200 OK\r\nX-A: b\r\n") && !head.contains("Keep-Alive:"),
                "{head}"
            );
            assert_eq!(head.contains("chunked"), modern);
            assert_eq!(answer.length.advance(body, modern, &mut out).unwrap(), body.len() - 4);
            assert!(answer.length.is_done() && answer.length.is_delimited(modern) == modern);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn an_answer_to_head_has_no_body_whatever_it_states() {
        let answer = Answer::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", Method::Head).unwrap();
        assert!(answer.length.is_done());
        let answer = Answer::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", Method::Get).unwrap();
        assert!(!answer.length.is_done());
        assert!(Answer::parse(b"HTTP/1.1\r\n\r\n", Method::Get).is_err());
    }
}
