//! Options of an engine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::launch::OnExit;
use crate::repair::TableDefinitions;

/// Location of an engine's data, and the limits of its start.
///
/// ```
/// use std::time::Duration;
///
/// use bridge_embedded::EngineOptions;
///
/// let kept = EngineOptions::at("tokens.clickhouse")
///     .cache_dir("engine-cache")
///     .npm("/usr/local/bin/npm")
///     .startup_timeout(Duration::from_secs(30))
///     .fetch_timeout(Duration::from_mins(5))
///     .memory_bytes_max(2 << 30)
///     .show_fetch(false)
///     .table_definitions(|table| (table == "notes").then(|| "(text String) ENGINE = MergeTree ORDER BY text".to_owned()));
/// // For tests: removed with its last user.
/// let temporary = EngineOptions::ephemeral();
/// ```
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
    pub(crate) fn on_exit(&self) -> OnExit {
        match self {
            Self::Kept(_) => OnExit::Keep,
            Self::Ephemeral => OnExit::Remove,
        }
    }
}

impl EngineOptions {
    /// Uses the data in `folder`, which is created if missing.
    #[must_use]
    pub fn at(folder: impl AsRef<Path>) -> Self {
        Self::new(DataDir::Kept(folder.as_ref().to_owned()))
    }

    /// Uses a new temporary folder that is removed with the engine's last user.
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

    /// Caches the engine in this folder instead of `$BRIDGE_ENGINE_CACHE`, or `enhanced-token-bridge` in
    /// `$XDG_CACHE_HOME` or `~/.cache`.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// Sets the npm program that fetches the engine. Default: `npm` from the `PATH`.
    #[must_use]
    pub fn npm(mut self, program: impl Into<PathBuf>) -> Self {
        self.npm = program.into();
        self
    }

    /// Sets the time limit of a start, including waiting for other programs but not fetching. Default: 60 s.
    #[must_use]
    pub fn startup_timeout(mut self, limit: Duration) -> Self {
        self.startup_timeout = limit;
        self
    }

    /// Sets the time limit of fetching. Default: 20 minutes.
    #[must_use]
    pub fn fetch_timeout(mut self, limit: Duration) -> Self {
        self.fetch_timeout = limit;
        self
    }

    /// Limits the engine's memory, in bytes. Default: 4 GiB. Applies to an engine that this program starts, not to one
    /// that it joins.
    #[must_use]
    pub fn memory_bytes_max(mut self, bytes: u64) -> Self {
        self.memory_bytes_max = bytes;
        self
    }

    /// Shows or hides the progress of fetching on standard error, where nothing else is ever written. By default
    /// [`Engine::start`](crate::Engine::start) shows it and [`Engine::start_with`](crate::Engine::start_with), which has
    /// an observer, does not.
    #[must_use]
    pub fn show_fetch(mut self, show: bool) -> Self {
        self.show_fetch = Some(show);
        self
    }

    /// Repairs tables whose definition a full disk has truncated, from these definitions and with all rows. Engines of
    /// older versions left such files, and no engine can start with one.
    #[must_use]
    pub fn table_definitions(mut self, definitions: TableDefinitions) -> Self {
        self.table_definitions = Some(definitions);
        self
    }
}
