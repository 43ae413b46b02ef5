//! Errors of fetching and starting an engine.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Reason that an engine could not be started.
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
    /// The cache folder is unknown.
    #[error("no cache folder for the engine: set BRIDGE_ENGINE_CACHE, XDG_CACHE_HOME or HOME")]
    NoCacheFolder,
    /// npm, which fetches the engine, is not installed.
    #[error(
        "cannot run {} to fetch the engine (once): install Node.js with npm, or give the URL of a ClickHouse server",
        program.display()
    )]
    NpmMissing {
        /// The program that could not be run.
        program: PathBuf,
    },
    /// npm failed to fetch the engine.
    #[error("npm could not fetch the engine ({status}): {last_lines}")]
    NpmFailed {
        /// Exit status of npm.
        status: ExitStatus,
        /// Last lines of its standard error.
        last_lines: String,
    },
    /// npm took too long and was stopped.
    #[error("npm did not fetch the engine within {} s", after.as_secs())]
    NpmTimedOut {
        /// The timeout.
        after: Duration,
    },
    /// The fetched package does not contain the engine.
    #[error("the fetched package contains no engine at {}", path.display())]
    PackageIncomplete {
        /// Expected path of the engine's library.
        path: PathBuf,
    },
    /// The file system is full.
    #[error("no space left on the disk of {}", path.display())]
    DiskFull {
        /// The path to be written.
        path: PathBuf,
    },
    /// The folder cannot be written to.
    #[error("cannot write to {}", path.display())]
    NotWritable {
        /// The path to be written.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Any other failure of the file system or of starting a process.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The failed action.
        action: &'static str,
        /// Its object.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The engine requires a data path in UTF-8 without a backslash.
    #[error("the path of the data folder is not UTF-8 or contains a backslash: {}", path.display())]
    InvalidDataPath {
        /// The path.
        path: PathBuf,
    },
    /// The data was written by a newer engine.
    #[error(
        "the data in {} was written by engine {data}, which is newer than {engine}: upgrade this program",
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
    /// Another program that was starting, stopping or fetching an engine held its lock too long.
    #[error("{} was locked by another program for more than {} s", path.display(), waited.as_secs())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// Time waited.
        waited: Duration,
    },
    /// A ClickHouse process that this crate did not start uses the data.
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
    /// The engine exited before it answered.
    #[error("the engine did not start: {reason} (log: {})", log.display())]
    NotStarted {
        /// Tail of its log.
        reason: String,
        /// Path of the log.
        log: PathBuf,
    },
    /// The engine is running but did not answer in time.
    #[error("the engine did not answer within {} s (log: {})", waited.as_secs(), log.display())]
    Unresponsive {
        /// Time waited.
        waited: Duration,
        /// Path of its log.
        log: PathBuf,
    },
}

impl EngineError {
    /// Returns whether the same call may succeed later.
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

    /// Classifies a file system error.
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
