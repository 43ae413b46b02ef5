//! Starts a supervisor, and explains why one exited before its engine answered.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_128;

use crate::endpoint::Record;
use crate::layout::{DataFolder, remove_if_there, write_private};
use crate::lock::Deadline;
use crate::repair::TableDefinitions;
use crate::{EngineError, config, version};

/// The launcher as `build.rs` compiled it; empty on platforms without an engine.
static LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));

/// Length of the log's tail that an error quotes.
const REASON_BYTES_MAX: usize = 1500;

/// Fate of the data folder when its engine exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExit {
    Keep,
    Remove,
}

/// Inputs of an engine's start.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) folder: &'a DataFolder,
    pub(crate) on_exit: OnExit,
    pub(crate) library: &'a Path,
    pub(crate) cache: &'a Path,
    pub(crate) memory_bytes_max: u64,
    pub(crate) table_definitions: Option<TableDefinitions>,
}

/// A supervisor that this program started.
#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Child,
    /// Opened before the start: it can be read even when an ephemeral folder is gone.
    log: File,
    log_start: u64,
}

impl Launch<'_> {
    /// Starts a supervisor that holds `engine_lock`, which this program has locked, from its first moment on.
    pub(crate) fn run(&self, engine_lock: File) -> Result<Supervisor, EngineError> {
        let folder = self.folder;
        version::check(folder)?;
        let launcher = install(self.cache)?;
        folder.check_space()?;
        folder.make_engine_folders()?;
        remove_if_there(&folder.file("http_port"))?;
        remove_if_there(&folder.file("pids"))?;
        let log = folder.open_log()?;
        let log_start = log.metadata().map_err(EngineError::io("read", &folder.log()))?.len();
        let record = Record::generate()?;
        config::write(folder, &record, self.memory_bytes_max)?;
        write_private(&folder.file("relay.access"), record.relay_access().as_bytes())?;
        record.write(folder)?;
        version::begin(folder)?;

        let reader = File::open(folder.log()).map_err(EngineError::io("read", &folder.log()))?;
        let mut command = Command::new(&launcher);
        command
            .arg("supervisor")
            .arg(folder.root())
            .arg(if self.on_exit == OnExit::Remove { "remove" } else { "keep" })
            .arg(self.library)
            .arg("--")
            .args(config::arguments(folder))
            // The user's environment must not configure the engine, nor its secrets outlive the program in it.
            .env_clear()
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(engine_lock)
            .stderr(log);
        match spawn(&mut command) {
            Ok(child) => Ok(Supervisor { child, log: reader, log_start }),
            Err(error) => {
                remove_if_there(&folder.file("endpoint.json"))?;
                Err(EngineError::io("run", &launcher)(error))
            }
        }
    }
}

impl Supervisor {
    /// Returns the reason that the supervisor and its engine are gone.
    pub(crate) fn reason(mut self, folder: &DataFolder) -> EngineError {
        let mut text = Vec::new();
        // If the log cannot be read, the error still contains its path.
        let _ = self.log.seek(SeekFrom::Start(self.log_start));
        let _ = self.log.take(4 << 20).read_to_end(&mut text);
        let _ = self.child.wait();
        explain(&String::from_utf8_lossy(&text), folder)
    }

    /// Detaches the supervisor. A thread reaps it, so that it does not become a zombie.
    pub(crate) fn release(mut self) {
        let waiting =
            std::thread::Builder::new().name("engine-supervisor".to_owned()).spawn(move || self.child.wait());
        // Without the thread it is a zombie until this program exits: no harm.
        drop(waiting);
    }
}

/// Returns the error behind the last lines of the engine's log.
fn explain(words: &str, folder: &DataFolder) -> EngineError {
    if words.contains("Code: 76.") {
        return EngineError::DataInUse { path: folder.root().to_owned() };
    }
    if words.contains("Code: 243.") || words.contains("No space left on device") {
        return EngineError::DiskFull { path: folder.root().to_owned() };
    }
    let mut start = words.len().saturating_sub(REASON_BYTES_MAX);
    while !words.is_char_boundary(start) {
        start += 1;
    }
    let reason = match words[start..].trim() {
        "" => "it exited without a message".to_owned(),
        words => words.to_owned(),
    };
    EngineError::NotStarted { reason, log: folder.log() }
}

/// Writes the launcher into the cache, under its hash so that programs of different versions do not collide.
fn install(cache: &Path) -> Result<PathBuf, EngineError> {
    let path = cache.join(format!("launcher-{:032x}", xxh3_128(LAUNCHER)));
    let whole = fs::metadata(&path).is_ok_and(|file| usize::try_from(file.len()) == Ok(LAUNCHER.len()));
    if whole {
        return Ok(path);
    }
    // A unique name, because two programs may write it at once.
    let replacement = cache.join(format!(".launcher-{}", crate::secret::random_hex()?));
    write_program(&replacement)
        .and_then(|()| fs::rename(&replacement, &path))
        .map_err(EngineError::io("write", &path))?;
    Ok(path)
}

fn write_program(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
    let mut file = options.open(path)?;
    io::Write::write_all(&mut file, LAUNCHER)?;
    file.sync_all()
}

/// Spawns the command, retrying while the file is "busy" (ETXTBSY): a child that another thread spawned while the
/// launcher was being written holds it open for writing until its own `exec`.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let deadline = Deadline::after(Duration::from_secs(2));
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && deadline.pause() => {}
            outcome => return outcome,
        }
    }
}
