//! Access control of the engine: users, grants, and what is denied to all of them.
//!
//! The engine is `clickhouse local`, which trusts its user with every file and every address of the machine. The
//! bridge's users get no such trust: each known way out is closed here, and the launcher's sandbox closes the others.

use crate::EngineError;
use crate::endpoint::{Credentials, READER, Record, WRITER};
use crate::layout::{DataFolder, private_folder, write_private};

/// Table engines that the writer may use: those that keep their data in the data folder. `File`, `URL` and the like
/// would read any file of the operating system's user.
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

/// Rights of the writer in all databases.
const WRITER_RIGHTS: &str = "SHOW, SELECT, INSERT, ALTER, TRUNCATE, OPTIMIZE, UNDROP TABLE, BACKUP, KILL QUERY, CLUSTER, \
     CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE ARBITRARY TEMPORARY TABLE, \
     DROP DATABASE, DROP TABLE, DROP VIEW, \
     SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES, SYSTEM VIEWS, SYSTEM FLUSH, SYSTEM DROP CACHE";

/// Rights revoked from the writer in the engine's own databases: damage there would last until the next start.
const CHANGING: &str = "INSERT, ALTER, TRUNCATE, OPTIMIZE, UNDROP TABLE, CREATE DATABASE, CREATE TABLE, CREATE VIEW, \
     DROP DATABASE, DROP TABLE, DROP VIEW";

const OWN_DATABASES: [&str; 4] = ["system", "information_schema", "INFORMATION_SCHEMA", "`default`"];

/// Rights of the session that listens. Its user `default` has no password; the HTTP rule excludes it.
const SESSION_RIGHTS: [&str; 5] = [
    "SYSTEM LISTEN, CREATE ARBITRARY TEMPORARY TABLE ON *.*",
    "READ ON FILE",
    "TABLE ENGINE ON File",
    "TABLE ENGINE ON Atomic",
    "CREATE DATABASE ON bridge.*",
];

/// Settings by which a query names a file, an address or a disk. They need no grant, so they are read-only.
const CLOSED_SETTINGS: [&str; 15] = [
    "format_schema",
    "format_schema_source",
    "output_format_schema",
    "format_template_row",
    "format_template_resultset",
    "format_avro_schema_registry_url",
    "input_format_record_errors_file_path",
    "url_base",
    "allow_experimental_ai_functions",
    "dynamic_disk_allow_from_env",
    "dynamic_disk_allow_include",
    "dynamic_disk_allow_from_zk",
    "merge_tree_disk",
    "merge_tree_table_disk",
    "merge_tree_storage_policy",
];

/// Shadows the engine's function `file`, which needs no grant and reads any file. This engine resolves a name to a
/// user-defined function first, in every expression, and no user has the right to drop this one.
const CLOSED_FILE_FUNCTION: &str =
    "CREATE FUNCTION file AS (path) -> throwIf(true, 'the function file is closed: ACCESS_DENIED')\n";

/// Writes the users and the shadow of `file`. The engine reads both at its start.
pub(crate) fn write(folder: &DataFolder, record: &Record) -> Result<(), EngineError> {
    write_private(&folder.file("users.xml"), users(record).as_bytes())?;
    let functions = folder.file("store").join("user_defined");
    private_folder(&functions)?;
    write_private(&functions.join("function_file.sql"), CLOSED_FILE_FUNCTION.as_bytes())
}

fn users(record: &Record) -> String {
    let writer_rights: Vec<String> = std::iter::once(format!("GRANT {WRITER_RIGHTS} ON *.*"))
        .chain(OWN_DATABASES.map(|database| format!("REVOKE {CHANGING} ON {database}.*")))
        .chain(TABLE_ENGINES.map(|engine| format!("GRANT TABLE ENGINE ON {engine}")))
        .collect();
    let reader_rights = ["bridge", "test"].map(|prefix| format!("GRANT SELECT ON {prefix}*.*"));
    let closed: String =
        CLOSED_SETTINGS.iter().map(|setting| format!("<{setting}><readonly/></{setting}>")).collect();
    format!(
        "<clickhouse>
  <profiles>
    <default></default>
    <{WRITER}><max_query_size>16777216</max_query_size><constraints>{closed}</constraints></{WRITER}>
    <{READER}><readonly>2</readonly><constraints>{closed}</constraints></{READER}>
  </profiles>
  <quotas><default></default></quotas>
  <users>
{session}{writer}{reader}  </users>
</clickhouse>
",
        session = user(
            "default",
            "<password></password>",
            "default",
            &SESSION_RIGHTS.map(|right| format!("GRANT {right}"))
        ),
        writer = known(&record.writer, WRITER, &writer_rights),
        reader = known(&record.reader, READER, &reader_rights),
    )
}

/// Returns the definition of a user with the hash of its password.
fn known(credentials: &Credentials, profile: &str, grants: &[String]) -> String {
    let password = format!("<password_sha256_hex>{}</password_sha256_hex>", credentials.password_sha256());
    user(&credentials.user, &password, profile, grants)
}

fn user(name: &str, password: &str, profile: &str, grants: &[String]) -> String {
    let grants: String = grants.iter().map(|grant| format!("<query>{grant}</query>")).collect();
    format!(
        "    <{name}>
      {password}
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>{profile}</profile>
      <quota>default</quota>
      <grants>{grants}</grants>
    </{name}>
"
    )
}
