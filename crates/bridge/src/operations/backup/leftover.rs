//! Drafts left behind by killed exports.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use bridge_analysis::platform::FileIdentity;
use bridge_storage::BackupFormat;

use super::manifest::MANIFEST;

/// The file of a draft that the export writing it keeps locked.
pub(super) const LOCK: &str = "lock";
/// The suffix of a draft's folder.
pub(super) const PARTIAL: &str = ".partial";
/// The content of the lock file. A folder without it is not the draft of an export.
const MARK: &str = "an unfinished backup of the Enhanced Token Bridge\n";

/// Locks a draft for its export and marks it. Returns false if another export holds the lock.
pub(super) fn claim(lock: &mut File) -> Result<bool, io::Error> {
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    lock.seek(SeekFrom::Start(0))?;
    lock.write_all(MARK.as_bytes())?;
    Ok(true)
}

/// Returns whether an export writes files of this name.
pub(super) fn is_of_export(name: &Path) -> bool {
    let is_part = [BackupFormat::Parquet, BackupFormat::JsonLines]
        .iter()
        .any(|format| name.extension().is_some_and(|end| end == format.extension()));
    is_part || name == Path::new(MANIFEST)
}

/// Removes the drafts in this folder that no program writes any longer. One without the mark, with anything else in it,
/// or of a running export stays. So does one that cannot be removed, until the next export.
pub(super) fn clear_away(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_partial = entry.file_name().as_encoded_bytes().ends_with(PARTIAL.as_bytes());
        // Links are not followed.
        if is_partial && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            match remove_abandoned(&entry.path()) {
                Ok(true) => {
                    tracing::info!(folder = %bridge_core::Escaped::path(&entry.path()), "removed an unfinished backup")
                }
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "an unfinished backup is kept"),
            }
        }
    }
}

/// Removes a draft if it is abandoned. Returns whether it did.
fn remove_abandoned(partial: &Path) -> io::Result<bool> {
    let path = partial.join(LOCK);
    if !path.symlink_metadata()?.is_file() {
        return Ok(false);
    }
    let mut lock = File::options().read(true).write(true).open(&path)?;
    if lock.try_lock().is_err() || !is_marked(&mut lock)? {
        return Ok(false);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(partial)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == LOCK {
            continue;
        }
        if !entry.file_type()?.is_file() || !is_of_export(Path::new(&name)) {
            return Ok(false);
        }
        files.push(entry.path());
    }
    files.iter().try_for_each(fs::remove_file)?;
    // Last, so that no other program begins in it before, and a killed removal is found again.
    fs::remove_file(&path)?;
    fs::remove_dir(partial)?;
    Ok(true)
}

fn is_marked(lock: &mut File) -> io::Result<bool> {
    let mut text = Vec::new();
    lock.take(MARK.len() as u64 + 1).read_to_end(&mut text)?;
    Ok(text == MARK.as_bytes())
}

/// Returns whether the locked file is still the one at its path. Another export may have removed it as abandoned before
/// it was locked.
pub(super) fn is_there(lock: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| FileIdentity::of(path, &metadata);
    lock.metadata().ok().map(identity) == path.metadata().ok().map(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(folder: &Path, name: &str, mark: &str, files: &[&str]) -> std::path::PathBuf {
        let partial = folder.join(name);
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join(LOCK), mark).unwrap();
        files.iter().for_each(|file| fs::write(partial.join(file), "x").unwrap());
        partial
    }

    #[test]
    fn only_marked_and_unlocked_drafts_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let abandoned = draft(folder.path(), "a.partial", MARK, &["token_usage-00000.parquet", MANIFEST]);
        let unmarked = draft(folder.path(), "b.partial", "", &["mine.parquet"]);
        let with_more = draft(folder.path(), "c.partial", MARK, &["token_usage-00000.jsonl", "letter.txt"]);
        let whole = draft(folder.path(), "d", MARK, &[MANIFEST]);
        let alive = draft(folder.path(), "e.partial", MARK, &["token_usage-00000.parquet"]);
        let lock = File::options().write(true).open(alive.join(LOCK)).unwrap();
        lock.lock().unwrap();
        let users = folder.path().join("f.partial");
        fs::create_dir(&users).unwrap();
        clear_away(folder.path());
        assert!(!abandoned.exists());
        for stays in [&unmarked, &whole, &alive, &users] {
            assert!(stays.exists(), "{}", stays.display());
        }
        assert!(with_more.join("letter.txt").exists() && with_more.join("token_usage-00000.jsonl").exists());
        drop(lock);
        clear_away(folder.path());
        assert!(!alive.exists());
    }
}
