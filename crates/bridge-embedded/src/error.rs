//! What can go wrong between asking for an engine and having one.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no engine for this platform.
    #[error(
        "the embedded engine runs on Linux x86-64 with glibc only, not on {platform}: \
         give the URL of a ClickHouse server instead"
    )]
    UnsupportedPlatform {
        /// Operating system and processor.
        platform: String,
    },
    /// No folder to keep the engine in is known.
    #[error("no cache folder for the engine: set BRIDGE_ENGINE_CACHE, XDG_CACHE_HOME or HOME")]
    NoCacheFolder,
    /// The engine must be fetched and npm, which fetches it, is not there.
    #[error(
        "cannot run {} to fetch the engine (once): install Node.js with npm, or give the URL of a ClickHouse server",
        program.display()
    )]
    NpmMissing {
        /// What was tried to run.
        program: PathBuf,
    },
    /// npm did not fetch the engine.
    #[error("npm could not fetch the engine ({status}): {last_lines}")]
    NpmFailed {
        /// How npm ended.
        status: ExitStatus,
        /// The last lines that it wrote to standard error.
        last_lines: String,
    },
    /// npm took too long and was stopped.
    #[error("npm did not fetch the engine within {} s", after.as_secs())]
    NpmTimedOut {
        /// The time that it was given.
        after: Duration,
    },
    /// What npm fetched does not hold the engine.
    #[error("the fetched package holds no engine at {}", path.display())]
    PackageIncomplete {
        /// Where the engine's library should be.
        path: PathBuf,
    },
    /// The file system is full.
    #[error("no space left on the disk of {}", path.display())]
    DiskFull {
        /// What was to be written.
        path: PathBuf,
    },
    /// The folder cannot be written to.
    #[error("cannot write to {}", path.display())]
    NotWritable {
        /// What was to be written.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Any other failure of the file system or of starting a process.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The engine needs the path of its data in UTF-8, and without a backslash.
    #[error("the path of the data folder is not UTF-8 or holds a backslash: {}", path.display())]
    InvalidDataPath {
        /// The path.
        path: PathBuf,
    },
    /// The data were written by a newer engine.
    #[error(
        "the data in {} were written by engine {data}, which is newer than {engine}: upgrade this program",
        path.display()
    )]
    NewerData {
        /// The data folder.
        path: PathBuf,
        /// The version that wrote the data.
        data: String,
        /// The version of this program's engine.
        engine: &'static str,
    },
    /// Another program that starts, stops or fetches an engine held its lock too long.
    #[error("another program kept {} locked for more than {} s", path.display(), waited.as_secs())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// A ClickHouse that this crate did not start works on the data.
    #[error("another ClickHouse process uses the data in {}", path.display())]
    DataInUse {
        /// The data folder.
        path: PathBuf,
    },
    /// The data folder was removed while its engine started.
    #[error("the data folder {} was removed while its engine was starting", path.display())]
    DataDirRemoved {
        /// The data folder.
        path: PathBuf,
    },
    /// The engine ended before it answered.
    #[error("the engine did not start: {reason} (log: {})", log.display())]
    NotStarted {
        /// The end of what it wrote to its log.
        reason: String,
        /// The whole log.
        log: PathBuf,
    },
    /// The engine runs but did not answer in time.
    #[error("the engine did not answer within {} s (log: {})", waited.as_secs(), log.display())]
    Unresponsive {
        /// How long was waited.
        waited: Duration,
        /// Its log.
        log: PathBuf,
    },
}

impl EngineError {
    /// Whether the same call may succeed later without anything being changed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::DataDirRemoved { .. }
                | Self::Unresponsive { .. }
                | Self::NpmTimedOut { .. }
        )
    }

    /// Turns a failure of the file system into the error that says what to do about it.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Self::NotWritable { path, source }
                }
                _ => Self::Io { action, path, source },
            }
        }
    }
}
