//! Data of other versions of the engine. There is one engine here, so the versions are those that the data folder
//! records.

use std::fs;
use std::path::{Path, PathBuf};

use bridge_embedded::{ENGINE_VERSION, Engine, EngineError, EngineEvent, EngineOptions};
use tempfile::TempDir;

use crate::support::{folder, leave, query, start};

const OLDER: &str = "25.8.1-stable.1";
const NEWER: &str = "99.1.1-stable.1";

/// A folder with a table in it, that bears this version.
fn folder_of(version: &str) -> TempDir {
    let folder = folder();
    let engine = start(&folder);
    query(&engine, "CREATE TABLE bridge.t (n UInt64) ENGINE = MergeTree ORDER BY n");
    query(&engine, "INSERT INTO bridge.t SELECT number FROM numbers(1000)");
    leave(engine);
    fs::write(written(&folder), format!("{version}\n")).unwrap();
    folder
}

fn written(folder: &TempDir) -> PathBuf {
    folder.path().join("engine-version")
}

fn upgrade(folder: &TempDir) -> PathBuf {
    folder.path().join("engine-upgrade")
}

fn version(path: &Path) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}

fn assert_taken_over(folder: &TempDir, engine: &Engine) {
    assert_eq!(query(engine, "SELECT count(), sum(n) FROM bridge.t"), "1000\t499500");
    assert_eq!(version(&written(folder)), ENGINE_VERSION);
    assert!(!upgrade(folder).exists());
}

fn refused(folder: &TempDir) -> String {
    let error = Engine::start(&EngineOptions::at(folder.path())).unwrap_err();
    assert!(matches!(&error, EngineError::NewerData { data, .. } if data == NEWER), "{error:?}");
    error.to_string()
}

#[test]
fn older_data_is_upgraded_once_the_engine_answers() {
    let folder = folder_of(OLDER);
    let mut before = None;
    let engine = Engine::start_with(&EngineOptions::at(folder.path()), |event| match event {
        EngineEvent::Starting { .. } => assert_eq!(version(&written(&folder)), OLDER),
        EngineEvent::Upgraded { from } => before = Some(from),
        _ => {}
    })
    .unwrap();
    assert_eq!(before.as_deref(), Some(OLDER));
    assert_taken_over(&folder, &engine);
    leave(engine);

    // Only once.
    let mut again = false;
    let options = EngineOptions::at(folder.path());
    let engine =
        Engine::start_with(&options, |event| again |= matches!(event, EngineEvent::Upgraded { .. })).unwrap();
    assert!(!again);
    leave(engine);
}

#[test]
fn unreadable_data_keeps_its_version() {
    let folder = folder_of(OLDER);
    let metadata = folder.path().join("store/metadata/bridge.sql");
    let whole = fs::read(&metadata).unwrap();
    fs::write(&metadata, "ATTACH DATABASE _\nENGINE = NoSuchEngine\n").unwrap();
    let error = Engine::start(&EngineOptions::at(folder.path())).unwrap_err();
    assert!(matches!(error, EngineError::NotStarted { .. }), "{error:?}");
    assert_eq!(
        (version(&written(&folder)).as_str(), version(&upgrade(&folder)).as_str()),
        (OLDER, ENGINE_VERSION)
    );

    fs::write(&metadata, whole).unwrap();
    let engine = start(&folder);
    assert_taken_over(&folder, &engine);
    leave(engine);
}

/// The program that began the upgrade was killed before it could record its end.
#[test]
fn joining_program_completes_an_upgrade() {
    let folder = folder_of(ENGINE_VERSION);
    let engine = start(&folder);
    fs::write(written(&folder), OLDER).unwrap();
    fs::write(upgrade(&folder), ENGINE_VERSION).unwrap();
    let joined = start(&folder);
    assert_taken_over(&folder, &joined);
    drop(engine);
    leave(joined);
}

#[test]
fn newer_data_is_refused_and_unchanged() {
    let folder = folder();
    fs::write(written(&folder), format!("{NEWER}\n")).unwrap();
    assert!(refused(&folder).contains("upgrade this program"));
    assert_eq!(version(&written(&folder)), NEWER);
    assert!(!folder.path().join("store").exists() && !upgrade(&folder).exists());
}

/// A newer engine that never answered may have written all the same.
#[test]
fn data_of_an_unfinished_newer_upgrade_is_refused() {
    let folder = folder_of(OLDER);
    fs::write(upgrade(&folder), NEWER).unwrap();
    refused(&folder);
    assert_eq!((version(&written(&folder)).as_str(), version(&upgrade(&folder)).as_str()), (OLDER, NEWER));
}
