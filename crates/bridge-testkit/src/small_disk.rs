//! A disk of a few megabytes for tests of a full disk.
//!
//! Mounts a `tmpfs` in a private mount namespace. A running test binary cannot enter the namespace, so it runs itself
//! again inside, filtered to the current test.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

const INSIDE: &str = "BRIDGE_TEST_SMALL_DISK";

/// Mounts `$1` with `$2` MiB, then executes the remaining arguments.
const MOUNT: &str = r#"mount -t tmpfs -o "size=$2m" tmpfs "$1" && shift 2 && exec "$@""#;

/// Runs the test on a disk of this size. `test` receives the disk's folder.
///
/// Returns `false` and prints a note if this machine does not permit mounting a disk.
///
/// # Panics
///
/// Panics if the test fails, or if the current thread is not a test's.
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
    std::fs::create_dir(&disk).expect("the mount point can be created");
    let inside = |program: &Path| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--mount", "--map-root-user", "sh", "-c", MOUNT, "sh"]);
        command.arg(&disk).arg(mebibytes.to_string()).arg(program);
        command
    };
    let can_mount = inside(Path::new("true")).output().is_ok_and(|output| output.status.success());
    let passed = can_mount.then(|| {
        let current = thread::current();
        let name =
            current.name().filter(|name| *name != "main").expect("a test's thread has the test's name");
        let program = env::current_exe().expect("the test binary's path is available");
        inside(&program).args(["--exact", name, "--nocapture"]).env(INSIDE, &disk).status()
    });
    let _ = std::fs::remove_dir(&disk);
    match passed {
        Some(status) => {
            assert!(status.expect("the test binary starts").success(), "the test failed on the small disk")
        }
        None => {
            let _ = writeln!(io::stderr(), "skipped: a full disk; this machine does not permit mounting one");
        }
    }
    can_mount
}

const BLOCK: [u8; 4096] = [0; 4096];

/// A file that fills a disk. Dropping it frees the space.
#[derive(Debug)]
pub struct Filler {
    path: PathBuf,
}

impl Filler {
    /// Fills the disk until this many bytes are free.
    ///
    /// # Panics
    ///
    /// Panics if the disk cannot be measured or written to.
    pub fn leaving(disk: &Path, bytes: u64) -> Self {
        let filler = Self { path: disk.join("filler") };
        let mut file = File::create(&filler.path).expect("the disk is writable");
        // Writes whole blocks, so that the last one, which may not fit, is not written in part.
        let mut blocks = free_bytes(disk).saturating_sub(bytes) / BLOCK.len() as u64;
        while blocks > 0 && file.write_all(&BLOCK).is_ok() {
            blocks -= 1;
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
    let blocks = numbers.next().expect("stat prints the free blocks");
    blocks * numbers.next().expect("stat prints the block size")
}
