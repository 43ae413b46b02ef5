//! What the engine is told: its configuration, its users and the statements it starts with.

use crate::EngineError;
use crate::endpoint::{DATABASE, READER, Record, WRITER};
use crate::layout::{DataFolder, write_private};

/// Table engines that the writer may use: those that keep their data in the data folder. `File`, `URL`
/// and the like would let it read any file of the user who runs the engine.
const TABLE_ENGINES: [&str; 14] = [
    "Atomic",
    "MergeTree",
    "ReplacingMergeTree",
    "AggregatingMergeTree",
    "SummingMergeTree",
    "CollapsingMergeTree",
    "VersionedCollapsingMergeTree",
    "Memory",
    "Null",
    "View",
    "MaterializedView",
    "Merge",
    "Buffer",
    "Distributed",
];

/// What the writer may do anywhere.
const WRITER_RIGHTS: &str = "SHOW, SELECT, INSERT, ALTER, TRUNCATE, OPTIMIZE, UNDROP TABLE, BACKUP, KILL QUERY, CLUSTER, \
     CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE ARBITRARY TEMPORARY TABLE, \
     DROP DATABASE, DROP TABLE, DROP VIEW, \
     SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES, SYSTEM VIEWS, SYSTEM FLUSH, SYSTEM DROP CACHE";

/// What the session that listens needs. It is `default` without a password, which the HTTP rule shuts out.
const SESSION_RIGHTS: [&str; 5] = [
    "SYSTEM LISTEN, CREATE ARBITRARY TEMPORARY TABLE ON *.*",
    "READ ON FILE",
    "TABLE ENGINE ON File",
    "TABLE ENGINE ON Atomic",
    "CREATE DATABASE ON bridge.*",
];

/// Writes the files that the engine reads at its start.
pub(crate) fn write(folder: &DataFolder, record: &Record, memory_bytes_max: u64) -> Result<(), EngineError> {
    write_private(&folder.file("users.xml"), users(record).as_bytes())?;
    write_private(&folder.file("config.xml"), server(folder, memory_bytes_max).as_bytes())
}

/// The engine's command line, but for its port, which the supervisor knows.
pub(crate) fn arguments(folder: &DataFolder) -> Vec<String> {
    let path = |name: &str| folder.file(name).to_string_lossy().into_owned();
    // The supervisor makes the data folder the engine's working folder: `http_port` is a file in it.
    // The last query reads the engine's standard input: it ends, and the engine leaves, when that closes.
    let query = format!(
        "CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic;
         SYSTEM START LISTEN HTTP;
         SELECT getServerPort('http_port') FROM system.one INTO OUTFILE 'http_port' TRUNCATE FORMAT TSV;
         SELECT count() FROM table FORMAT Null SETTINGS max_execution_time = 0, max_threads = 1"
    );
    vec![
        format!("--path={}", path("store")),
        format!("--config-file={}", path("config.xml")),
        "--listen_host=127.0.0.1".to_owned(),
        "--log-level=warning".to_owned(),
        "--structure=line String".to_owned(),
        "--input-format=LineAsString".to_owned(),
        format!("--query={query}"),
    ]
}

fn server(folder: &DataFolder, memory_bytes_max: u64) -> String {
    let path = |name: &str| escaped(&folder.file(name).to_string_lossy());
    format!(
        "<clickhouse>
  <timezone>UTC</timezone>
  <max_server_memory_usage>{memory_bytes_max}</max_server_memory_usage>
  <max_concurrent_queries>200</max_concurrent_queries>
  <max_connections>512</max_connections>
  <mark_cache_size>67108864</mark_cache_size>
  <index_mark_cache_size>16777216</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <mmap_cache_size>0</mmap_cache_size>
  <tmp_path>{tmp}/</tmp_path>
  <user_files_path>{user_files}/</user_files_path>
  <format_schema_path>{schemas}/</format_schema_path>
  <backups><allowed_path>{backups}/</allowed_path></backups>
  <users_config>{users}</users_config>
  <user_directories><users_xml><path>{users}</path></users_xml></user_directories>
  <http_handlers>
    <rule>
      <url>/ping</url>
      <methods>GET,HEAD</methods>
      <handler><type>ping</type></handler>
    </rule>
    <rule>
      <headers><X-ClickHouse-User>regex:^({WRITER}|{READER})$</X-ClickHouse-User></headers>
      <handler><type>dynamic_query_handler</type><query_param_name>query</query_param_name></handler>
    </rule>
  </http_handlers>
</clickhouse>
",
        tmp = path("tmp"),
        user_files = path("user_files"),
        schemas = path("format_schemas"),
        backups = path("backups"),
        users = path("users.xml"),
    )
}

fn users(record: &Record) -> String {
    let writer_rights: Vec<String> = std::iter::once(format!("{WRITER_RIGHTS} ON *.*"))
        .chain(TABLE_ENGINES.map(|engine| format!("TABLE ENGINE ON {engine}")))
        .collect();
    let reader_rights = ["bridge", "test"].map(|prefix| format!("SELECT ON {prefix}*.*"));
    format!(
        "<clickhouse>
  <profiles>
    <default></default>
    <{WRITER}><max_query_size>16777216</max_query_size></{WRITER}>
    <{READER}><readonly>2</readonly></{READER}>
  </profiles>
  <quotas><default></default></quotas>
  <users>
{session}{writer}{reader}  </users>
</clickhouse>
",
        session = user("default", "default", "", &SESSION_RIGHTS.map(str::to_owned)),
        writer = user(&record.writer.user, WRITER, &record.writer.password, &writer_rights),
        reader = user(&record.reader.user, READER, &record.reader.password, &reader_rights),
    )
}

fn user(name: &str, profile: &str, password: &str, rights: &[String]) -> String {
    let grants: String = rights.iter().map(|right| format!("<query>GRANT {right}</query>")).collect();
    format!(
        "    <{name}>
      <password>{password}</password>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>{profile}</profile>
      <quota>default</quota>
      <grants>{grants}</grants>
    </{name}>
"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
