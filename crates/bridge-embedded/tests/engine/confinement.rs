//! Confinement: no statement reads, writes, runs or connects to anything outside the data folder.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bridge_embedded::{Credentials, Engine};
use tempfile::TempDir;

use crate::support::{ask_as, folder, kill, leave, query, start, wait_until};

const CANARY: &str = "canary-7d1f";

/// A folder outside the data folder with a secret file; no other file may appear in it.
struct Outside {
    folder: TempDir,
    file: String,
}

impl Outside {
    fn new() -> Self {
        let folder = folder();
        let file = folder.path().join("secret");
        fs::write(&file, format!("{CANARY} ${{a:CSV}}\n")).unwrap();
        Self { file: file.to_str().unwrap().to_owned(), folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn assert_unchanged(&self) {
        let names: Vec<_> =
            fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"], "something was written outside");
    }
}

fn users(engine: &Engine) -> [&Credentials; 2] {
    [&engine.endpoint().writer, &engine.endpoint().reader]
}

/// Returns whether this kernel can confine a process; otherwise the engine's log says so.
fn is_confined(engine: &Engine) -> bool {
    !fs::read_to_string(engine.log_path()).unwrap().contains("cannot confine the engine")
}

fn assert_refused(engine: &Engine, user: &Credentials, sql: &str) {
    let (status, body) = ask_as(engine.endpoint(), user, sql).unwrap();
    assert!(status >= 400 && body.contains("Code: "), "{}: {sql}: {body}", user.user);
    assert!(!body.contains(CANARY), "{}: {sql}: {body}", user.user);
}

#[test]
fn no_function_setting_or_format_reads_a_file() {
    let (folder, outside) = (folder(), Outside::new());
    let engine = start(&folder);
    let (file, parent) = (&outside.file, outside.folder.path().display());
    let own = folder.path().join("endpoint.json").display().to_string();
    for sql in [
        format!("SELECT file('{file}')"),
        format!("SELECT file('{file}', NULL)"),
        format!("SELECT file('{own}')"),
        "SELECT file('users.xml')".to_owned(),
        "SELECT file('endpoint.json', 'none')".to_owned(),
        format!("SELECT file('{file}') SETTINGS enable_analyzer = 0"),
        format!("SELECT * APPLY(file) FROM (SELECT '{file}')"),
        format!("SELECT * APPLY(file) FROM (SELECT '{file}') SETTINGS enable_analyzer = 0"),
        format!("SELECT arrayMap(file, ['{file}'])"),
        format!("SELECT arrayMap(path -> file(path), ['{file}'])"),
        format!("SELECT * FROM file('{file}', LineAsString)"),
        format!("DESCRIBE file('{file}', LineAsString)"),
        format!("SELECT * FROM filesystem('{parent}')"),
        format!("SELECT * FROM sqlite('{file}', 't')"),
        format!("SELECT * FROM icebergLocal('{parent}')"),
        format!("SELECT * FROM deltaLakeLocal('{parent}')"),
        format!("SELECT * FROM executable('cat {file}', LineAsString, 'l String')"),
        format!("SELECT * FROM default.`{file}`"),
        format!("SELECT * FROM url('file://{file}', LineAsString)"),
        format!("SELECT catboostEvaluate('{file}', 1)"),
        format!("SELECT 'x' AS a FORMAT Template SETTINGS format_template_row = '{file}'"),
        format!("SELECT 'x' AS a FORMAT Template SETTINGS format_template_resultset = '{file}'"),
        format!("SELECT 'x' AS a FORMAT Protobuf SETTINGS format_schema = '{file}:Message'"),
        "CREATE OR REPLACE FUNCTION file AS path -> path".to_owned(),
        "DROP FUNCTION file".to_owned(),
    ] {
        for user in users(&engine) {
            assert_refused(&engine, user, &sql);
        }
    }
    leave(engine);
}

#[test]
fn no_writer_table_reads_a_file() {
    let (folder, outside) = (folder(), Outside::new());
    let engine = start(&folder);
    let (file, parent) = (&outside.file, outside.folder.path().display());
    query(&engine, "CREATE TABLE bridge.t (a String) ENGINE = MergeTree ORDER BY a");
    query(&engine, "INSERT INTO bridge.t VALUES ('x')");
    for sql in [
        format!("INSERT INTO bridge.t VALUES (file('{file}'))"),
        format!("INSERT INTO bridge.t SELECT file('{file}')"),
        format!("INSERT INTO bridge.t FROM INFILE '{file}' FORMAT LineAsString"),
        format!("SELECT * FROM format(Values, 'a String', '(file(''{file}''))')"),
        format!("ALTER TABLE bridge.t UPDATE a = file('{file}') WHERE 1 SETTINGS mutations_sync = 2"),
        format!("CREATE TABLE bridge.f (l String) ENGINE = File(LineAsString, '{file}')"),
        format!("CREATE TABLE bridge.f (l String) ENGINE = FileLog('{file}', 'LineAsString')"),
        "CREATE TABLE bridge.f (l String) ENGINE = Executable('x', LineAsString)".to_owned(),
        format!("CREATE TABLE bridge.f (l String) ENGINE = SQLite('{file}', 't')"),
        format!("CREATE DATABASE f ENGINE = Filesystem('{parent}')"),
        format!("CREATE DATABASE f ENGINE = SQLite('{file}')"),
        format!("ATTACH TABLE bridge.f FROM '{parent}' (l String) ENGINE = MergeTree ORDER BY l"),
        format!(
            "CREATE DICTIONARY bridge.f (a UInt64, b String) PRIMARY KEY a SOURCE(FILE(PATH '{file}' FORMAT TSV)) LAYOUT(FLAT()) LIFETIME(0)"
        ),
        format!(
            "CREATE VIEW bridge.f DEFINER = default SQL SECURITY DEFINER AS SELECT * FROM file('{file}', LineAsString)"
        ),
        format!("CREATE VIEW bridge.f SQL SECURITY NONE AS SELECT * FROM file('{file}', LineAsString)"),
        format!("RESTORE TABLE bridge.t AS bridge.f FROM File('{parent}')"),
    ] {
        assert_refused(&engine, &engine.endpoint().writer, &sql);
    }
    // An expression that is kept with the table holds the closed function, too.
    query(
        &engine,
        "CREATE TABLE bridge.d (a String, b String DEFAULT file(a)) ENGINE = MergeTree ORDER BY a",
    );
    assert_refused(
        &engine,
        &engine.endpoint().writer,
        &format!("INSERT INTO bridge.d (a) VALUES ('{file}')"),
    );
    leave(engine);
}

#[test]
fn nothing_is_written_outside_the_data_folder() {
    let (folder, outside) = (folder(), Outside::new());
    let engine = start(&folder);
    let new = outside.path("new");
    query(&engine, "CREATE TABLE bridge.t (a String) ENGINE = MergeTree ORDER BY a");
    for sql in [
        format!("SELECT 1 INTO OUTFILE '{new}'"),
        format!("INSERT INTO FUNCTION file('{new}', LineAsString, 'l String') VALUES ('x')"),
        format!("BACKUP TABLE bridge.t TO File('{new}')"),
        "BACKUP TABLE bridge.t TO File('../../elsewhere')".to_owned(),
        "BACKUP TABLE bridge.t TO Disk('default', 'x')".to_owned(),
        format!(
            "CREATE TABLE bridge.d (a String) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = 'local', path = '{new}/')"
        ),
        format!(
            "CREATE TABLE bridge.d (a String) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = 'object_storage', \
             object_storage_type = 'local_blob_storage', metadata_type = 'local', path = '{new}/')"
        ),
        format!("ALTER TABLE bridge.t MODIFY SETTING disk = disk(type = 'local', path = '{new}/')"),
        format!("SELECT 1 AS a FORMAT Protobuf SETTINGS output_format_schema = '{new}'"),
        format!(
            "INSERT INTO bridge.t SETTINGS input_format_allow_errors_num = 9, \
             input_format_record_errors_file_path = '{new}' FORMAT CSV\n\"x\",\"y\"\n"
        ),
    ] {
        // Some are parsed on the client's side only and are no statement of a server's: what counts is the folder.
        let (_, body) = ask_as(engine.endpoint(), &engine.endpoint().writer, &sql).unwrap();
        assert!(!body.contains(CANARY), "{sql}: {body}");
        if is_confined(&engine) {
            outside.assert_unchanged();
        }
    }
    assert!(!folder.path().parent().unwrap().join("elsewhere").exists());
    // Where the bridge's own backups go they still go.
    query(&engine, "BACKUP TABLE bridge.t TO File('mine')");
    assert!(folder.path().join("backups/mine").exists());
    leave(engine);
}

#[test]
fn no_statement_connects_out() {
    let folder = folder();
    let engine = start(&folder);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    query(&engine, "CREATE TABLE bridge.t (a String) ENGINE = MergeTree ORDER BY a");
    for sql in [
        format!("SELECT * FROM url('http://{at}/', LineAsString)"),
        format!("SELECT * FROM s3('http://{at}/b/k', NOSIGN, LineAsString)"),
        format!("SELECT * FROM remote('{at}', system.one)"),
        format!("SELECT * FROM remoteSecure('{at}', system.one)"),
        format!("SELECT * FROM cluster('{at}', system.one)"),
        format!("SELECT * FROM mysql('{at}', 'a', 'b', 'c', 'd')"),
        format!("SELECT * FROM postgresql('{at}', 'a', 'b', 'c', 'd')"),
        format!("SELECT * FROM mongodb('{at}', 'a', 'b', 'c', 'd', 'l String')"),
        format!("SELECT * FROM redis('{at}', 'k', 'k String')"),
        format!("SELECT * FROM azureBlobStorage('http://{at}/', 'c', 'p', LineAsString)"),
        format!("SELECT * FROM hdfs('hdfs://{at}/x', LineAsString)"),
        format!("SELECT * FROM iceberg('http://{at}/')"),
        format!(
            "SELECT * FROM format(AvroConfluent, '\\0\\0\\0\\0\\1aaa') SETTINGS format_avro_schema_registry_url = 'http://{at}/'"
        ),
    ] {
        for user in users(&engine) {
            assert_refused(&engine, user, &sql);
        }
    }
    for sql in [
        format!("BACKUP TABLE bridge.t TO S3('http://{at}/b/k', 'a', 'b')"),
        format!("RESTORE TABLE bridge.t AS bridge.u FROM S3('http://{at}/b/k', 'a', 'b')"),
        format!("CREATE DATABASE u ENGINE = MySQL('{at}', 'a', 'b', 'c')"),
        format!("CREATE TABLE bridge.u (l String) ENGINE = URL('http://{at}/', LineAsString)"),
        format!("CREATE TABLE bridge.u (l String) ENGINE = Kafka('{at}', 't', 'g', 'CSV')"),
        format!(
            "CREATE TABLE bridge.u (l String) ENGINE = MergeTree ORDER BY l SETTINGS disk = disk(type = 'web', endpoint = 'http://{at}/')"
        ),
    ] {
        assert_refused(&engine, &engine.endpoint().writer, &sql);
    }
    let reached = listener.accept().map(|(_, from)| from);
    if is_confined(&engine) {
        assert_eq!(reached.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    leave(engine);
}

/// The wall behind the closed function: a restarted engine without it still opens nothing.
#[test]
fn kernel_confines_the_engine_to_its_folder() {
    let (folder, outside) = (folder(), Outside::new());
    let engine = start(&folder);
    if !is_confined(&engine) {
        return leave(engine);
    }
    fs::remove_file(folder.path().join("store/user_defined/function_file.sql")).unwrap();
    let killed = engine.engine_pid().unwrap();
    kill(killed, "-KILL");
    let endpoint = engine.endpoint();
    wait_until("the engine answers again", || {
        engine.engine_pid() != Some(killed)
            && ask_as(endpoint, &endpoint.writer, "SELECT 1").is_ok_and(|answer| answer.0 == 200)
    });
    let own = folder.path().join("endpoint.json").display().to_string();
    for path in [&outside.file, "/etc/passwd", &own, "endpoint.json", "users.lock", "/proc/1/environ"] {
        let (_, body) = ask_as(endpoint, &endpoint.reader, &format!("SELECT file('{path}')")).unwrap();
        assert!(body.contains("Permission denied"), "{path}: {body}");
    }
    leave(engine);
}

#[test]
fn system_databases_are_read_only() {
    let folder = folder();
    let engine = start(&folder);
    for sql in [
        "DROP DATABASE system",
        "DETACH DATABASE system",
        "TRUNCATE DATABASE system",
        "RENAME DATABASE system TO other",
        "DROP TABLE system.one",
        "CREATE TABLE system.t (n UInt8) ENGINE = Memory",
        "CREATE VIEW system.v AS SELECT 1",
        "DROP DATABASE information_schema",
        "DROP DATABASE INFORMATION_SCHEMA",
        "DROP DATABASE default",
    ] {
        for user in users(&engine) {
            assert_refused(&engine, user, sql);
        }
    }
    assert_eq!(query(&engine, "SELECT dummy FROM system.one"), "0");
    leave(engine);
}

#[test]
fn existing_folder_is_made_private() {
    let folder = folder();
    let store = folder.path().join("store");
    fs::create_dir(&store).unwrap();
    for path in [folder.path(), &store] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let engine = start(&folder);
    query(&engine, "CREATE TABLE bridge.t (a String) ENGINE = MergeTree ORDER BY a");
    query(&engine, "INSERT INTO bridge.t VALUES ('x')");
    leave(engine);
    assert_closed(folder.path());
}

/// This file or folder, and all that is in it.
fn assert_closed(path: &Path) {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_symlink() {
        return;
    }
    assert_eq!(metadata.permissions().mode() & 0o077, 0, "{} is open to others", path.display());
    if metadata.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| assert_closed(&entry.unwrap().path()));
    }
}

#[test]
fn engine_files_contain_no_password() {
    let folder = folder();
    let engine = start(&folder);
    let endpoint = engine.endpoint();
    query(&engine, "SELECT 1");
    for name in ["users.xml", "config.xml", "engine.log", "http_port", "pids"] {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        for user in users(&engine) {
            assert!(!text.contains(&user.password), "{name}");
        }
    }
    assert_eq!(ask_as(endpoint, &endpoint.reader, "SELECT 1").unwrap(), (200, "1\n".to_owned()));
    leave(engine);
}
