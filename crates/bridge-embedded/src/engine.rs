//! A running engine, from the side of a program that uses it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::endpoint::{self, Endpoint};
use crate::fetch_lines::FetchLines;
use crate::launch::{Fate, Launch, Supervisor};
use crate::layout::{DataFolder, open_lock};
use crate::lock::{self, Deadline};
use crate::options::DataDir;
use crate::repair::repair;
use crate::{EngineError, EngineEvent, EngineOptions, fetch, platform, version};

/// One use of an engine. The engine leaves when its last use, in any program, is dropped.
#[derive(Debug)]
pub struct Engine {
    /// How it was started, with the library that was found.
    options: EngineOptions,
    library: PathBuf,
    endpoint: Endpoint,
    folder: DataFolder,
    /// Holds the shared lock that says that the engine is in use.
    users: File,
    /// Not locked: the file that the supervisor and its engine keep locked, to see when they are gone.
    engine_lock: File,
}

/// How [`Engine::close`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// The engine and its supervisor are gone; an ephemeral folder is removed.
    Left,
    /// The engine still runs: another program uses it, or it takes longer to leave.
    StillRunning,
}

impl Engine {
    /// Uses the engine of a data folder: the one that runs, or a fresh one, fetched if need be.
    ///
    /// # Errors
    ///
    /// Every way to have no engine is a variant of [`EngineError`]: a platform without one, npm missing or
    /// failing, a full disk, data of a newer engine, a start that fails or takes longer than
    /// [`EngineOptions::startup_timeout`].
    pub fn start(options: &EngineOptions) -> Result<Self, EngineError> {
        Self::begin(options, options.show_fetch.unwrap_or(true), &mut |_| {})
    }

    /// [`start`](Self::start), with every step told to `observer`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        options: &EngineOptions,
        mut observer: impl FnMut(EngineEvent),
    ) -> Result<Self, EngineError> {
        Self::begin(options, options.show_fetch.unwrap_or(false), &mut observer)
    }

    fn begin(
        options: &EngineOptions,
        show_fetch: bool,
        observer: &mut dyn FnMut(EngineEvent),
    ) -> Result<Self, EngineError> {
        let mut lines = show_fetch.then(|| FetchLines::new(io::stderr()));
        let library = Self::fetch(options, |event| {
            if let Some(lines) = &mut lines {
                lines.show(&event);
            }
            observer(event);
        })?;
        let folder = match &options.data {
            DataDir::Kept(path) => DataFolder::create(path)?,
            DataDir::Ephemeral => DataFolder::ephemeral()?,
        };
        let outcome = launch_in(&folder, options, &library, observer);
        if outcome.is_err() && options.data.fate() == Fate::Remove {
            // The supervisor, if there was one, does the same; the folder is nobody else's.
            let _ = fs::remove_dir_all(folder.root());
        }
        outcome
    }

    /// Uses the engine of the same data folder once more: the one that runs, or a fresh one where it is gone. After
    /// its supervisor was killed an engine comes back on another port with other passwords.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), but for those of fetching.
    pub fn rejoin(&self) -> Result<Self, EngineError> {
        launch_in(&self.folder, &self.options, &self.library, &mut |_| {})
    }

    /// Fetches the engine into the cache folder unless it is there, and answers where its library is.
    ///
    /// # Errors
    ///
    /// A platform without an engine, npm missing or failing, a cache folder that cannot be written to.
    pub fn fetch(
        options: &EngineOptions,
        mut observer: impl FnMut(EngineEvent),
    ) -> Result<PathBuf, EngineError> {
        platform::check()?;
        fetch::library(&fetch::cache_folder(options)?, options, &mut observer)
    }

    /// Where the engine answers, and as whom to ask. It stays the same when the engine crashes and
    /// is restarted, and not when its supervisor is killed: see [`rejoin`](Self::rejoin).
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The folder with the engine's data.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.root()
    }

    /// The log of the engine and its supervisor.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.log()
    }

    /// The process that watches over the engine.
    #[must_use]
    pub fn supervisor_pid(&self) -> Option<u32> {
        self.pid(0)
    }

    /// The engine's process; another one after each restart.
    #[must_use]
    pub fn engine_pid(&self) -> Option<u32> {
        self.pid(1)
    }

    fn pid(&self, line: usize) -> Option<u32> {
        fs::read_to_string(self.folder.file("pids")).ok()?.lines().nth(line)?.parse().ok()
    }

    /// Ends this use and waits until the engine is gone, but no longer than `wait`; all of it if others still
    /// use the engine. Dropping the engine does the same without the wait.
    #[must_use]
    pub fn close(self, wait: Duration) -> Shutdown {
        let deadline = Deadline::after(wait);
        let _ = self.users.unlock();
        loop {
            if self.engine_lock.try_lock().is_ok() {
                return Shutdown::Left;
            }
            if !deadline.pause() {
                return Shutdown::StillRunning;
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Unlocking, not only closing: a program that is just being started by another thread may hold a
        // copy of the descriptor until its `exec`. Should it fail, closing the file does it.
        let _ = self.users.unlock();
    }
}

fn launch_in(
    folder: &DataFolder,
    options: &EngineOptions,
    library: &Path,
    observer: &mut dyn FnMut(EngineEvent),
) -> Result<Engine, EngineError> {
    let cache = fetch::cache_folder(options)?;
    let fate = options.data.fate();
    let launch = Launch {
        folder,
        fate,
        library,
        cache: &cache,
        memory_bytes_max: options.memory_bytes_max,
        table_definitions: options.table_definitions,
    };
    use_engine(&launch, options, observer)
}

/// Joins the engine of the folder, or starts one.
fn use_engine(
    launch: &Launch<'_>,
    options: &EngineOptions,
    observer: &mut dyn FnMut(EngineEvent),
) -> Result<Engine, EngineError> {
    let deadline = &Deadline::after(options.startup_timeout);
    let folder = launch.folder;
    let users = folder.join_users(deadline)?;
    version::check(folder)?;
    let start_path = folder.file("start.lock");
    let start = open_lock(&start_path)?;
    lock::exclusive(&start, &start_path, deadline)?;

    let engine_path = folder.file("engine.lock");
    let mut engine_lock = open_lock(&engine_path)?;
    let mut supervisor: Option<Supervisor> = None;
    let endpoint = loop {
        match engine_lock.try_lock() {
            Ok(()) => {
                if let Some(supervisor) = supervisor {
                    return Err(supervisor.reason(folder));
                }
                // No engine, and nobody else can start one now.
                observer(EngineEvent::Starting { data_folder: folder.root().to_owned() });
                for repaired in repair(folder, launch.table_definitions)? {
                    observer(repaired.into_event());
                }
                supervisor = Some(launch.run(engine_lock)?);
                engine_lock = open_lock(&engine_path)?;
            }
            Err(TryLockError::Error(error)) => return Err(EngineError::io("lock", &engine_path)(error)),
            // An engine runs, comes up, restarts or leaves: one of them is soon seen.
            Err(TryLockError::WouldBlock) => {
                if let Some(endpoint) = endpoint::answering(folder, deadline)
                    && is_meant_to_run(folder)?
                {
                    break endpoint;
                }
            }
        }
        // The engine's files are gone with the folder: there is nothing left to wait for.
        if !folder.holds(&users) {
            supervisor.into_iter().for_each(Supervisor::release);
            return Err(EngineError::DataDirRemoved { path: folder.root().to_owned() });
        }
        if !deadline.pause() {
            supervisor.into_iter().for_each(Supervisor::release);
            return Err(EngineError::Unresponsive { waited: deadline.limit(), log: folder.log() });
        }
    };
    // Also where another program started it and was killed before it could say so.
    if let Some(from) = version::complete(folder)? {
        observer(EngineEvent::Upgraded { from });
    }
    let url = endpoint.url.clone();
    observer(match supervisor {
        Some(supervisor) => {
            supervisor.release();
            EngineEvent::Started { url, elapsed: deadline.elapsed() }
        }
        None => EngineEvent::Joined { url },
    });
    Ok(Engine {
        options: options.clone(),
        library: launch.library.to_owned(),
        endpoint,
        folder: folder.clone(),
        users,
        engine_lock,
    })
}

/// Whether a supervisor stands behind the engine that answers, and does not send it away.
fn is_meant_to_run(folder: &DataFolder) -> Result<bool, EngineError> {
    let serving = open_lock(&folder.file("serving.lock"))?;
    Ok(matches!(serving.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
