//! Confines the engine's process to its data with Landlock.
//!
//! The engine is `clickhouse local`, which by design reads and writes any file of its user. Grants and read-only
//! settings close the known ways out; the sandbox closes those that are not known.
//!
//! Architecture invariant: no rule covers `endpoint.json`, which holds the passwords, so the engine cannot open it.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::Reason;
use crate::landlock::{Handled, Ruleset, version};

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// Creating and removing entries of any kind: bits 4 to 12.
const CHANGE_DIR: u64 = 0x1ff << 4;
/// Moving between folders, which version 1 always refuses and the engine needs.
const REFER: u64 = 1 << 13;
/// Since version 3; before, truncating is always allowed.
const TRUNCATE: u64 = 1 << 14;
const CONNECT_TCP: u64 = 1 << 1;
const ABSTRACT_SOCKETS_AND_SIGNALS: u64 = 0b11;

/// Minimum version that the engine can work under (Linux 5.19).
const VERSION_MIN: u32 = 2;

const READ: u64 = READ_FILE | READ_DIR;
const WRITE: u64 = READ | WRITE_FILE | CHANGE_DIR | REFER | TRUNCATE;
/// Rights that apply to a file; the kernel refuses a file's rule with more.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

/// Folders that the engine may write, relative to the data folder.
const FOLDERS: [&str; 2] = ["store", "backups"];
const CONFIGURATION: [&str; 2] = ["config.xml", "users.xml"];
/// System files that the engine reads: devices without content, its own process, and the machine's limits.
const SYSTEM: [&str; 11] = [
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/etc/localtime",
];

/// Confines this process irrevocably. Called after the library is loaded, which needs more files, and before any
/// thread is started, because Landlock restricts the calling thread and its future children only.
///
/// A kernel without Landlock is logged and is no error: the grants hold without it.
pub(crate) fn enter(library: &Path) -> Result<(), Reason> {
    let version = match version() {
        Ok(version) if version >= VERSION_MIN => version,
        Ok(version) => {
            unconfined(&format!("it has Landlock {version}, 2 is needed"));
            return Ok(());
        }
        Err(error) => {
            unconfined(&format!("it has no Landlock ({error})"));
            return Ok(());
        }
    };
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(format!(
            "the engine's library started {} threads, which cannot be confined",
            threads - 1
        )
        .into());
    }
    rules(library, version)?
        .restrict_this_thread()
        .map_err(|error| format!("the engine cannot be confined: {error}").into())
}

fn unconfined(why: &str) {
    eprintln!(
        "launcher: this kernel cannot confine the engine to its folder: {why}. What its users may do is limited by \
         their grants alone"
    );
}

fn rules(library: &Path, version: u32) -> Result<Ruleset, Reason> {
    let known = if version >= 3 { u64::MAX } else { !TRUNCATE };
    let handled = Handled {
        files: (EXECUTE | WRITE) & known,
        network: if version >= 4 { CONNECT_TCP } else { 0 },
        scoped: if version >= 6 { ABSTRACT_SOCKETS_AND_SIGNALS } else { 0 },
    };
    let rules = Ruleset::new(&handled, version)?;
    let allow = |path: &Path, rights: u64| {
        let file = location(path)?;
        let of_kind = if file.metadata()?.is_dir() { u64::MAX } else { OF_FILES };
        rules.allow(&file, rights & known & of_kind)
    };
    for name in FOLDERS {
        allow(Path::new(name), WRITE).map_err(|error| format!("confining the engine to {name}: {error}"))?;
    }
    for path in CONFIGURATION.into_iter().map(Path::new).chain([library]) {
        allow(path, READ).map_err(|error| format!("letting the engine read {}: {error}", path.display()))?;
    }
    for path in SYSTEM {
        let rights = if path.starts_with("/dev") { READ | WRITE_FILE } else { READ };
        match allow(Path::new(path), rights) {
            // A container may lack some of them; the engine runs without.
            Err(error)
                if error.kind() != io::ErrorKind::NotFound
                    && error.kind() != io::ErrorKind::PermissionDenied =>
            {
                return Err(format!("letting the engine read {path}: {error}").into());
            }
            _ => {}
        }
    }
    Ok(rules)
}

/// Opens the path with `O_PATH`, which suffices for a rule.
fn location(path: &Path) -> io::Result<File> {
    const O_PATH: i32 = 0o10_000_000;
    File::options().read(true).custom_flags(O_PATH).open(path)
}
