//! How an engine is to be started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::launch::Fate;
use crate::repair::TableDefinitions;

/// Where an engine's data live, and the limits it is started with.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    pub(crate) data: DataDir,
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) npm: PathBuf,
    pub(crate) startup_timeout: Duration,
    pub(crate) fetch_timeout: Duration,
    pub(crate) memory_bytes_max: u64,
    pub(crate) show_fetch: Option<bool>,
    pub(crate) table_definitions: Option<TableDefinitions>,
}

#[derive(Debug, Clone)]
pub(crate) enum DataDir {
    Kept(PathBuf),
    Ephemeral,
}

impl DataDir {
    pub(crate) fn fate(&self) -> Fate {
        match self {
            Self::Kept(_) => Fate::Keep,
            Self::Ephemeral => Fate::Remove,
        }
    }
}

impl EngineOptions {
    /// An engine on the data in `folder`, which is made if it is not there.
    #[must_use]
    pub fn at(folder: impl AsRef<Path>) -> Self {
        Self::new(DataDir::Kept(folder.as_ref().to_owned()))
    }

    /// An engine on a new temporary folder that is removed when its last user leaves.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::new(DataDir::Ephemeral)
    }

    fn new(data: DataDir) -> Self {
        Self {
            data,
            cache_dir: None,
            npm: PathBuf::from("npm"),
            startup_timeout: Duration::from_secs(60),
            fetch_timeout: Duration::from_mins(20),
            memory_bytes_max: 4 << 30,
            show_fetch: None,
            table_definitions: None,
        }
    }

    /// Keeps the engine in this folder instead of `$BRIDGE_ENGINE_CACHE`, or `enhanced-token-bridge` in
    /// `$XDG_CACHE_HOME` or `~/.cache`.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// The npm program that fetches the engine; `npm` from the `PATH` if not given.
    #[must_use]
    pub fn npm(mut self, program: impl Into<PathBuf>) -> Self {
        self.npm = program.into();
        self
    }

    /// How long a start may take, waiting for other programs included, fetching not; 60 s if not given.
    #[must_use]
    pub fn startup_timeout(mut self, limit: Duration) -> Self {
        self.startup_timeout = limit;
        self
    }

    /// How long fetching may take; 20 minutes if not given.
    #[must_use]
    pub fn fetch_timeout(mut self, limit: Duration) -> Self {
        self.fetch_timeout = limit;
        self
    }

    /// How much memory the engine may use, in bytes; 4 GiB if not given. It holds for an engine that this
    /// program starts, not for one that it shares.
    #[must_use]
    pub fn memory_bytes_max(mut self, bytes: u64) -> Self {
        self.memory_bytes_max = bytes;
        self
    }

    /// Whether lines on standard error say that the engine is being fetched, and how far that is. If not given they do
    /// where nobody observes: [`Engine::start`](crate::Engine::start) writes them, and
    /// [`Engine::start_with`](crate::Engine::start_with) does not. Nothing but a fetch is ever written there.
    #[must_use]
    pub fn show_fetch(mut self, show: bool) -> Self {
        self.show_fetch = Some(show);
        self
    }

    /// Repairs tables whose definition a full disk has cut (an engine of an older version left it empty, and cannot
    /// start with it), from these definitions and with all their rows.
    #[must_use]
    pub fn table_definitions(mut self, definitions: TableDefinitions) -> Self {
        self.table_definitions = Some(definitions);
        self
    }
}
