//! Headers of a request or response.

/// Headers in their order.
#[derive(Debug, Default)]
pub(super) struct Headers(Vec<(String, Vec<u8>)>);

/// Splits a head, including its final empty line, into its first line and its headers. Returns `None` where a line is
/// not a header, or there are more than `headers_max`.
pub(super) fn parse(head: &[u8], headers_max: usize) -> Option<(&str, Headers)> {
    let head = head.strip_suffix(b"\r\n\r\n")?;
    let mut lines = split_lines(head).into_iter();
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let mut headers = Vec::new();
    for line in lines {
        if headers.len() == headers_max {
            return None;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
        // Refuses an empty name, and one with a leading blank: an obsolete folded line.
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return None;
        }
        headers.push((String::from_utf8(name.to_vec()).ok()?, value.trim_ascii().to_vec()));
    }
    Some((first, Headers(headers)))
}

impl Headers {
    /// Returns the values of all headers with this name.
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        let named = self.0.iter().filter(move |field| field.0.eq_ignore_ascii_case(name));
        named.map(|field| field.1.as_slice())
    }

    /// Returns the value of the only header with this name, or an error where there are several.
    pub(super) fn only(&self, name: &'static str) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(value) }
    }

    /// Returns whether a comma-separated header with this name lists the word.
    pub(super) fn lists(&self, name: &'static str, word: &str) -> bool {
        let mut words = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        words.any(|listed| listed.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Writes the end-to-end headers.
    pub(super) fn write_end_to_end(&self, into: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            if !HOP_BY_HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name)) {
                into.extend(name.as_bytes());
                into.extend(b": ");
                into.extend(value);
                into.extend(b"\r\n");
            }
        }
    }
}

/// A header that must be unique is repeated.
#[derive(Debug)]
pub(super) struct Repeated;

const HOP_BY_HOP: [&str; 11] = [
    "Connection",
    "Keep-Alive",
    "Content-Length",
    "Transfer-Encoding",
    "Expect",
    "TE",
    "Trailer",
    "Upgrade",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
];

/// Returns whether the byte is allowed in a header's name.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn split_lines(text: &[u8]) -> Vec<&[u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_by_name_and_counted() {
        let (first, headers) =
            parse(b"GET / HTTP/1.1\r\nHost: a\r\nX:1\r\nx:  2 \r\nConnection: TE, Close\r\n\r\n", 4).unwrap();
        assert_eq!(first, "GET / HTTP/1.1");
        assert_eq!(headers.only("host").unwrap(), Some(b"a".as_slice()));
        assert!(headers.only("X").is_err());
        assert!(headers.lists("connection", "close"));
        let mut kept = Vec::new();
        headers.write_end_to_end(&mut kept);
        assert_eq!(kept, b"Host: a\r\nX: 1\r\nx: 2\r\n");
    }

    #[test]
    fn refuses_lines_that_are_not_headers() {
        for line in ["no colon", " folded: x", ": x", "a b: x", "n\u{e9}: x", "X : x"] {
            assert!(parse(format!("GET / HTTP/1.1\r\n{line}\r\n\r\n").as_bytes(), 9).is_none(), "{line}");
        }
        assert!(parse(b"GET / HTTP/1.1\r\nX: 1\r\nX: 1\r\n\r\n", 1).is_none());
    }
}
