//! Data folders that cannot be used, and those with unusual names.

use std::fs;
use std::process::{Command, Stdio};

use bridge_embedded::{Engine, EngineError, EngineOptions};

use crate::support::{folder, leave, query, start};

#[test]
fn a_folder_with_an_unusual_name_works() {
    let parent = folder();
    let path = parent.path().join("it's <a> \"folder\" & ünicode");
    let engine = Engine::start(&EngineOptions::at(&path)).unwrap();
    query(&engine, "CREATE TABLE bridge.t (n UInt64) ENGINE = MergeTree ORDER BY n");
    leave(engine);

    let error = Engine::start(&EngineOptions::at(parent.path().join("back\\slash"))).unwrap_err();
    assert!(matches!(error, EngineError::InvalidDataPath { .. }), "{error:?}");
}

#[test]
fn data_that_another_clickhouse_uses_say_so() {
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
fn a_damaged_configuration_of_the_data_is_quoted_in_the_error() {
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
fn a_path_that_is_a_file_is_refused() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Engine::start(&EngineOptions::at(&file)).unwrap_err();
    assert!(matches!(error, EngineError::Io { .. }), "{error:?}");
}

/// A full disk needs a file system of its own, which needs rights that a test may not have: then it is skipped.
#[test]
fn a_full_disk_is_named() {
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
