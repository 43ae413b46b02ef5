//! Private files of a spool. They hold ids of sessions.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use bridge_analysis::platform::open_private;

/// Extension of the files with records. Not `jsonl`: transcripts have it.
const RECORDS: &str = "records";
/// Extension of the files that a living program keeps locked.
const LOCK: &str = "lock";

/// Attempts to lock a new file before anyone else does.
const CREATE_ATTEMPTS: u32 = 20;

/// Creates a file that must not exist, for appending.
pub(super) fn create_records_file(path: &Path) -> io::Result<File> {
    open_private(File::options().append(true).create_new(true), path)
}

/// The path of a file with records, below which the number sorts.
pub(super) fn records_path(folder: &Path, owner: &str, number: u64) -> PathBuf {
    folder.join(format!("{owner}-{number:012}.{RECORDS}"))
}

/// A file in the folder, by its owner.
pub(super) enum Entry {
    /// Records.
    Records(PathBuf),
    /// The owner's lock.
    Lock,
}

/// Returns the files in the folder with their owners, sorted by name.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<(String, Entry)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names.iter().filter_map(|name| entry_of(folder, name)).collect())
}

fn entry_of(folder: &Path, name: &str) -> Option<(String, Entry)> {
    let (stem, extension) = name.rsplit_once('.')?;
    match extension {
        LOCK => Some((stem.to_owned(), Entry::Lock)),
        RECORDS => {
            let (owner, _) = stem.split_once('-')?;
            Some((owner.to_owned(), Entry::Records(folder.join(name))))
        }
        _ => None,
    }
}

/// The lock of a living program on its files in a spool.
///
/// The operating system releases it when the program ends in any way. A program that takes the lock of an ended one
/// owns its files. The lock file is removed before the lock is released; it has no content.
#[derive(Debug)]
pub(super) struct OwnerLock {
    path: PathBuf,
    file: File,
}

impl OwnerLock {
    /// Returns a lock for a new owner.
    pub(super) fn create(folder: &Path) -> io::Result<(String, Self)> {
        for _ in 0..CREATE_ATTEMPTS {
            let owner = format!("{:032x}", fastrand::u128(..));
            // Another program may mistake it for an abandoned one and remove it before it is locked.
            if let Some(lock) = Self::take(folder, &owner)?
                && lock.path.try_exists()?
            {
                return Ok((owner, lock));
            }
        }
        Err(io::Error::other("another program takes every lock"))
    }

    /// Returns the lock of this owner, `None` if the owner lives.
    pub(super) fn take(folder: &Path, owner: &str) -> io::Result<Option<Self>> {
        let path = folder.join(format!("{owner}.{LOCK}"));
        let file = open_private(File::options().create(true).truncate(false).write(true), &path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path, file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        // Unlocked, not only closed: a child process that another thread is just spawning may hold a copy of the
        // descriptor until its `exec`.
        let _ = self.file.unlock();
    }
}
