//! Reads lines from a stream, in a reused buffer of bounded size.

use std::io::{self, Read};

/// Limits of the memory used for a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The size of a read, in bytes.
    pub(crate) block_bytes: usize,
    /// Longer lines are not held, in bytes without the newline.
    pub(crate) line_bytes_max: usize,
}

/// The byte order mark: ignored at the start of a file, damage everywhere else.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Larger blocks fall out of the L2 cache, smaller ones cost more calls.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// A buffer that grew for a long line is kept up to this number of blocks, because long lines are frequent.
const KEPT_BLOCKS: usize = 8;

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

/// The lines that begin in a range of a file, wherever they end. Holds one block, or one line if that is
/// longer, up to the limit.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    source: R,
    /// `buffer[start..end]` is read and not yet returned; `buffer[start..searched]` has no newline.
    buffer: Vec<u8>,
    start: usize,
    searched: usize,
    end: usize,
    limits: Limits,
    /// The offset up to which lines were returned, in bytes.
    offset: u64,
    /// Lines that begin here or later belong to another part.
    until: u64,
    at_end: bool,
}

impl<R: Read> Lines<R> {
    /// Creates a reader of the lines of a source that is positioned at `offset`, where a line begins.
    pub(crate) fn new(source: R, buffer: Vec<u8>, limits: Limits, offset: u64, until: u64) -> Self {
        let mut buffer = buffer;
        if buffer.len() < limits.block_bytes.max(1) {
            buffer.resize(limits.block_bytes.max(1), 0);
        }
        Self { source, buffer, start: 0, searched: 0, end: 0, limits, offset, until, at_end: false }
    }

    /// Skips the rest of a line that began before; the source is anywhere in it.
    pub(crate) fn skip_rest_of_line(&mut self) -> io::Result<()> {
        self.skip_line()
    }

    /// Returns the offset of the next line.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the buffer for reuse.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Reads the next line; `None` at the end.
    #[inline]
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if self.offset >= self.until {
                return Ok(None);
            }
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]) {
                let line = self.start..self.searched + at;
                self.advance(line.end + 1 - self.start);
                return Ok(Some(self.admit(line, true)));
            }
            self.searched = self.end;
            if self.end - self.start > self.limits.line_bytes_max {
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
        match (line.len() > self.limits.line_bytes_max, complete) {
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

    /// Appends more to the buffer, and grows it only for a line that fills it.
    fn fill(&mut self) -> io::Result<()> {
        let block = self.limits.block_bytes.max(1);
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.searched -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            let grown = (self.buffer.len() * 2).min(self.limits.line_bytes_max.saturating_add(block));
            self.buffer.resize(grown.max(self.end + block), 0);
        } else if self.end < block / 2 && self.buffer.len() > KEPT_BLOCKS * block {
            self.buffer.truncate(block);
            self.buffer.shrink_to_fit();
        }
        self.read()
    }

    /// Reads a block, and little of another part.
    fn read(&mut self) -> io::Result<()> {
        let read_to = self.offset + (self.end - self.start) as u64;
        let own = usize::try_from(self.until.saturating_sub(read_to)).unwrap_or(usize::MAX);
        let block = self.limits.block_bytes.max(1);
        let wanted = own.clamp(block.div_ceil(16), block);
        let room = self.buffer.len() - self.end;
        loop {
            let free = &mut self.buffer[self.end..][..wanted.min(room)];
            match self.source.read(free) {
                Ok(bytes) => {
                    self.at_end = bytes == 0;
                    self.end += bytes;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Skips the rest of a line without keeping it, at most to the end of the range, because no other
    /// line begins before this one ends.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]) {
                self.advance(self.searched + at + 1 - self.start);
                return Ok(());
            }
            self.advance(self.end - self.start);
            (self.start, self.searched, self.end) = (0, 0, 0);
            if self.at_end || self.offset >= self.until {
                return Ok(());
            }
            self.read()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the bytes in pieces of the given sizes, in turn.
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

    /// The lines that begin in `from..until`, with their offsets.
    fn lines(
        content: &[u8],
        sizes: &[usize],
        limits: Limits,
        from: usize,
        until: usize,
    ) -> Vec<(u64, String)> {
        let source = Pieces(&content[from.saturating_sub(1)..], sizes.to_vec(), 0);
        let offset = from.saturating_sub(1) as u64;
        let mut lines = Lines::new(source, Vec::new(), limits, offset, until as u64);
        if from > 0 {
            lines.skip_rest_of_line().unwrap();
        }
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
        fn lines_are_the_same_however_the_bytes_arrive_and_the_file_is_cut(
            content in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'x'), Just(b'y')], 0..200),
            sizes in prop::collection::vec(1_usize..9, 1..5),
            line_bytes_max in 1_usize..30,
            block_bytes in 1_usize..20,
            cuts in prop::collection::btree_set(1_usize..200, 0..6),
        ) {
            let mut expected = Vec::new();
            let mut offset = 0;
            for line in content.split_inclusive(|byte| *byte == b'\n') {
                let (text, complete) = match line.strip_suffix(b"\n") {
                    Some(text) => (text, true),
                    None => (line, false),
                };
                let kind = match (text.len() > line_bytes_max, complete) {
                    (true, _) => Line::Oversize,
                    (false, true) => Line::Complete(text),
                    (false, false) => Line::Unterminated(text),
                };
                expected.push((offset, format!("{kind:?}")));
                offset += line.len() as u64;
            }
            let limits = Limits { block_bytes, line_bytes_max };
            let mut starts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < content.len()).collect();
            starts.insert(0, 0);
            let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
            let found: Vec<_> =
                starts.iter().zip(ends).flat_map(|(from, until)| lines(&content, &sizes, limits, *from, until)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_long_line_grows_the_buffer_and_a_longer_one_does_not() {
        let mut content = vec![b'a'; BLOCK_BYTES * 5];
        content.push(b'\n');
        content.extend(vec![b'b'; BLOCK_BYTES * 40]);
        content.extend(b"\nend\n");
        let limits = Limits { block_bytes: BLOCK_BYTES, line_bytes_max: BLOCK_BYTES * 8 };
        let mut lines = Lines::new(&content[..], Vec::new(), limits, 0, u64::MAX);
        assert!(
            matches!(lines.next_line().unwrap(), Some(Line::Complete(line)) if line.len() == BLOCK_BYTES * 5)
        );
        assert_eq!(lines.next_line().unwrap(), Some(Line::Oversize));
        assert!(lines.buffer.len() <= BLOCK_BYTES * 9);
        assert_eq!(lines.next_line().unwrap(), Some(Line::Complete(b"end")));
        assert_eq!(lines.next_line().unwrap(), None);
    }
}
