//! Starts a supervisor, and tells why one ended before its engine answered.

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

/// The launcher as `build.rs` compiled it; empty where there is no engine.
static LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));

/// How much of the end of the log an error quotes.
const REASON_BYTES_MAX: usize = 1500;

/// Whether the folder goes with its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Remove,
}

/// What a fresh engine is started with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) folder: &'a DataFolder,
    pub(crate) fate: Fate,
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
            .arg(if self.fate == Fate::Remove { "remove" } else { "keep" })
            .arg(self.library)
            .arg("--")
            .args(config::arguments(folder))
            // Nothing of the user's environment changes the engine, and none of their keys live on in it.
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
    /// Why the supervisor and its engine are gone.
    pub(crate) fn reason(mut self, folder: &DataFolder) -> EngineError {
        let mut text = Vec::new();
        // What cannot be read cannot be quoted; the error still says where the log is.
        let _ = self.log.seek(SeekFrom::Start(self.log_start));
        let _ = self.log.take(4 << 20).read_to_end(&mut text);
        let _ = self.child.wait();
        explain(&String::from_utf8_lossy(&text), folder)
    }

    /// Lets the supervisor be. A thread waits for it, so that it does not stay behind as a zombie.
    pub(crate) fn release(mut self) {
        let waiting =
            std::thread::Builder::new().name("engine-supervisor".to_owned()).spawn(move || self.child.wait());
        // Without the thread the supervisor is a zombie from its end to this program's end: no harm.
        drop(waiting);
    }
}

/// The error that the engine's last words stand for.
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
        "" => "it ended without a word".to_owned(),
        words => words.to_owned(),
    };
    EngineError::NotStarted { reason, log: folder.log() }
}

/// The launcher as a file, under a name that holds its hash: programs of different versions do not meet.
fn install(cache: &Path) -> Result<PathBuf, EngineError> {
    let path = cache.join(format!("launcher-{:032x}", xxh3_128(LAUNCHER)));
    let whole = fs::metadata(&path).is_ok_and(|file| usize::try_from(file.len()) == Ok(LAUNCHER.len()));
    if whole {
        return Ok(path);
    }
    // A name of this process and moment, because two programs may write it at once.
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

/// Starts the program, again while it is "busy": another thread that starts a program of its own at the
/// moment when the launcher is written holds it open for writing until its own `exec`.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let deadline = Deadline::after(Duration::from_secs(2));
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && deadline.pause() => {}
            outcome => return outcome,
        }
    }
}
