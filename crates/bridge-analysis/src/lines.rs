//! Lines out of a stream, in a reused buffer of bounded size.

use std::io::{self, Read};

/// What is read at once. Larger blocks fall out of the L2 cache.
const BLOCK_BYTES: usize = 256 * 1024;

/// A line of a file, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line that ends in a newline.
    Complete(&'a [u8]),
    /// The last line, without a newline.
    Unterminated(&'a [u8]),
    /// A line over the limit; its bytes were not kept.
    Oversize,
}

/// Splits a stream into lines. Holds one block, or one line where that is longer, up to the limit.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    source: R,
    /// `buffer[start..end]` is read and not yet handed out; no newline stands in `buffer[start..searched]`.
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    end: usize,
    line_bytes_max: usize,
    /// How far the file is handed out, in bytes.
    offset: u64,
    at_end: bool,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(source: R, buffer: Vec<u8>, line_bytes_max: usize) -> Self {
        let mut buffer = buffer;
        buffer.resize(BLOCK_BYTES, 0);
        Self { source, buffer, start: 0, searched: 0, end: 0, line_bytes_max, offset: 0, at_end: false }
    }

    /// The offset of the next line.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The buffer, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The next line, `None` at the end.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]) {
                let line = self.start..self.searched + at;
                self.advance(line.end + 1 - self.start);
                return Ok(Some(self.admit(line, true)));
            }
            self.searched = self.end;
            if self.end - self.start > self.line_bytes_max {
                self.skip_line()?;
                return Ok(Some(Line::Oversize));
            }
            if self.at_end {
                let line = self.start..self.end;
                self.advance(line.len());
                return Ok((!line.is_empty()).then(|| self.admit(line, false)));
            }
            self.fill()?;
        }
    }

    fn admit(&self, line: std::ops::Range<usize>, complete: bool) -> Line<'_> {
        match (line.len() > self.line_bytes_max, complete) {
            (true, _) => Line::Oversize,
            (false, true) => Line::Complete(&self.buffer[line]),
            (false, false) => Line::Unterminated(&self.buffer[line]),
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.searched = self.start;
        self.offset += bytes as u64;
    }

    /// Reads more behind what is there; grows the buffer only for a line that fills it.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.searched -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            let grown = (self.buffer.len() * 2).min(self.line_bytes_max.saturating_add(BLOCK_BYTES));
            self.buffer.resize(grown.max(self.end + BLOCK_BYTES), 0);
        } else if self.end < BLOCK_BYTES / 2 && self.buffer.len() > BLOCK_BYTES {
            self.buffer.truncate(BLOCK_BYTES);
            self.buffer.shrink_to_fit();
        }
        let read = self.read()?;
        self.end += read;
        Ok(())
    }

    fn read(&mut self) -> io::Result<usize> {
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.at_end = true;
                    return Ok(0);
                }
                Ok(bytes) => return Ok(bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes over the rest of a line that is over the limit.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            match memchr::memchr(b'\n', &self.buffer[self.searched..self.end]) {
                Some(at) => {
                    self.advance(self.searched + at + 1 - self.start);
                    return Ok(());
                }
                None => {
                    self.advance(self.end - self.start);
                    (self.start, self.searched, self.end) = (0, 0, 0);
                    self.end = self.read()?;
                    if self.at_end {
                        return Ok(());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out the bytes in pieces of the given sizes, in turn.
    struct Pieces<'a>(&'a [u8], Vec<usize>, usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1[self.2 % self.1.len()].min(self.0.len()).min(buffer.len());
            self.2 += 1;
            buffer[..size].copy_from_slice(&self.0[..size]);
            self.0 = &self.0[size..];
            Ok(size)
        }
    }

    fn lines(content: &[u8], sizes: Vec<usize>, max: usize) -> Vec<(u64, String)> {
        let mut lines = Lines::new(Pieces(content, sizes, 0), Vec::new(), max);
        let mut found = Vec::new();
        loop {
            let offset = lines.offset();
            match lines.next_line().unwrap() {
                None => return found,
                Some(line) => found.push((offset, format!("{line:?}"))),
            }
        }
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_bytes_arrive(
            content in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'x'), Just(b'y')], 0..200),
            sizes in prop::collection::vec(1_usize..9, 1..5),
            max in 1_usize..30,
        ) {
            let mut expected = Vec::new();
            let mut offset = 0;
            for line in content.split_inclusive(|byte| *byte == b'\n') {
                let (text, complete) = match line.strip_suffix(b"\n") {
                    Some(text) => (text, true),
                    None => (line, false),
                };
                let kind = match (text.len() > max, complete) {
                    (true, _) => Line::Oversize,
                    (false, true) => Line::Complete(text),
                    (false, false) => Line::Unterminated(text),
                };
                expected.push((offset, format!("{kind:?}")));
                offset += line.len() as u64;
            }
            prop_assert_eq!(lines(&content, sizes, max), expected);
        }
    }

    #[test]
    fn a_long_line_grows_the_buffer_and_a_longer_one_does_not() {
        let mut content = vec![b'a'; BLOCK_BYTES * 5];
        content.push(b'\n');
        content.extend(vec![b'b'; BLOCK_BYTES * 40]);
        content.extend(b"\nend\n");
        let mut lines = Lines::new(&content[..], Vec::new(), BLOCK_BYTES * 8);
        assert!(
            matches!(lines.next_line().unwrap(), Some(Line::Complete(line)) if line.len() == BLOCK_BYTES * 5)
        );
        assert_eq!(lines.next_line().unwrap(), Some(Line::Oversize));
        assert!(lines.buffer.len() <= BLOCK_BYTES * 9);
        assert_eq!(lines.next_line().unwrap(), Some(Line::Complete(b"end")));
        assert_eq!(lines.next_line().unwrap(), None);
    }
}
