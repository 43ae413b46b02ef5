//! The log of queries, by which an operation of the bridge is followed into its database.

use crate::support::{ask_as, folder, kill, leave, query, start, wait_until};

const FOUND: &str =
    "SELECT count() FROM system.query_log WHERE log_comment = 'an operation' AND type = 'QueryFinish'";

#[test]
fn query_log_exists_after_every_start_and_crash() {
    let folder = folder();
    for start_number in 0..3 {
        let engine = start(&folder);
        query(&engine, "SELECT 1 SETTINGS log_comment = 'an operation'");
        // The engine logs a query after its last byte is out, so a first flush may come too early.
        wait_until(&format!("start {start_number}: the query is in the log"), || {
            query(&engine, "SYSTEM FLUSH LOGS");
            query(&engine, FOUND) == "1"
        });
        let killed = engine.engine_pid().unwrap();
        kill(killed, "-KILL");
        let endpoint = engine.endpoint();
        wait_until("the log is there after a crash", || {
            engine.engine_pid() != Some(killed)
                && ask_as(endpoint, &endpoint.writer, "SYSTEM FLUSH LOGS")
                    .is_ok_and(|(status, _)| status == 200)
                && ask_as(endpoint, &endpoint.writer, FOUND).is_ok_and(|(status, _)| status == 200)
        });
        leave(engine);
    }
}

#[test]
fn query_log_is_bounded() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint();
    // Each is two rows of 100 kB, of which the log holds no more than so many.
    let long = format!("SELECT length('{}')", "x".repeat(100_000));
    for number in 0..200 {
        assert_eq!(ask_as(endpoint, &endpoint.writer, &long).unwrap().0, 200);
        if number % 10 == 0 {
            query(&engine, "SYSTEM FLUSH LOGS");
        }
    }
    query(&engine, "SYSTEM FLUSH LOGS");
    let bytes: u64 = query(
        &engine,
        "SELECT total_bytes FROM system.tables WHERE database = 'system' AND name = 'query_log'",
    )
    .parse()
    .unwrap();
    assert!(bytes < 20_000_000, "{bytes}");
    leave(engine);
}
