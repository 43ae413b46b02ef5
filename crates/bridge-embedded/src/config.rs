//! The engine's configuration and its initial statements.

use crate::endpoint::{DATABASE, READER, Record, WRITER};
use crate::layout::{DataFolder, write_private};
use crate::{EngineError, access};

/// Writes the configuration files.
pub(crate) fn write(folder: &DataFolder, record: &Record, memory_bytes_max: u64) -> Result<(), EngineError> {
    access::write(folder, record)?;
    write_private(&folder.file("config.xml"), server(folder, memory_bytes_max).as_bytes())
}

/// Returns the engine's command line, to which the supervisor adds the port.
pub(crate) fn arguments(folder: &DataFolder) -> Vec<String> {
    let path = |name: &str| folder.file(name).to_string_lossy().into_owned();
    // The last query reads standard input to its end, so the engine runs until the supervisor closes it.
    let query = format!(
        "CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic;
         SYSTEM START LISTEN HTTP;
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

/// A bounded query log in memory. The database `system` is in memory too, so a log on disk would conflict with its own
/// table at the next start.
const QUERY_LOG: &str = "<query_log>
    <database>system</database>
    <table>query_log</table>
    <engine>ENGINE = Memory SETTINGS min_bytes_to_keep = 8388608, max_bytes_to_keep = 16777216</engine>
  </query_log>";

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
  {QUERY_LOG}
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
        backups = path("backups"),
        users = path("users.xml"),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
