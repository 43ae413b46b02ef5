//! Fetching the engine into the cache. npm is a script here: nothing is downloaded.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use bridge_embedded::{Engine, EngineError, EngineEvent, EngineOptions};
use tempfile::TempDir;

use crate::support::folder;

/// Script of a working npm: it writes a small library.
const WORKS: &str = "mkdir -p node_modules/@chdb/lib-linux-x64-gnu
printf engine > node_modules/@chdb/lib-linux-x64-gnu/libchdb.so";

struct FakeNpm {
    folder: TempDir,
}

impl FakeNpm {
    fn that(does: &str) -> Self {
        let folder = folder();
        let script = folder.path().join("npm");
        let calls = folder.path().join("calls");
        fs::write(&script, format!("#!/bin/sh\necho \"$*\" >> '{}'\n{does}\n", calls.display())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn options(&self) -> EngineOptions {
        EngineOptions::ephemeral().npm(self.folder.path().join("npm")).cache_dir(self.cache())
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default().lines().count()
    }

    /// Starting a script that was just written fails while another thread, between its fork and exec, holds it open.
    fn fetch(&self, mut observer: impl FnMut(EngineEvent)) -> Result<PathBuf, EngineError> {
        loop {
            match Engine::fetch(&self.options(), &mut observer) {
                Err(EngineError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                outcome => return outcome,
            }
        }
    }
}

#[test]
fn engine_is_fetched_once_without_npm_leftovers() {
    let npm = FakeNpm::that(WORKS);
    let mut events = Vec::new();
    let library = npm.fetch(|event| events.push(event)).unwrap();
    assert_eq!(fs::read(&library).unwrap(), b"engine");
    assert!(
        matches!(events[..], [EngineEvent::Fetching { .. }, EngineEvent::Fetched { bytes: 6, .. }]),
        "{events:?}"
    );
    assert!(!library.with_file_name("node_modules").exists());
    npm.fetch(|event| panic!("{event}")).unwrap();
    assert_eq!(npm.calls(), 1);
}

#[test]
fn concurrent_fetches_run_npm_once() {
    let npm = FakeNpm::that(&format!("sleep 0.3\n{WORKS}"));
    let waited = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                npm.fetch(|event| {
                    if event == EngineEvent::WaitingForFetch {
                        *waited.lock().unwrap() += 1;
                    }
                })
                .unwrap()
            });
        }
    });
    assert_eq!(npm.calls(), 1);
    assert_eq!(*waited.lock().unwrap(), 3);
}

#[test]
fn truncated_library_is_fetched_again() {
    let npm = FakeNpm::that(WORKS);
    let library = npm.fetch(|_| {}).unwrap();
    fs::write(&library, b"eng").unwrap();
    let mut damaged = false;
    npm.fetch(|event| damaged |= matches!(event, EngineEvent::Damaged { .. })).unwrap();
    assert!(damaged);
    assert_eq!(fs::read(&library).unwrap(), b"engine");
    assert_eq!(npm.calls(), 2);
}

#[test]
fn leftovers_of_a_killed_fetch_are_removed() {
    let npm = FakeNpm::that(WORKS);
    let library = npm.fetch(|_| {}).unwrap();
    let folder = library.parent().unwrap();
    fs::rename(folder, folder.with_extension("partial")).unwrap();
    assert_eq!(npm.fetch(|_| {}).unwrap(), library);
    assert_eq!(npm.calls(), 2);
}

#[test]
fn missing_npm_says_what_to_install() {
    let cache = folder();
    let options = EngineOptions::ephemeral().npm("/nonexistent/npm").cache_dir(cache.path());
    let error = Engine::start(&options).unwrap_err();
    assert!(matches!(error, EngineError::NpmMissing { .. }), "{error:?}");
    assert!(error.to_string().contains("install Node.js"));
}

#[test]
fn npm_failure_is_quoted() {
    let npm = FakeNpm::that("echo 'npm error network unreachable' >&2; exit 3");
    let error = npm.fetch(|_| {}).unwrap_err();
    assert!(
        matches!(&error, EngineError::NpmFailed { status, last_lines }
            if status.code() == Some(3) && last_lines == "npm error network unreachable"),
        "{error:?}"
    );
    let left: Vec<_> = fs::read_dir(npm.cache()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["fetch.lock"]);
}

#[test]
fn npm_without_space_is_a_full_disk() {
    let npm = FakeNpm::that("echo 'npm error code ENOSPC' >&2; exit 228");
    assert!(matches!(npm.fetch(|_| {}), Err(EngineError::DiskFull { .. })));
}

#[test]
fn empty_package_is_detected() {
    let npm = FakeNpm::that("exit 0");
    assert!(matches!(npm.fetch(|_| {}), Err(EngineError::PackageIncomplete { .. })));
}

#[test]
fn hanging_npm_is_killed() {
    let npm = FakeNpm::that("exec sleep 60");
    let options = npm.options().fetch_timeout(Duration::from_millis(300));
    let error = loop {
        match Engine::fetch(&options, |_| {}) {
            Err(EngineError::Io { .. }) => {}
            outcome => break outcome.unwrap_err(),
        }
    };
    assert!(matches!(error, EngineError::NpmTimedOut { .. }), "{error:?}");
}

/// Only starts an engine and observes nothing.
#[test]
#[ignore = "not a test: the test below runs it as a program, in a folder"]
fn subprocess_without_an_observer() {
    let Some(folder) = std::env::var_os(SILENT_PROGRAM_FOLDER).map(PathBuf::from) else { return };
    let mut options = EngineOptions::ephemeral().npm(folder.join("npm")).cache_dir(folder.join("cache"));
    if std::env::var_os("BRIDGE_TEST_SHOW_NO_FETCH").is_some() {
        options = options.show_fetch(false);
    }
    // What the script fetches is no engine.
    assert!(matches!(Engine::start(&options), Err(EngineError::NotStarted { .. })));
}

const SILENT_PROGRAM_FOLDER: &str = "BRIDGE_TEST_SILENT_PROGRAM_FOLDER";

#[test]
fn first_fetch_is_shown_by_default_without_an_observer() {
    let stderr = |hidden: bool| {
        let npm = FakeNpm::that(&format!("{WORKS}\nsleep 1.5"));
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "fetching::subprocess_without_an_observer", "--ignored", "--nocapture"]);
        program.env(SILENT_PROGRAM_FOLDER, npm.folder.path());
        if hidden {
            program.env("BRIDGE_TEST_SHOW_NO_FETCH", "1");
        }
        let output = program.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(npm.calls(), 1);
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = stderr(false);
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("fetching ClickHouse once"), "{shown}");
    assert!(lines[1].starts_with("fetching: ") && lines[2].starts_with("fetched "), "{shown}");
    assert_eq!(stderr(true), "");
}
