//! A file of records.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge_core::AuditRecord;

use super::files::{OwnerLock, create_records_file};
use super::line::decode;

/// Size at which a segment is closed: some 600 records, which one write to the store takes.
pub(super) const SEGMENT_BYTES: u64 = 512 << 10;

/// Longer files are not read: the bridge did not write them.
const READ_BYTES_MAX: u64 = 4 * SEGMENT_BYTES;

/// A file of records that gets no more of them.
#[derive(Debug)]
pub(super) struct Segment {
    /// 0 for one that an ended program left.
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) records: u64,
    /// That of the program that wrote it, held as long as there is one of its segments.
    pub(super) _owner: Arc<OwnerLock>,
}

impl Segment {
    /// Removes the file, whose records the store has.
    pub(super) fn remove(self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, "cannot remove an audit spool file, its records will be written again");
            }
            _ => {}
        }
    }
}

/// The segment that records are appended to.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) segment: Segment,
    file: File,
}

impl OpenSegment {
    pub(super) fn create(path: PathBuf, number: u64, owner: Arc<OwnerLock>) -> io::Result<Self> {
        let file = create_records_file(&path)?;
        Ok(Self { segment: Segment { number, path, bytes: 0, records: 0, _owner: owner }, file })
    }

    /// Appends a line. What a full disk took of it is removed again; if that fails, it is damage.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line);
        match written {
            Ok(()) => self.segment.bytes += line.len() as u64,
            Err(_) => self.file.set_len(self.segment.bytes)?,
        }
        written
    }
}

/// Returns the number of lines of a segment.
pub(super) fn count_lines(path: &Path) -> io::Result<u64> {
    let mut bytes = Vec::new();
    File::open(path)?.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes.iter().filter(|byte| **byte == b'\n').count() as u64)
}

/// The content of a segment, which is written to the store at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(super) path: PathBuf,
    /// The records, each as it was written last.
    pub(crate) records: Vec<AuditRecord>,
    /// Number of lines that hold none.
    pub(crate) damaged: u64,
}

impl Batch {
    /// Reads a segment. A part that cannot be read is damage; so are `own` records if the file is gone.
    pub(super) fn read(path: PathBuf, own: u64) -> Self {
        let mut bytes = Vec::new();
        let outcome =
            File::open(&path).and_then(|file| file.take(READ_BYTES_MAX + 1).read_to_end(&mut bytes));
        let mut batch = Self { path, records: Vec::new(), damaged: 0 };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n").and_then(decode) {
                Some(record) => batch.add(record),
                None => batch.damaged += 1,
            }
        }
        match outcome {
            Err(error) if error.kind() == ErrorKind::NotFound => batch.damaged = own,
            Err(_) => batch.damaged += 1,
            Ok(read) => batch.damaged += u64::from(read as u64 > READ_BYTES_MAX),
        }
        batch
    }

    /// Adds a record, in the place of its announcement if that is there: it is one of the last.
    fn add(&mut self, record: AuditRecord) {
        match self.records.iter_mut().rev().find(|other| other.id == record.id) {
            Some(announced) => *announced = record,
            None => self.records.push(record),
        }
    }
}
