//! All programs on a folder share one engine, which stops after the last of them.

use std::time::Duration;

use bridge_embedded::{Engine, EngineEvent, EngineOptions, Shutdown};

use crate::support::{OtherProgram, folder, leave, query, runs, start, wait_until};

#[test]
fn handles_share_one_engine_until_the_last_is_dropped() {
    let folder = folder();
    let first = start(&folder);
    let mut joined = false;
    let second = Engine::start_with(&EngineOptions::at(folder.path()), |event| {
        joined |= matches!(event, EngineEvent::Joined { .. });
    })
    .unwrap();
    assert!(joined);
    assert_eq!(first.endpoint(), second.endpoint());
    let engine = first.engine_pid().unwrap();
    // It would wait an hour for an engine that is stopping.
    assert_eq!(first.close(Duration::from_hours(1)), Shutdown::InUse);
    assert!(runs(engine));
    assert_eq!(query(&second, "SELECT 1"), "1");
    leave(second);
    assert!(!runs(engine));
    for name in ["endpoint.json", "http_port", "pids"] {
        assert!(!folder.path().join(name).exists(), "{name} is left behind");
    }
}

#[test]
fn another_program_keeps_the_engine_running() {
    let folder = folder();
    let ours = start(&folder);
    let (supervisor, engine) = (ours.supervisor_pid().unwrap(), ours.engine_pid().unwrap());
    let other = OtherProgram::ready(OtherProgram::spawn(folder.path()));
    assert_eq!((other.supervisor, other.engine), (supervisor, engine));
    assert_eq!(ours.close(Duration::from_hours(1)), Shutdown::InUse);
    drop(ours);
    std::thread::sleep(Duration::from_millis(300));
    assert!(runs(engine), "the other program uses it");
    other.leave();
    wait_until("the engine leaves", || !runs(engine) && !runs(supervisor));
}

#[test]
fn engine_stops_when_its_only_user_is_killed() {
    let folder = folder();
    let other = OtherProgram::ready(OtherProgram::spawn(folder.path()));
    let (supervisor, engine) = (other.supervisor, other.engine);
    other.kill();
    wait_until("the engine leaves", || !runs(engine) && !runs(supervisor));
    assert!(!folder.path().join("endpoint.json").exists());
}

#[test]
fn engine_outlives_the_program_that_started_it() {
    let folder = folder();
    let other = OtherProgram::ready(OtherProgram::spawn(folder.path()));
    let ours = start(&folder);
    let engine = other.engine;
    other.kill();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(ours.engine_pid(), Some(engine));
    assert_eq!(query(&ours, "SELECT 1"), "1");
    leave(ours);
}

#[test]
fn concurrent_starts_share_one_engine() {
    let folder = folder();
    let starting: Vec<_> = (0..3).map(|_| OtherProgram::spawn(folder.path())).collect();
    let others: Vec<_> = starting.into_iter().map(OtherProgram::ready).collect();
    let engine = others[0].engine;
    assert!(others.iter().all(|other| other.engine == engine));
    others.into_iter().for_each(OtherProgram::leave);
    wait_until("the engine leaves", || !runs(engine));
    let ours = start(&folder);
    leave(ours);
}

#[test]
fn start_during_shutdown_gets_a_fresh_engine_with_the_data() {
    let folder = folder();
    let engine = start(&folder);
    query(&engine, "CREATE TABLE bridge.t (n UInt64) ENGINE = MergeTree ORDER BY n");
    drop(engine);
    for round in 0..5 {
        let engine = start(&folder);
        query(&engine, &format!("INSERT INTO bridge.t VALUES ({round})"));
        assert_eq!(query(&engine, "SELECT count() FROM bridge.t"), (round + 1).to_string());
        drop(engine);
    }
    leave(start(&folder));
}

#[test]
fn ephemeral_folder_is_removed_with_its_engine() {
    let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
    let folder = engine.data_dir().to_owned();
    assert!(folder.join("store").exists());
    leave(engine);
    assert!(!folder.exists());
}
