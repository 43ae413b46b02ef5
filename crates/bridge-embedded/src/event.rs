//! Progress of fetching and starting an engine.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::version::{ENGINE_PACKAGE, ENGINE_VERSION};

/// A step on the way to a running engine; displayed as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineEvent {
    /// Another program is fetching the engine; this one waits.
    WaitingForFetch,
    /// The engine in the cache is incomplete and is fetched again.
    Damaged {
        /// The damaged file.
        path: PathBuf,
    },
    /// npm starts to fetch the engine.
    Fetching {
        /// Folder in the cache.
        folder: PathBuf,
    },
    /// Progress of npm, once a second.
    FetchProgress {
        /// Bytes on disk so far.
        bytes: u64,
        /// Time since the start of the fetch.
        elapsed: Duration,
    },
    /// The engine is in the cache.
    Fetched {
        /// Size of the engine's library.
        bytes: u64,
        /// Duration of the fetch.
        elapsed: Duration,
    },
    /// An engine is being started.
    Starting {
        /// Its data folder.
        data_folder: PathBuf,
    },
    /// A definition of a table or database that a full disk had truncated is repaired, with all rows.
    Repaired {
        /// Its name.
        name: String,
    },
    /// A truncated definition of an unknown table or a view is set aside; rows stay on the disk.
    SetAside {
        /// Its name.
        name: String,
    },
    /// Data of an older engine is upgraded: this engine answers on it.
    Upgraded {
        /// The older version.
        from: String,
    },
    /// The engine answers.
    Started {
        /// Its address.
        url: String,
        /// Duration of the start.
        elapsed: Duration,
    },
    /// A running engine is shared.
    Joined {
        /// Its address.
        url: String,
    },
}

impl fmt::Display for EngineEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitingForFetch => write!(f, "another program is fetching the engine, waiting for it"),
            Self::Damaged { path } => write!(f, "{} is damaged, fetching it again", path.display()),
            Self::Fetching { folder } => write!(
                f,
                "fetching ClickHouse once: {ENGINE_PACKAGE} {ENGINE_VERSION} (about 170 MB, 570 MB on disk) into {}",
                folder.display()
            ),
            Self::FetchProgress { bytes, elapsed } => {
                write!(f, "fetching: {} MB unpacked, {} s", bytes / 1_000_000, elapsed.as_secs())
            }
            Self::Fetched { bytes, elapsed } => {
                write!(f, "fetched {} MB in {:.1} s", bytes / 1_000_000, elapsed.as_secs_f64())
            }
            Self::Starting { data_folder } => {
                write!(f, "starting ClickHouse on {}", data_folder.display())
            }
            Self::Repaired { name } => {
                write!(
                    f,
                    "repaired the definition of {name}, which a full disk had truncated; all rows are kept"
                )
            }
            Self::SetAside { name } => write!(
                f,
                "set aside the definition of {name}, which a full disk had truncated; a view is recreated, rows stay on disk"
            ),
            Self::Upgraded { from } => write!(f, "upgraded the data of engine {from}"),
            Self::Started { url, elapsed } => {
                write!(f, "ClickHouse answers at {url} after {} ms", elapsed.as_millis())
            }
            Self::Joined { url } => write!(f, "sharing the ClickHouse that runs at {url}"),
        }
    }
}
