//! Killed processes.

use crate::support::{ask_as, folder, kill, leave, query, runs, start, wait_until};

#[test]
fn killed_engine_restarts_on_the_same_port_and_data() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint().clone();
    query(&engine, "CREATE TABLE bridge.t (n UInt64) ENGINE = MergeTree ORDER BY n");
    query(&engine, "INSERT INTO bridge.t SELECT number FROM numbers(1000)");
    for _ in 0..2 {
        let killed = engine.engine_pid().unwrap();
        kill(killed, "-KILL");
        wait_until("the engine answers again", || {
            engine.engine_pid() != Some(killed)
                && ask_as(&endpoint, &endpoint.writer, "SELECT sum(n) FROM bridge.t")
                    .is_ok_and(|answer| answer == (200, "499500\n".to_owned()))
        });
    }
    leave(engine);
}

#[test]
fn supervisor_gives_up_on_a_crash_loop() {
    let folder = folder();
    let engine = start(&folder);
    let supervisor = engine.supervisor_pid().unwrap();
    let mut killed = None;
    wait_until("the supervisor gives up", || {
        if let Some(pid) = engine.engine_pid().filter(|pid| killed != Some(*pid) && runs(*pid)) {
            kill(pid, "-KILL");
            killed = Some(pid);
        }
        !runs(supervisor)
    });
    assert!(!folder.path().join("endpoint.json").exists());
    let log = std::fs::read_to_string(engine.log_path()).unwrap();
    assert!(log.contains("giving up"), "{log}");
    // Whoever starts one now gets one.
    let fresh = start(&folder);
    assert_eq!(query(&fresh, "SELECT 1"), "1");
    drop(engine);
    leave(fresh);
}

#[test]
fn engine_exits_with_a_killed_supervisor_and_a_new_one_can_start() {
    let folder = folder();
    let engine = start(&folder);
    query(&engine, "CREATE TABLE bridge.t (n UInt64) ENGINE = MergeTree ORDER BY n");
    let pid = engine.engine_pid().unwrap();
    kill(engine.supervisor_pid().unwrap(), "-KILL");
    let fresh = start(&folder);
    wait_until("the engine leaves", || !runs(pid));
    assert_eq!(query(&fresh, "SELECT count() FROM bridge.t"), "0");
    drop(engine);
    leave(fresh);
}

#[test]
fn sigterm_to_the_supervisor_stops_the_engine() {
    let folder = folder();
    let engine = start(&folder);
    let (supervisor, pid) = (engine.supervisor_pid().unwrap(), engine.engine_pid().unwrap());
    kill(supervisor, "-TERM");
    wait_until("both leave", || !runs(pid) && !runs(supervisor));
    let log = std::fs::read_to_string(engine.log_path()).unwrap();
    assert!(!log.contains("killed"), "{log}");
    leave(engine);
}
