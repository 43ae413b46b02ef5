//! Confines the engine to its data: what its users make it open, write, run or connect to ends here.
//!
//! The engine is `clickhouse local`, which by design reads and writes any file of its user. Its grants and the
//! settings that its users may not change close what is known; this is the wall behind them.
//!
//! Architecture invariant: `endpoint.json`, which holds the passwords, is in the data folder and in none of the
//! rules, so the engine cannot open it.

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
/// Removing, making any kind of file: the rights 4 to 12 of a folder.
const CHANGE_DIR: u64 = 0x1ff << 4;
/// Moving between folders, which version 1 always refuses and the engine cannot do without.
const REFER: u64 = 1 << 13;
/// Known from version 3 on; before, it is part of nothing and always allowed.
const TRUNCATE: u64 = 1 << 14;
const CONNECT_TCP: u64 = 1 << 1;
const ABSTRACT_SOCKETS_AND_SIGNALS: u64 = 0b11;

/// The first version that the engine can work under, of Linux 5.19.
const VERSION_MIN: u32 = 2;

const READ: u64 = READ_FILE | READ_DIR;
const WRITE: u64 = READ | WRITE_FILE | CHANGE_DIR | REFER | TRUNCATE;
/// The rights that a file can have; the kernel refuses a rule for a file with more.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

/// What the engine owns in its working folder.
const FOLDERS: [&str; 2] = ["store", "backups"];
const CONFIGURATION: [&str; 2] = ["config.xml", "users.xml"];
/// What it reads of the machine: devices without content, its own process, and the figures it limits itself by.
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

/// Confines this process for good. Called with the engine's library loaded and before any thread is started,
/// because a thread that runs already would stay outside.
///
/// A kernel without Landlock is named in the log and is no error: the grants hold without it.
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
            // A container may have less than that, and the engine does without.
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

/// The path itself, open for nothing but a rule.
fn location(path: &Path) -> io::Result<File> {
    const O_PATH: i32 = 0o10_000_000;
    File::options().read(true).custom_flags(O_PATH).open(path)
}
