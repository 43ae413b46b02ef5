//! The spool: records that wait for the store in files, which outlive the program.
//!
//! Each program appends records to a file of its own, the open segment. A write to the store takes a whole segment,
//! and removes it once the store has its records. So a program that is killed at any moment leaves each record in the
//! store, in a file, or in both, and writing a record twice changes nothing. The segments of an ended program belong
//! to the first program that takes its lock.
//!
//! Nothing is synced: records survive the end of the process, but not a crash of the machine. A truncated or changed
//! line is counted as damage and skipped.

mod files;
mod line;
mod segment;

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bridge_analysis::platform::create_private_folder;
use bridge_core::AuditRecord;

use files::{Entry, OwnerLock, entries, records_path};
pub(super) use segment::Batch;
use segment::{OpenSegment, SEGMENT_BYTES, Segment, count_lines};

/// The spool of a bridge in a folder that it may share with others.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    owner: String,
    lock: Arc<OwnerLock>,
    files: Mutex<Files>,
    is_failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Files {
    open: Option<OpenSegment>,
    sealed: VecDeque<Segment>,
    /// Number of segments that were opened.
    opened: u64,
    /// Size of all segments.
    bytes: u64,
}

/// Outcome of appending a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is in a file.
    Kept,
    /// The spool has its maximum size.
    Full,
    /// The file cannot be written to.
    Failed,
}

/// Size of what waits in a spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SpoolSize {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Spool {
    /// Opens a spool in this folder.
    pub(super) fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        create_private_folder(folder)?;
        let (owner, lock) = OwnerLock::create(folder)?;
        let (lock, files) = (Arc::new(lock), Mutex::default());
        Ok(Self {
            folder: folder.to_owned(),
            bytes_max,
            owner,
            lock,
            files,
            is_failing: AtomicBool::new(false),
        })
    }

    /// Returns whether there are files of other programs, which may have ended.
    pub(super) fn has_others(&self) -> bool {
        entries(&self.folder).is_ok_and(|entries| entries.iter().any(|(owner, _)| *owner != self.owner))
    }

    /// Appends a record to the page cache, without waiting for the disk.
    pub(super) fn append(&self, record: &AuditRecord) -> Appended {
        self.add(record, 1)
    }

    /// Appends the record of an operation that has not ended, which its final record will replace.
    pub(super) fn announce(&self, record: &AuditRecord) -> Appended {
        self.add(record, 0)
    }

    fn add(&self, record: &AuditRecord, records: u64) -> Appended {
        let line = line::encode(record);
        let mut files = self.files();
        if files.bytes + line.len() as u64 > self.bytes_max {
            return Appended::Full;
        }
        let outcome = self.append_line(&mut files, &line, records);
        drop(files);
        let was_failing = self.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) if !was_failing => {
                tracing::warn!(%error, "cannot write to the audit spool, records wait in memory");
            }
            Ok(()) if was_failing => tracing::info!("audit spool writes recovered"),
            _ => {}
        }
        if outcome.is_ok() { Appended::Kept } else { Appended::Failed }
    }

    fn append_line(&self, files: &mut Files, line: &[u8], records: u64) -> io::Result<()> {
        if files.open.as_ref().is_some_and(|open| open.segment.bytes >= SEGMENT_BYTES) {
            files.seal();
        }
        let mut open = match files.open.take() {
            Some(open) => open,
            None => self.open_segment(files)?,
        };
        let outcome = open.append(line);
        match outcome {
            Ok(()) => {
                open.segment.records += records;
                files.bytes += line.len() as u64;
                files.open = Some(open);
            }
            Err(_) if open.segment.bytes == 0 => open.segment.remove(),
            // Its end may be damaged, so nothing is appended to it.
            Err(_) => files.sealed.push_back(open.segment),
        }
        outcome
    }

    fn open_segment(&self, files: &mut Files) -> io::Result<OpenSegment> {
        files.opened += 1;
        let path = records_path(&self.folder, &self.owner, files.opened);
        OpenSegment::create(path, files.opened, Arc::clone(&self.lock))
    }

    /// Takes over the segments of programs that have ended. Blocks.
    pub(super) fn adopt(&self) {
        if let Err(error) = self.try_adopt() {
            tracing::warn!(%error, "cannot search the audit spool for records of ended programs");
        }
    }

    fn try_adopt(&self) -> io::Result<()> {
        let owners: BTreeSet<_> = entries(&self.folder)?.into_iter().map(|(owner, _)| owner).collect();
        for owner in owners.into_iter().filter(|owner| *owner != self.owner) {
            let Some(lock) = OwnerLock::take(&self.folder, &owner)? else { continue };
            let lock = Arc::new(lock);
            // Not before: another program may have held the lock and removed what it wrote.
            for (_, entry) in entries(&self.folder)?.into_iter().filter(|(of, _)| *of == owner) {
                if let Entry::Records(path) = entry {
                    self.adopt_segment(path, &lock)?;
                }
            }
        }
        Ok(())
    }

    fn adopt_segment(&self, path: PathBuf, owner: &Arc<OwnerLock>) -> io::Result<()> {
        let (bytes, records) = (fs::metadata(&path)?.len(), count_lines(&path)?);
        let mut files = self.files();
        files.bytes += bytes;
        files.sealed.push_back(Segment { number: 0, path, bytes, records, _owner: Arc::clone(owner) });
        Ok(())
    }

    /// Returns a mark after the records that wait at the time of the call, for [`next`](Self::next).
    pub(super) fn due(&self) -> u64 {
        self.files().opened
    }

    /// Reads the oldest segment before the mark or of an ended program. Blocks.
    pub(super) fn next(&self, due: u64) -> Option<Batch> {
        let (path, own) = self.next_segment(due)?;
        Some(Batch::read(path, own))
    }

    /// Returns the file, and the number of records that only this program can have removed. A segment of an ended
    /// program may be gone because another program took it first.
    fn next_segment(&self, due: u64) -> Option<(PathBuf, u64)> {
        let mut files = self.files();
        if files.sealed.is_empty() && files.open.as_ref().is_some_and(|open| open.segment.number <= due) {
            files.seal();
        }
        let next = files.sealed.iter().find(|segment| segment.number <= due)?;
        Some((next.path.clone(), if next.number == 0 { 0 } else { next.records }))
    }

    /// Removes a segment whose records the store has.
    pub(super) fn remove(&self, batch: &Batch) {
        let mut files = self.files();
        let place = files.sealed.iter().position(|segment| segment.path == batch.path);
        let Some(segment) = place.and_then(|place| files.sealed.remove(place)) else { return };
        files.bytes = files.bytes.saturating_sub(segment.bytes);
        drop(files);
        segment.remove();
    }

    /// Returns the size of what waits.
    pub(super) fn size(&self) -> SpoolSize {
        let files = self.files();
        let open = files.open.as_ref().map(|open| &open.segment);
        let records = files.sealed.iter().chain(open).map(|segment| segment.records).sum();
        SpoolSize { records, bytes: files.bytes }
    }

    /// Returns whether more than half of its maximum size is used.
    pub(super) fn is_half_full(&self) -> bool {
        self.files().bytes > self.bytes_max / 2
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn seal(&mut self) {
        self.sealed.extend(self.open.take().map(|open| open.segment));
    }
}
