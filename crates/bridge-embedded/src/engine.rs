//! A running engine, as seen by a program that uses it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::endpoint::{self, Endpoint};
use crate::fetch_lines::FetchLines;
use crate::launch::{Launch, OnExit, Supervisor};
use crate::layout::{DataFolder, open_lock};
use crate::lock::{self, Deadline};
use crate::options::DataDir;
use crate::repair::repair;
use crate::{EngineError, EngineEvent, EngineOptions, fetch, platform, version};

/// Handle to a running engine. The engine stops when the last handle, in any program, is dropped.
#[derive(Debug)]
pub struct Engine {
    /// Options and library of its start, for [`rejoin`](Self::rejoin).
    options: EngineOptions,
    library: PathBuf,
    endpoint: Endpoint,
    folder: DataFolder,
    /// Holds the shared lock that marks the engine as in use.
    users: File,
    /// Not locked: probed to see whether the supervisor and its engine, which keep it locked, are gone.
    engine_lock: File,
}

/// Number of successive observations after which an engine counts as used by others. A single one may be another
/// program that is leaving, too.
const IN_USE_OBSERVATIONS: u32 = 3;

/// Outcome of [`Engine::close`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shutdown {
    /// The engine and its supervisor have exited; an ephemeral folder is removed.
    Stopped,
    /// Others use the engine: another program, or another handle of this one. It stops after the last of them.
    InUse,
    /// The engine has no users left and needs longer to stop.
    StillRunning,
}

impl Engine {
    /// Joins the running engine of a data folder, or starts one, fetched if necessary.
    ///
    /// # Errors
    ///
    /// An unsupported platform, npm missing or failing, a full disk, data of a newer engine, a start that fails or
    /// exceeds [`EngineOptions::startup_timeout`]: each is a variant of [`EngineError`].
    pub fn start(options: &EngineOptions) -> Result<Self, EngineError> {
        Self::begin(options, options.show_fetch.unwrap_or(true), &mut |_| {})
    }

    /// As [`start`](Self::start), reporting every step to `observer`.
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
        if outcome.is_err() && options.data.on_exit() == OnExit::Remove {
            // The supervisor, if there was one, does the same; no other program uses the folder.
            let _ = fs::remove_dir_all(folder.root());
        }
        outcome
    }

    /// Joins the running engine of the same data folder, or starts it again. After its supervisor was killed an engine
    /// comes back on another port with other passwords.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), except those of fetching.
    pub fn rejoin(&self) -> Result<Self, EngineError> {
        launch_in(&self.folder, &self.options, &self.library, &mut |_| {})
    }

    /// Fetches the engine into the cache folder unless it is there; returns the path of its library.
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

    /// Returns the address and credentials. They survive a restart of the engine, but not of its supervisor: see
    /// [`rejoin`](Self::rejoin).
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the folder with the engine's data.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.root()
    }

    /// Returns the path of the log of the engine and its supervisor.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.log()
    }

    /// Returns the process id of the supervisor.
    #[must_use]
    pub fn supervisor_pid(&self) -> Option<u32> {
        self.pid(0)
    }

    /// Returns the process id of the engine, which changes with each restart.
    #[must_use]
    pub fn engine_pid(&self) -> Option<u32> {
        self.pid(1)
    }

    fn pid(&self, line: usize) -> Option<u32> {
        fs::read_to_string(self.folder.file("pids")).ok()?.lines().nth(line)?.parse().ok()
    }

    /// Releases the engine and waits up to `wait` for it to exit. Returns within milliseconds if others use it.
    /// Dropping the handle does the same without the wait.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use bridge_embedded::{Engine, EngineOptions, Shutdown};
    ///
    /// let options = EngineOptions::ephemeral();
    /// let library = Engine::fetch(&options, |event| eprintln!("{event}"))?;
    /// let engine = Engine::start(&options)?;
    /// println!("{} in {}, log {}", library.display(), engine.data_dir().display(), engine.log_path().display());
    /// println!("supervisor {:?}, engine {:?}", engine.supervisor_pid(), engine.engine_pid());
    /// // After its supervisor was killed, the engine is started again.
    /// let engine = engine.rejoin()?;
    /// if engine.close(Duration::from_secs(10)) == Shutdown::InUse {
    ///     println!("another program uses it");
    /// }
    /// # Ok::<(), bridge_embedded::EngineError>(())
    /// ```
    #[must_use]
    pub fn close(&self, wait: Duration) -> Shutdown {
        let deadline = Deadline::after(wait);
        let _ = self.users.unlock();
        let mut in_use = 0;
        loop {
            if self.engine_lock.try_lock().is_ok() {
                // It was only a probe: the next engine needs the lock.
                let _ = self.engine_lock.unlock();
                return Shutdown::Stopped;
            }
            in_use = if self.has_other_users() { in_use + 1 } else { 0 };
            if in_use == IN_USE_OBSERVATIONS {
                return Shutdown::InUse;
            }
            if !deadline.pause() {
                return Shutdown::StillRunning;
            }
        }
    }

    /// Returns whether others hold the lock of the users, after this handle released it.
    fn has_other_users(&self) -> bool {
        // The supervisor of an engine without users holds it exclusively, which rules out the second lock.
        let is_shared = matches!(self.users.try_lock(), Err(TryLockError::WouldBlock))
            && self.users.try_lock_shared().is_ok();
        let _ = self.users.unlock();
        is_shared
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Unlocked, not only closed: a child process that another thread is just spawning may hold a copy of the
        // descriptor until its `exec`. If it fails, closing the file suffices.
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
    let on_exit = options.data.on_exit();
    let launch = Launch {
        folder,
        on_exit,
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
    let Running { endpoint, supervisor, engine_lock } = run(launch, &users, deadline, observer)?;
    // Not only by the program that started it: that one may have been killed before it could record the version.
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

/// An engine that answers.
struct Running {
    endpoint: Endpoint,
    /// Its supervisor, if this program started it.
    supervisor: Option<Supervisor>,
    engine_lock: File,
}

/// Waits until the engine of the folder answers, and starts it if it does not run. The caller holds the start lock.
fn run(
    launch: &Launch<'_>,
    users: &File,
    deadline: &Deadline,
    observer: &mut dyn FnMut(EngineEvent),
) -> Result<Running, EngineError> {
    let folder = launch.folder;
    let engine_path = folder.file("engine.lock");
    let mut engine_lock = open_lock(&engine_path)?;
    let mut supervisor: Option<Supervisor> = None;
    loop {
        match engine_lock.try_lock() {
            Ok(()) => {
                if let Some(supervisor) = supervisor {
                    return Err(supervisor.reason(folder));
                }
                // No engine runs, and under both locks no other program can start one.
                observer(EngineEvent::Starting { data_folder: folder.root().to_owned() });
                for repaired in repair(folder, launch.table_definitions)? {
                    observer(repaired.into_event());
                }
                supervisor = Some(launch.run(engine_lock)?);
                engine_lock = open_lock(&engine_path)?;
            }
            Err(TryLockError::Error(error)) => return Err(EngineError::io("lock", &engine_path)(error)),
            // An engine is running, starting, restarting or stopping: the next rounds will show.
            Err(TryLockError::WouldBlock) => {
                if let Some(endpoint) = endpoint::answering(folder, deadline)
                    && is_meant_to_run(folder)?
                {
                    return Ok(Running { endpoint, supervisor, engine_lock });
                }
            }
        }
        // The files to wait for are gone with the folder. (An ephemeral one is removed by a failing supervisor, whose
        // reason the next round reads.)
        if launch.on_exit == OnExit::Keep && !folder.holds(users) {
            supervisor.into_iter().for_each(Supervisor::release);
            return Err(EngineError::DataDirRemoved { path: folder.root().to_owned() });
        }
        if !deadline.pause() {
            supervisor.into_iter().for_each(Supervisor::release);
            return Err(EngineError::Unresponsive { waited: deadline.limit(), log: folder.log() });
        }
    }
}

/// Returns whether a supervisor keeps the answering engine running. An engine still answers for a moment after its
/// supervisor was killed or has begun to stop it.
fn is_meant_to_run(folder: &DataFolder) -> Result<bool, EngineError> {
    let serving = open_lock(&folder.file("serving.lock"))?;
    Ok(matches!(serving.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
