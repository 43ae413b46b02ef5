//! Data folders that cannot be used, and those with unusual names.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use bridge_core::Stopwatch;
use bridge_embedded::{Engine, EngineError, EngineOptions};

use crate::support::{folder, kill, leave, query, runs, start, wait_until};

#[test]
fn unusual_folder_names_work() {
    let parent = folder();
    let path = parent.path().join("it's <a> \"folder\" & ünicode");
    let engine = Engine::start(&EngineOptions::at(&path)).unwrap();
    query(&engine, "CREATE TABLE bridge.t (n UInt64) ENGINE = MergeTree ORDER BY n");
    leave(engine);

    let error = Engine::start(&EngineOptions::at(parent.path().join("back\\slash"))).unwrap_err();
    assert!(matches!(error, EngineError::InvalidDataPath { .. }), "{error:?}");
}

#[test]
fn data_in_use_is_reported() {
    let (ours, theirs) = (folder(), folder());
    let running = start(&theirs);
    // To an engine of another folder the one that runs here is a stranger.
    std::os::unix::fs::symlink(theirs.path().join("store"), ours.path().join("store")).unwrap();
    let error = Engine::start(&EngineOptions::at(ours.path())).unwrap_err();
    assert!(matches!(error, EngineError::DataInUse { .. }), "{error:?}");
    leave(running);
    leave(start(&ours));
}

#[test]
fn damaged_metadata_is_quoted_in_the_error() {
    let folder = folder();
    leave(start(&folder));
    fs::write(folder.path().join("store/metadata/bridge.sql"), "ATTACH DATABASE _\nENGINE = NoSuchEngine\n")
        .unwrap();
    let error = Engine::start(&EngineOptions::at(folder.path())).unwrap_err();
    assert!(
        matches!(&error, EngineError::NotStarted { reason, .. } if reason.contains("Code: ")),
        "{error:?}"
    );
}

#[test]
fn file_instead_of_a_folder_is_refused() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Engine::start(&EngineOptions::at(&file)).unwrap_err();
    assert!(matches!(error, EngineError::Io { .. }), "{error:?}");
}

#[test]
fn late_shutdown_leaves_a_recreated_data_dir_alone() {
    let folder = folder();
    let path = folder.path().join("data");
    let first = Engine::start(&EngineOptions::at(&path)).unwrap();
    let late = first.supervisor_pid().unwrap();
    // A supervisor that is slow to shut down, as under load.
    kill(late, "-STOP");
    drop(first);
    fs::remove_dir_all(&path).unwrap();
    let second = Engine::start(&EngineOptions::at(&path)).unwrap();
    kill(late, "-CONT");
    wait_until("the first supervisor is gone", || !runs(late));
    assert_eq!(query(&second, "SELECT 1"), "1");
    let joined = Engine::start(&EngineOptions::at(&path)).unwrap();
    assert_eq!(joined.endpoint(), second.endpoint());
    drop(joined);
    leave(second);
}

#[test]
fn data_dir_removed_during_start_is_reported_at_once() {
    let folder = folder();
    let path = folder.path().join("data");
    // The engine never comes up within the test: its supervisor is stopped in its first moments.
    let starting = {
        let path = path.clone();
        std::thread::spawn(move || Engine::start(&EngineOptions::at(&path)))
    };
    let pids = path.join("pids");
    wait_until("the supervisor has started its engine", || pids.exists());
    let pids: Vec<u32> = fs::read_to_string(pids).unwrap().lines().map(|pid| pid.parse().unwrap()).collect();
    kill(pids[1], "-STOP");
    fs::remove_dir_all(&path).unwrap();
    let watch = Stopwatch::start();
    let outcome = starting.join().unwrap();
    kill(pids[1], "-KILL");
    assert!(matches!(outcome, Err(EngineError::DataDirRemoved { .. })), "{outcome:?}");
    assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
    wait_until("the supervisor is gone", || !runs(pids[0]));
}

/// A full disk needs a file system of its own, which needs rights that a test may not have: then it is skipped.
#[test]
fn full_disk_is_reported() {
    let folder = folder();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(folder.path())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        return;
    }
    let outcome = Engine::start(&EngineOptions::at(folder.path()));
    assert!(Command::new("umount").arg("--lazy").arg(folder.path()).status().unwrap().success());
    let error = outcome.unwrap_err();
    assert!(matches!(error, EngineError::DiskFull { .. }), "{error:?}");
}
