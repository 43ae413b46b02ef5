//! Files of a data folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::lock::{self, Deadline};
use crate::{EngineError, secret};

/// Size above which a start truncates the log.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// Free space below which the disk counts as full.
const FREE_BYTES_MIN: usize = 4 << 20;

/// Folders that the engine may write, as in the launcher's sandbox.
const ENGINE_FOLDERS: [&str; 2] = ["store", "backups"];

/// An existing data folder, by its absolute path.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// Opens the folder at `path`, created if missing, and makes it private in any case.
    pub(crate) fn create(path: &Path) -> Result<Self, EngineError> {
        private_folder(path)?;
        let root = path.canonicalize().map_err(EngineError::io("resolve", path))?;
        // The engine exits without a message on a path with a backslash.
        if root.to_str().is_none_or(|path| path.contains('\\')) {
            return Err(EngineError::InvalidDataPath { path: root });
        }
        Ok(Self { root })
    }

    /// Creates a folder among the system's temporary files.
    pub(crate) fn ephemeral() -> Result<Self, EngineError> {
        let name = format!("bridge-engine-{}", secret::random_hex()?);
        Self::create(&std::env::temp_dir().join(name))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.file("engine.log")
    }

    /// Takes the shared users' lock. Waits while the supervisor of an earlier engine shuts down.
    pub(crate) fn join_users(&self, deadline: &Deadline) -> Result<File, EngineError> {
        let path = self.file("users.lock");
        loop {
            private_folder(&self.root)?;
            let file = open_lock(&path)?;
            lock::shared(&file, &path, deadline)?;
            // An ephemeral folder goes with its engine, and a lock on a removed file protects nothing.
            if self.holds(&file) {
                return Ok(file);
            }
        }
    }

    /// Returns whether the folder is still the one in which `users` was locked: not removed, nor made anew.
    pub(crate) fn holds(&self, users: &File) -> bool {
        is_still_at(users, &self.file("users.lock"))
    }

    /// Creates the engine's folders and makes them private, also those that an earlier version left readable.
    pub(crate) fn make_engine_folders(&self) -> Result<(), EngineError> {
        ENGINE_FOLDERS.iter().try_for_each(|name| private_folder(&self.file(name)))
    }

    /// Refuses a full disk, on which the engine would start and leave empty definitions of its tables.
    pub(crate) fn check_space(&self) -> Result<(), EngineError> {
        let path = self.file("space");
        let outcome = private(OpenOptions::new().create(true).truncate(true).write(true))
            .open(&path)
            .and_then(|mut file| file.write_all(&vec![0x5a; FREE_BYTES_MIN]));
        remove_if_there(&path)?;
        outcome.map_err(EngineError::io("write", &path))
    }

    /// Opens the engine's log for appending.
    pub(crate) fn open_log(&self) -> Result<File, EngineError> {
        let path = self.log();
        let failed = || EngineError::io("open", &path);
        let log = private(OpenOptions::new().create(true).append(true)).open(&path).map_err(failed())?;
        if log.metadata().map_err(failed())?.len() > LOG_BYTES_MAX {
            log.set_len(0).map_err(failed())?;
        }
        Ok(log)
    }
}

/// Opens a lock file, created if missing.
pub(crate) fn open_lock(path: &Path) -> Result<File, EngineError> {
    private(OpenOptions::new().create(true).truncate(false).read(true).write(true))
        .open(path)
        .map_err(EngineError::io("open", path))
}

/// Replaces a private file atomically and durably.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), EngineError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let replacement = path.with_file_name(name);
    // Removed first, because a file that a killed program left would keep its mode.
    remove_if_there(&replacement)?;
    let mut file = private(OpenOptions::new().create_new(true).write(true))
        .open(&replacement)
        .map_err(EngineError::io("create", &replacement))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&replacement, path))
        .map_err(EngineError::io("write", path))
}

pub(crate) fn remove_if_there(path: &Path) -> Result<(), EngineError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(EngineError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Creates a folder if missing, and makes it private in any case.
pub(crate) fn private_folder(path: &Path) -> Result<(), EngineError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(EngineError::io("create", path))?;
    make_private(path).map_err(EngineError::io("restrict the permissions of", path))
}

#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still_at(_: &File, path: &Path) -> bool {
    path.exists()
}
