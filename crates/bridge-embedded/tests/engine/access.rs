//! Users and grants.

use std::os::unix::fs::PermissionsExt;

use crate::support::{ask, ask_as, folder, leave, query, start};

#[test]
fn access_requires_user_and_password() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint();
    let status = |headers: &[(&str, &str)]| ask(endpoint, headers, "SELECT 1").unwrap().0;
    assert_eq!(status(&[]), 404);
    assert_eq!(status(&[("X-ClickHouse-User", "default")]), 404);
    assert_eq!(status(&[("Authorization", "Basic ZGVmYXVsdDo=")]), 404);
    let writer = endpoint.writer.user.as_str();
    assert_eq!(status(&[("X-ClickHouse-User", writer)]), 403);
    assert_eq!(status(&[("X-ClickHouse-User", writer), ("X-ClickHouse-Key", "wrong")]), 403);
    assert_eq!(status(&[("X-ClickHouse-User", writer), ("Authorization", "Basic ZGVmYXVsdDo=")]), 403);
    let (_, body) =
        ask(endpoint, &[("X-ClickHouse-User", writer), ("X-ClickHouse-Key", "wrong")], "SELECT 1").unwrap();
    assert!(body.contains("Code: 516"), "{body}");
    leave(engine);
}

#[test]
fn reader_is_read_only() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint();
    for database in ["bridge", "test_reader", "other"] {
        query(&engine, &format!("CREATE DATABASE IF NOT EXISTS {database}"));
        query(&engine, &format!("CREATE TABLE {database}.t (n UInt64) ENGINE = MergeTree ORDER BY n"));
        query(&engine, &format!("INSERT INTO {database}.t VALUES (7)"));
    }
    let read = |sql: &str| ask_as(endpoint, &endpoint.reader, sql).unwrap();
    assert_eq!(read("SELECT n FROM bridge.t"), (200, "7\n".to_owned()));
    assert_eq!(read("SELECT n FROM test_reader.t SETTINGS max_threads = 1"), (200, "7\n".to_owned()));
    for refused in [
        "SELECT n FROM other.t",
        "INSERT INTO bridge.t VALUES (8)",
        "DROP TABLE bridge.t",
        "CREATE TABLE bridge.u (n UInt64) ENGINE = Memory",
        "TRUNCATE TABLE bridge.t",
        "SYSTEM STOP LISTEN HTTP",
    ] {
        let (status, body) = read(refused);
        assert!(
            status >= 400 && body.contains("ACCESS_DENIED") || body.contains("READONLY"),
            "{refused}: {body}"
        );
    }
    leave(engine);
}

#[test]
fn writer_covers_the_bridge_and_reads_no_files() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint();
    for sql in [
        "CREATE DATABASE test_writer",
        "CREATE TABLE test_writer.t (n UInt64, v UInt64) ENGINE = ReplacingMergeTree(v) ORDER BY n",
        "INSERT INTO test_writer.t SELECT number, 1 FROM numbers(10)",
        "CREATE VIEW test_writer.w AS SELECT * FROM test_writer.t FINAL",
        "CREATE MATERIALIZED VIEW test_writer.m ENGINE = MergeTree ORDER BY n AS SELECT n FROM test_writer.t",
        "CREATE TABLE test_writer.c CLONE AS test_writer.t",
        "EXCHANGE TABLES test_writer.t AND test_writer.c",
        "ALTER TABLE test_writer.t ADD COLUMN x UInt8",
        "DELETE FROM test_writer.t WHERE n = 3",
        "OPTIMIZE TABLE test_writer.t FINAL",
        "SYSTEM STOP MERGES test_writer.t",
        "BACKUP DATABASE test_writer TO File('before')",
        "DROP DATABASE test_writer",
        "RESTORE DATABASE test_writer FROM File('before')",
    ] {
        query(&engine, sql);
    }
    assert_eq!(query(&engine, "SELECT count() FROM test_writer.w"), "9");
    assert_eq!(query(&engine, "SELECT engine FROM system.databases WHERE name = 'bridge'"), "Atomic");
    assert_eq!(query(&engine, "SELECT timezone()"), "UTC");
    for refused in [
        "SELECT * FROM file('/etc/hostname', LineAsString)",
        "CREATE TABLE bridge.f (l String) ENGINE = File(LineAsString, '/etc/hostname')",
        "SELECT * FROM default.`/etc/hostname`",
        "SELECT * FROM url('http://127.0.0.1/', LineAsString)",
        "BACKUP DATABASE test_writer TO File('/tmp/elsewhere')",
        "CREATE USER intruder",
        "SYSTEM SHUTDOWN",
    ] {
        let (status, body) = ask_as(endpoint, &endpoint.writer, refused).unwrap();
        assert!(status >= 400 && body.contains("Code: "), "{refused}: {body}");
    }
    leave(engine);
}

#[test]
fn passwords_change_at_each_start_and_stay_in_private_files() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint().clone();
    let passwords = [endpoint.writer.password.as_str(), endpoint.reader.password.as_str()];
    for pid in [engine.supervisor_pid().unwrap(), engine.engine_pid().unwrap()] {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
            let text = String::from_utf8_lossy(&text);
            assert!(!passwords.iter().any(|password| text.contains(password)), "{file}");
        }
    }
    assert!(!passwords.iter().any(|password| format!("{engine:?}").contains(password)));
    let log = std::fs::read_to_string(engine.log_path()).unwrap();
    assert!(!passwords.iter().any(|password| log.contains(password)));
    for name in ["endpoint.json", "users.xml", "config.xml", "engine.log"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is open to others");
    }
    leave(engine);
    let again = start(&folder);
    assert_ne!(again.endpoint().writer.password, endpoint.writer.password);
    leave(again);
}
