//! What happens while an engine is fetched and started, for the person who waits.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::version::{ENGINE_PACKAGE, ENGINE_VERSION};

/// A step on the way to a running engine. Its text is one line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineEvent {
    /// Another program fetches the engine; this one waits for it.
    WaitingForFetch,
    /// The engine in the cache is not whole and is fetched again.
    Damaged {
        /// The damaged file.
        path: PathBuf,
    },
    /// npm begins to fetch the engine.
    Fetching {
        /// Where it will be kept.
        folder: PathBuf,
    },
    /// npm is at work; once a second.
    FetchProgress {
        /// Bytes of the engine on disk so far.
        bytes: u64,
        /// Time since the fetch began.
        elapsed: Duration,
    },
    /// The engine is in the cache.
    Fetched {
        /// Size of the engine's library.
        bytes: u64,
        /// Time that the fetch took.
        elapsed: Duration,
    },
    /// A fresh engine is started.
    Starting {
        /// Its data.
        data_folder: PathBuf,
    },
    /// The definition of a table or a database was cut by a full disk and is repaired; all its rows stay.
    Repaired {
        /// Its name.
        name: String,
    },
    /// The definition of a table or a view was cut by a full disk, and nothing is known of it: it is set aside.
    SetAside {
        /// Its name.
        name: String,
    },
    /// The engine answers on data that an older one wrote: they are this one's from now on.
    Upgraded {
        /// The older version.
        from: String,
    },
    /// The engine answers.
    Started {
        /// Where.
        url: String,
        /// Time since the start began.
        elapsed: Duration,
    },
    /// An engine that another user started is shared.
    Joined {
        /// Where it answers.
        url: String,
    },
}

impl fmt::Display for EngineEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitingForFetch => write!(f, "another program fetches the engine, waiting for it"),
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
                write!(f, "repaired {name}, whose definition a full disk had cut; all its rows are there")
            }
            Self::SetAside { name } => write!(
                f,
                "set {name} aside, whose definition a full disk had cut; a view is made again, rows stay on the disk"
            ),
            Self::Upgraded { from } => write!(f, "took over the data of engine {from}"),
            Self::Started { url, elapsed } => {
                write!(f, "ClickHouse answers at {url} after {} ms", elapsed.as_millis())
            }
            Self::Joined { url } => write!(f, "sharing the ClickHouse that runs at {url}"),
        }
    }
}
