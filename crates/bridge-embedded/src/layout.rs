//! The files of a data folder, and how they are written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::lock::{self, Deadline};
use crate::{EngineError, secret};

/// A log that is longer than this when an engine is started begins anew.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// Less free space than this is a full disk.
const FREE_BYTES_MIN: usize = 4 << 20;

/// What the engine may write to. The launcher's sandbox names them, too.
const ENGINE_FOLDERS: [&str; 2] = ["store", "backups"];

/// A folder that holds the data of one engine. It exists, and its path is absolute.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// The folder at `path`, made if it is not there, for its owner only, also where it existed before.
    pub(crate) fn create(path: &Path) -> Result<Self, EngineError> {
        private_folder(path)?;
        let root = path.canonicalize().map_err(EngineError::io("resolve", path))?;
        // The engine ends without a word on a path with a backslash.
        if root.to_str().is_none_or(|path| path.contains('\\')) {
            return Err(EngineError::InvalidDataPath { path: root });
        }
        Ok(Self { root })
    }

    /// A new folder among the system's temporary files.
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

    /// Becomes a user of the folder's engine. Waits while the supervisor of an earlier engine leaves.
    pub(crate) fn join_users(&self, deadline: &Deadline) -> Result<File, EngineError> {
        let path = self.file("users.lock");
        loop {
            private_folder(&self.root)?;
            let file = open_lock(&path)?;
            lock::shared(&file, &path, deadline)?;
            // The folder may have been removed while this program waited: then the lock is of no use.
            if self.holds(&file) {
                return Ok(file);
            }
        }
    }

    /// Returns whether the folder is still the one in which `users` was locked: not removed, nor made anew.
    pub(crate) fn holds(&self, users: &File) -> bool {
        is_still_at(users, &self.file("users.lock"))
    }

    /// Makes what the engine may write to, and closes it to other users: an earlier version left it readable.
    pub(crate) fn make_engine_folders(&self) -> Result<(), EngineError> {
        ENGINE_FOLDERS.iter().try_for_each(|name| private_folder(&self.file(name)))
    }

    /// Refuses a full disk. The engine itself would start, and leave empty files where its tables are described.
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

/// Opens a lock file, made if it is not there.
pub(crate) fn open_lock(path: &Path) -> Result<File, EngineError> {
    private(OpenOptions::new().create(true).truncate(false).read(true).write(true))
        .open(path)
        .map_err(EngineError::io("open", path))
}

/// Writes a file that only its owner may read; whoever reads it sees all of it or the one before.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), EngineError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let replacement = path.with_file_name(name);
    // Removed first, so that the mode below holds for a file that a killed program left behind.
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

/// Makes the folder if it is not there, and closes it to everyone but its owner.
pub(crate) fn private_folder(path: &Path) -> Result<(), EngineError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(EngineError::io("create the folder", path))?;
    close_to_others(path).map_err(EngineError::io("close to other users the folder", path))
}

#[cfg(unix)]
fn close_to_others(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> std::io::Result<()> {
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
