//! A disk of a few megabytes that a test may fill.
//!
//! It is a memory file system, mounted where nobody else sees it, which takes a namespace of its own. A running test
//! binary cannot move there, so it starts itself again, with this one test, inside.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

const INSIDE: &str = "BRIDGE_TEST_SMALL_DISK";

/// Mounts `$1` with `$2` MiB, then runs the rest.
const MOUNT: &str = r#"mount -t tmpfs -o "size=$2m" tmpfs "$1" && shift 2 && exec "$@""#;

/// Runs the test in the middle of a disk of this size. `test` gets the disk's folder.
///
/// Returns `false`, and says so past the test harness, where this machine lets nobody mount one.
///
/// # Panics
///
/// The test fails inside, or the thread is not a test's.
pub fn on_small_disk(mebibytes: u32, test: impl FnOnce(&Path)) -> bool {
    if let Some(disk) = env::var_os(INSIDE) {
        test(&PathBuf::from(disk));
        return true;
    }
    let disk = env::temp_dir().join(format!(
        "bridge-small-disk-{}-{:?}",
        std::process::id(),
        thread::current().id()
    ));
    std::fs::create_dir(&disk).expect("a folder to mount the disk on");
    let inside = |program: &Path| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--mount", "--map-root-user", "sh", "-c", MOUNT, "sh"]);
        command.arg(&disk).arg(mebibytes.to_string()).arg(program);
        command
    };
    let can_mount = inside(Path::new("true")).output().is_ok_and(|output| output.status.success());
    let passed = can_mount.then(|| {
        let current = thread::current();
        let name = current.name().filter(|name| *name != "main").expect("a test's thread bears its name");
        let program = env::current_exe().expect("the test binary knows its path");
        inside(&program).args(["--exact", name, "--nocapture"]).env(INSIDE, &disk).status()
    });
    let _ = std::fs::remove_dir(&disk);
    match passed {
        Some(status) => {
            assert!(status.expect("the test binary starts").success(), "the test failed on the small disk")
        }
        None => {
            let _ =
                writeln!(io::stderr(), "not tested: a full disk; this machine lets nobody mount a small one");
        }
    }
    can_mount
}

const BLOCK: [u8; 4096] = [0; 4096];

/// What fills a disk; the room is free again when it is dropped.
#[derive(Debug)]
pub struct Filler {
    path: PathBuf,
}

impl Filler {
    /// Fills the disk until this many bytes are left, and never more than there are.
    ///
    /// # Panics
    ///
    /// The disk cannot be measured or written to.
    pub fn leaving(disk: &Path, bytes: u64) -> Self {
        let filler = Self { path: disk.join("filler") };
        let mut file = File::create(&filler.path).expect("a file on the disk");
        // A block at a time near the end: the last one that does not fit is not written in part.
        let mut to_write = free_bytes(disk).saturating_sub(bytes) / BLOCK.len() as u64;
        while to_write > 0 && file.write_all(&BLOCK).is_ok() {
            to_write -= 1;
        }
        filler
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn free_bytes(disk: &Path) -> u64 {
    let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(disk).output().expect("stat runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
    let blocks = numbers.next().expect("stat gives the free blocks");
    blocks * numbers.next().expect("stat gives the size of a block")
}
