//! The identity of files, and the times that the system keeps of them.

use std::fs::Metadata;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

/// The identity of a file or folder, equal for all its paths.
///
/// Device and inode on Unix; elsewhere, where the standard library knows of no such numbers, the canonical path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileIdentity(#[cfg(unix)] (u64, u64), #[cfg(not(unix))] std::path::PathBuf);

impl FileIdentity {
    /// Returns the identity of the file or folder at a path that has this metadata.
    #[cfg(unix)]
    #[must_use]
    pub fn of(_: &Path, metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self((metadata.dev(), metadata.ino()))
    }

    /// Returns the identity of the file or folder at a path that has this metadata.
    #[cfg(not(unix))]
    #[must_use]
    pub fn of(path: &Path, _: &Metadata) -> Self {
        Self(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    }
}

/// Returns whether the file is known to have more than one name.
pub(crate) fn has_further_names(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        metadata.nlink() > 1
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        false
    }
}

/// Returns a hash of everything that the system says about a file's state. An equal hash means an unchanged file.
#[cfg(unix)]
pub(crate) fn state_hash(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let numbers = [
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime().cast_unsigned(),
        metadata.mtime_nsec().cast_unsigned(),
        metadata.ctime().cast_unsigned(),
        metadata.ctime_nsec().cast_unsigned(),
    ];
    xxh3_64(&numbers.map(u64::to_le_bytes).concat())
}

/// Returns a hash of size and time: without inode and change time a file that was rewritten with its time restored
/// cannot be recognized.
#[cfg(not(unix))]
pub(crate) fn state_hash(metadata: &Metadata) -> u64 {
    xxh3_64(&[metadata.len(), modified_nanos(metadata)].map(u64::to_le_bytes).concat())
}

/// Returns the time at which the file's content or metadata changed last, in nanoseconds since 1970. The time of
/// modification, which programs can set, where the system keeps no other.
pub(crate) fn change_time_nanos(metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec().cast_unsigned())
    }
    #[cfg(not(unix))]
    modified_nanos(metadata)
}

#[cfg(not(unix))]
fn modified_nanos(metadata: &Metadata) -> u64 {
    let since_1970 =
        metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since_1970.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
