//! The state of a file when it was read, to see later how it changed.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use bridge_core::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use crate::platform::{change_time_nanos, open_regular, state_hash};
use crate::position::ReadPosition;
use crate::source::SourceFile;

/// The state of a file when its reading began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    /// Its size, in bytes. Nothing beyond was read.
    pub size: u64,
    /// When it was last modified.
    pub modified: Timestamp,
    /// When its inode last changed, in nanoseconds since 1970. Later than in every previous state of the file,
    /// even if the modification time is set back. The modification time on systems without it.
    pub changed_nanos: u64,
    /// Identifies the state of its inode: device, number, size, and both times to the nanosecond.
    pub identity: u64,
    /// Identifies its content up to `size`: all of a small file, samples of a large one.
    pub fingerprint: u128,
}

/// The position up to which a file was read, and its state then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCursor {
    /// Its state.
    pub state: FileState,
    /// The position up to which it was read.
    pub position: ReadPosition,
    /// When it was read.
    pub read_at: Timestamp,
}

impl FileCursor {
    /// Returns whether the file was read so long after its last change that another change would be noticed.
    #[must_use]
    pub fn is_past_clock_granularity(&self) -> bool {
        is_past_clock_granularity(self.read_at, self.state.modified, self.state.changed_nanos)
    }
}

/// The change of a file since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileChange {
    /// Nothing.
    Unchanged,
    /// It was appended to: what was read is still there.
    Appended,
    /// It was truncated, rewritten or replaced: all of it must be read.
    Rewritten,
}

/// Files up to this size are identified by all their bytes.
const WHOLE_BYTES_MAX: u64 = 256 << 10;
/// In larger ones a sample is taken at each multiple of this offset, and one before the end.
const SAMPLE_DISTANCE: u64 = 256 << 10;
const SAMPLE_BYTES: u64 = 4 << 10;

/// A file that is written to twice within the granularity of its file system's clock may look as if it were written to
/// once. One that was read so soon after a change is not trusted to be unchanged.
const CLOCK_GRANULARITY_MAX: Duration = Duration::from_secs(2);
/// The same for a clock that counts parts of milliseconds: it advances with each tick of the system, of 10 ms at most.
const FINE_CLOCK_GRANULARITY_MAX: Duration = Duration::from_millis(100);

/// Inspects a file before it is read: its state, and its change since `known`.
///
/// The only change that goes unnoticed is an in-place edit that keeps the length, in a part of a large file that is not
/// sampled, if the file is appended to before it is inspected again.
///
/// # Errors
///
/// The file cannot be read.
pub fn inspect(file: &SourceFile, known: Option<&FileCursor>) -> io::Result<(FileState, FileChange)> {
    if let Some(known) = known
        && is_untouched(&file.path.metadata()?, known)
    {
        return Ok((known.state, FileChange::Unchanged));
    }
    let mut source = open_regular(&file.path)?;
    let metadata = source.metadata()?;
    let (size, identity) = (metadata.len(), state_hash(&metadata));
    let modified = modified(&metadata);
    let changed_nanos = change_time_nanos(&metadata);
    let state =
        FileState { size, modified, changed_nanos, identity, fingerprint: fingerprint(&mut source, size)? };
    let change = match known {
        Some(known) if is_continued(&mut source, size, known)? => FileChange::Appended,
        _ => FileChange::Rewritten,
    };
    Ok((state, change))
}

/// Returns whether the file is unchanged.
fn is_untouched(metadata: &Metadata, known: &FileCursor) -> bool {
    let modified = modified(metadata);
    // The size is part of the identity, too, but a read ends at the recorded one.
    known.state.size == metadata.len()
        && known.state.identity == state_hash(metadata)
        && is_past_clock_granularity(known.read_at, modified, change_time_nanos(metadata))
}

fn modified(metadata: &Metadata) -> Timestamp {
    metadata.modified().map_or(Timestamp::MIN, Timestamp::from_system)
}

/// Returns whether the lines that were read are still there, followed by more.
fn is_continued(source: &mut File, size: u64, known: &FileCursor) -> io::Result<bool> {
    let FileCursor { state, position, .. } = known;
    if size <= state.size || fingerprint(source, state.size)? != state.fingerprint {
        return Ok(false);
    }
    // A last line that was valid without its newline was counted; if it goes on, it was another one.
    let at = position.offset.saturating_sub(1);
    let mut around = [0; 2];
    read_at(source, at, &mut around)?;
    Ok(position.offset == 0 || around[0] == b'\n' || around[1] == b'\n')
}

fn fingerprint(source: &mut File, size: u64) -> io::Result<u128> {
    let mut hasher = Xxh3::new();
    hasher.update(&size.to_le_bytes());
    if size <= WHOLE_BYTES_MAX {
        hash(source, 0, size, &mut hasher)?;
        return Ok(hasher.digest128());
    }
    let mut offset = 0;
    while offset < size {
        hash(source, offset, SAMPLE_BYTES.min(size - offset), &mut hasher)?;
        offset += SAMPLE_DISTANCE;
    }
    hash(source, size - SAMPLE_BYTES, SAMPLE_BYTES, &mut hasher)?;
    Ok(hasher.digest128())
}

fn hash(source: &mut File, offset: u64, bytes: u64, hasher: &mut Xxh3) -> io::Result<()> {
    let mut buffer = [0; 4 << 10];
    source.seek(SeekFrom::Start(offset))?;
    let mut source = source.take(bytes);
    loop {
        // A file that became shorter meanwhile has another fingerprint, too.
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        hasher.update(&buffer[..read]);
    }
}

/// Fills the buffer until the end of the file.
fn read_at(source: &mut File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    source.seek(SeekFrom::Start(offset))?;
    let mut filled = 0;
    while filled < buffer.len() {
        let read = source.read(&mut buffer[filled..])?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    Ok(())
}

/// Returns whether a file was read so long after its changes that another change would be noticed.
fn is_past_clock_granularity(read_at: Timestamp, modified: Timestamp, changed_nanos: u64) -> bool {
    let changed =
        i64::try_from(changed_nanos / 1_000_000).ok().and_then(|ms| Timestamp::from_millis(ms).ok());
    let latest = changed.map_or(Timestamp::MAX, |changed| changed.max(modified));
    let is_fine = !changed_nanos.is_multiple_of(1_000_000);
    let granularity = if is_fine { FINE_CLOCK_GRANULARITY_MAX } else { CLOCK_GRANULARITY_MAX };
    read_at.saturating_since(latest) > granularity
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn source(path: &Path) -> SourceFile {
        SourceFile { path: path.to_owned(), size: 0, modified: Timestamp::MIN, project_folder: None }
    }

    fn read(path: &Path, read_at: Timestamp) -> FileCursor {
        let (state, change) = inspect(&source(path), None).unwrap();
        assert_eq!(change, FileChange::Rewritten);
        let position = ReadPosition { offset: state.size, ..ReadPosition::default() };
        FileCursor { state, position, read_at }
    }

    /// Long after the file was written, by its clock.
    fn later() -> Timestamp {
        Timestamp::MAX
    }

    fn change(path: &Path, cursor: &FileCursor) -> FileChange {
        inspect(&source(path), Some(cursor)).unwrap().1
    }

    fn lines(bytes: usize) -> Vec<u8> {
        (0..).flat_map(|n: u64| format!("{{\"n\":{n}}}\n").into_bytes()).take(bytes).chain(*b"\n").collect()
    }

    #[test]
    fn changes_of_a_file_are_detected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.jsonl");
        for size in [0, 10, 5_000, 300_000, 900_000] {
            let content = lines(size);
            let rewrite = |content: &[u8]| fs::write(&path, content).unwrap();
            rewrite(&content);
            let cursor = read(&path, later());
            assert_eq!(change(&path, &cursor), FileChange::Unchanged);

            rewrite(&[&content[..], b"{}\n"].concat());
            assert_eq!(change(&path, &cursor), FileChange::Appended, "{size}");
            rewrite(&content[..content.len() - 1]);
            assert_eq!(change(&path, &cursor), FileChange::Rewritten, "{size}");
            rewrite(&[b"x", &content[..], b"longer"].concat());
            assert_eq!(change(&path, &cursor), FileChange::Rewritten, "{size}");
            rewrite(&content.iter().rev().copied().collect::<Vec<_>>());
            assert_eq!(change(&path, &cursor), FileChange::Rewritten, "{size}");
        }
    }

    #[test]
    fn a_replaced_file_is_detected_whatever_its_times() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("f.jsonl"), folder.path().join("g.jsonl"));
        fs::write(&path, lines(100)).unwrap();
        let cursor = read(&path, later());
        fs::write(&other, lines(100)).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(change(&path, &cursor), FileChange::Rewritten);
    }

    #[test]
    fn a_file_read_within_clock_granularity_of_its_change_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.jsonl");
        fs::write(&path, lines(100)).unwrap();
        let cursor = read(&path, Timestamp::MIN);
        assert_eq!(change(&path, &cursor), FileChange::Rewritten);
    }

    #[test]
    fn a_continued_last_line_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.jsonl");
        fs::write(&path, "{}\n{}").unwrap();
        let cursor = read(&path, later());
        fs::write(&path, "{}\n{}\n{}").unwrap();
        assert_eq!(change(&path, &cursor), FileChange::Appended);
        fs::write(&path, "{}\n{}x").unwrap();
        assert_eq!(change(&path, &cursor), FileChange::Rewritten);
    }
}
