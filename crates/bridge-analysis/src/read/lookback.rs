//! Finds the time for a record without a readable one: the nearest earlier one in its file.
//!
//! It may be in any line, even in one that is not parsed otherwise. Such records are rare, so the file
//! is searched backward from them, window by window, each line in full, until a time is found.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::path::Path;

use bridge_core::Timestamp;

use crate::claude;
use crate::platform::open_regular;
use crate::position::KnownTime;
use crate::read::lines::{BYTE_ORDER_MARK, Limits, Line, Lines};

/// The first window, in bytes. Each next one is twice as large, up to the maximum.
const WINDOW_BYTES: u64 = 64 << 10;
const WINDOW_BYTES_MAX: u64 = 16 << 20;

/// Returns the last readable time of a record in a line that begins before `line_start`.
pub(crate) fn time_before(
    path: &Path,
    limits: Limits,
    line_start: u64,
    known: KnownTime,
) -> io::Result<Option<Timestamp>> {
    let mut until = line_start;
    let mut window = WINDOW_BYTES;
    while until > known.before {
        let from = until.saturating_sub(window).max(known.before);
        if let Some(time) = last_time(path, limits, from, until)? {
            return Ok(Some(time));
        }
        until = from;
        window = (window * 2).min(WINDOW_BYTES_MAX);
    }
    Ok(known.time)
}

/// Returns the last readable time of a record in the lines that begin in the range.
fn last_time(path: &Path, limits: Limits, from: u64, until: u64) -> io::Result<Option<Timestamp>> {
    // A file without any times asks at every response, usually about a few lines.
    let range_bytes = usize::try_from(until - from).unwrap_or(usize::MAX);
    let block_bytes = range_bytes.saturating_add(1).min(limits.block_bytes);
    let mut lines = open(path, Vec::new(), Limits { block_bytes, ..limits }, (from, until), u64::MAX)?;
    let mut last = None;
    loop {
        let starts_file = lines.offset() == 0;
        let Some(line) = lines.next_line()? else { return Ok(last) };
        let Line::Complete(line) = line else { continue };
        let line = if starts_file { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        let Ok(line) = simdutf8::basic::from_utf8(line) else { continue };
        last = claude::last_time(line).unwrap_or_default().or(last);
    }
}

/// Opens the lines of a file that begin in the range. The file ends at `end` at the latest.
pub(crate) fn open(
    path: &Path,
    buffer: Vec<u8>,
    limits: Limits,
    (from, until): (u64, u64),
    end: u64,
) -> io::Result<Lines<Take<File>>> {
    let mut file = open_regular(path)?;
    if from == 0 {
        return Ok(Lines::new(file.take(end), buffer, limits, 0, until));
    }
    // One byte earlier: a newline there says that a line begins at `from`.
    file.seek(SeekFrom::Start(from - 1))?;
    let file = file.take(end.saturating_sub(from - 1));
    let mut lines = Lines::new(file, buffer, limits, from - 1, until);
    lines.skip_rest_of_line()?;
    Ok(lines)
}
