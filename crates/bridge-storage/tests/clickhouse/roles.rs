//! The permissions of the three roles.
//!
//! The embedded engine does not support roles, but its users file accepts the same grants. On a dedicated engine,
//! the grants of two roles replace those of the two users, and the engine restarts.

use std::path::Path;
use std::time::Duration;

use bridge_core::{BridgeError, CheckpointName, Epoch, StorageKind, Timestamp};
use bridge_embedded::{Credentials, Engine, EngineOptions};
use bridge_storage::{
    BackupFormat, BackupStore, CheckpointStore, ClickHouseOptions, ClickHouseStore, DashboardFilter,
    HealthProbes, ResponseFilter, Retention, Schema, ServerPlace, SummaryFilter, TokenStore, UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;

use crate::{client, fresh, hasty, options, response};

const DATABASE: &str = "test_roles";

/// The grants of a role in the format of the users file.
fn grants_of(role: &str) -> String {
    let statements = Schema::new(DATABASE).role_statements();
    let end = format!(" TO {role}");
    let grants = statements.iter().filter_map(|statement| statement.strip_suffix(&end));
    grants.map(|grant| format!("<query>{grant}</query>")).collect()
}

/// An engine whose writer and reader have the grants of two roles.
struct RoleEngine {
    engine: Engine,
}

impl RoleEngine {
    fn start() -> Self {
        Self { engine: Engine::start(&EngineOptions::ephemeral()).unwrap() }
    }

    /// Gives the two users the grants of these roles and restarts the engine.
    async fn assign(&self, writer: &str, reader: &str) {
        let users = self.engine.data_dir().join("users.xml");
        let endpoint = self.engine.endpoint();
        for (user, role) in [(&endpoint.writer, writer), (&endpoint.reader, reader)] {
            replace_grants(&users, &user.user, &grants_of(role));
        }
        let pid = self.engine.engine_pid().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        let back = async {
            while self.engine.engine_pid().is_none_or(|new| new.to_string() == pid)
                || self.store(&endpoint.writer).probe_connection().await.is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), back).await.expect("the engine restarts");
    }

    fn options(&self, user: &Credentials) -> ClickHouseOptions {
        let host = self.engine.endpoint().url.strip_prefix("http://").unwrap().to_owned();
        hasty(&format!("http://{}:{}@{host}/{DATABASE}", user.user, user.password))
    }

    fn store(&self, user: &Credentials) -> ClickHouseStore {
        ClickHouseStore::new(self.options(user)).unwrap()
    }

    fn writer(&self) -> ClickHouseStore {
        self.store(&self.engine.endpoint().writer)
    }

    fn reader(&self) -> ClickHouseStore {
        self.store(&self.engine.endpoint().reader)
    }

    fn client(&self, user: &Credentials) -> clickhouse::Client {
        let client = clickhouse::Client::default().with_url(&self.engine.endpoint().url);
        client.with_user(&user.user).with_password(&user.password)
    }

    /// Runs the statement as this user.
    async fn run(&self, user: &Credentials, statement: &str) -> Result<(), clickhouse::error::Error> {
        self.client(user).with_database(DATABASE).query_raw(statement).execute().await
    }

    async fn assert_refused(&self, user: &Credentials, statements: &[&str]) {
        for statement in statements {
            let error = self.run(user, statement).await.expect_err(statement).to_string();
            assert!(
                ["Code: 497", "Code: 164"].iter().any(|code| error.contains(code)),
                "{statement}: {error}"
            );
        }
    }
}

fn replace_grants(users: &Path, user: &str, grants: &str) {
    let text = std::fs::read_to_string(users).unwrap();
    let (before, from) = text.split_at(text.rfind(&format!("<{user}>")).unwrap());
    let (head, rest) = from.split_once("<grants>").unwrap();
    let (_, tail) = rest.split_once("</grants>").unwrap();
    std::fs::write(users, format!("{before}{head}<grants>{grants}</grants>{tail}")).unwrap();
}

fn assert_denied<T: std::fmt::Debug>(result: Result<T, BridgeError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }), "{error}");
}

async fn read_everything(store: &ClickHouseStore) {
    let all = ResponseFilter::default();
    assert_eq!(store.totals(&all).await.unwrap().counts.output, 2);
    assert_eq!(store.responses(&all).await.unwrap().len(), 1);
    assert_eq!(store.summaries(&SummaryFilter::default()).await.unwrap().len(), 1);
    assert_eq!(store.dashboard(&DashboardFilter::default()).await.unwrap().totals.counts.output, 2);
}

async fn back_up_and_restore(store: &ClickHouseStore, epoch: Epoch) {
    let mut export = store.begin_export(BackupFormat::Parquet).await.unwrap();
    let part = export.next_part().await.unwrap().unwrap();
    assert_eq!(export.next_part().await.unwrap(), None);
    store.import_part(&part, epoch).await.unwrap();
    let place = ServerPlace::File("backup".to_owned());
    let summary = store.back_up(&place).await.unwrap();
    assert_eq!(store.restore(&place, epoch).await.unwrap(), summary);
}

/// Statements that only the administrator may run.
const CHANGES: [&str; 8] = [
    "ALTER TABLE token_usage DELETE WHERE 1",
    "ALTER TABLE token_usage UPDATE output_tokens = 1 WHERE 1",
    "DELETE FROM token_usage WHERE 1",
    "TRUNCATE TABLE token_usage",
    "DROP TABLE token_usage",
    "CREATE TABLE other (a UInt8) ENGINE = ReplacingMergeTree ORDER BY a",
    "OPTIMIZE TABLE token_usage FINAL",
    "INSERT INTO bridge_migrations (number, checksum) VALUES (9, 9)",
];

/// Statements that no role may run.
const ESCAPES: [&str; 6] = [
    "CREATE USER intruder",
    "GRANT SELECT ON *.* TO bridge_reader",
    "CREATE DATABASE test_other",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM test_alien.secrets",
];

#[tokio::test]
async fn each_role_has_exactly_the_permissions_it_needs() {
    let roles = RoleEngine::start();
    let (writer, reader) = (roles.engine.endpoint().writer.clone(), roles.engine.endpoint().reader.clone());
    for statement in
        ["CREATE DATABASE test_alien", "CREATE TABLE test_alien.secrets (a UInt8) ENGINE = Memory"]
    {
        roles.client(&writer).query_raw(statement).execute().await.unwrap();
    }

    roles.assign("bridge_administrator", "bridge_dashboard").await;
    roles.writer().migrate().await.unwrap();
    roles.writer().upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    let (good, now) = (CheckpointName::new("good").unwrap(), Timestamp::MIN);
    for name in [&good, &CheckpointName::new("other").unwrap()] {
        roles.writer().create_checkpoint(name, now).await.unwrap();
    }
    roles.writer().drop_checkpoint(&CheckpointName::new("other").unwrap()).await.unwrap();
    roles.writer().roll_back(&good, now).await.unwrap();
    let state = roles.writer().resume().await.unwrap();
    roles.assert_refused(&writer, &ESCAPES).await;
    back_up_and_restore(&roles.writer(), state.epoch).await;

    read_everything(&roles.reader()).await;
    assert_denied(roles.reader().upsert(&[response(1, 3)], &UpsertOptions::default()).await);
    roles.assert_refused(&reader, &CHANGES).await;
    roles.assert_refused(&reader, &ESCAPES).await;
    roles.assert_refused(&reader, &["SELECT * FROM bridge_audit", "SET readonly = 0"]).await;

    roles.assign("bridge_writer", "bridge_dashboard").await;
    read_everything(&roles.writer()).await;
    assert_eq!(roles.writer().state().await.unwrap(), state);
    assert_eq!(roles.reader().state().await.unwrap(), state);
    // Whoever only reads can start a bridge, too: nothing is missing.
    roles.reader().migrate().await.unwrap();
    assert!(roles.reader().pending_schema().await.unwrap().is_empty());
    roles.writer().upsert(&[response(2, 0)], &UpsertOptions::default()).await.unwrap();
    roles.writer().put_sources(&[]).await.unwrap();
    // The schema exists, so `migrate` has nothing to do. Changing it is denied.
    roles.writer().migrate().await.unwrap();
    let kept_for_a_day = roles.options(&writer).with_retention(Retention::For(Duration::from_hours(24)));
    let error = ClickHouseStore::new(kept_for_a_day).unwrap().migrate().await.unwrap_err().to_string();
    let missing = "ALTER TABLE token_usage MODIFY TTL time + toIntervalSecond(86400);";
    assert!(error.contains("permission") && error.contains(missing), "{error}");
    assert_denied(roles.writer().create_checkpoint(&CheckpointName::new("new").unwrap(), now).await);
    assert_denied(roles.writer().begin_export(BackupFormat::Parquet).await.map(drop));
    // The writer cannot see checkpoints either.
    assert!(roles.writer().roll_back(&good, now).await.is_err());
    roles.assert_refused(&writer, &CHANGES).await;
    roles.assert_refused(&writer, &ESCAPES).await;
}

/// Without a schema and without the right to create one, a start fails with the SQL that is missing; with that SQL,
/// run by an administrator, it succeeds.
#[tokio::test]
async fn the_error_of_a_missing_schema_is_the_sql_that_creates_it() {
    let roles = RoleEngine::start();
    let endpoint = roles.engine.endpoint().clone();
    roles.assign("bridge_administrator", "bridge_dashboard").await;
    let error = roles.reader().migrate().await.unwrap_err();
    assert_eq!(error.kind(), "permission_denied");
    let text = error.to_string();
    let (_, sql) = text.split_once("have an administrator run: ").unwrap();
    let statements: Vec<_> = sql.split("; ").map(|statement| statement.trim_end_matches(';')).collect();
    let [create_database, use_database, rest @ ..] = &statements[..] else { panic!("{statements:?}") };
    assert_eq!(*use_database, format!("USE `{DATABASE}`"));
    let server = roles.client(&endpoint.writer);
    server.query_raw(create_database).execute().await.unwrap();
    for statement in rest {
        roles.run(&endpoint.writer, statement).await.unwrap();
    }
    roles.reader().migrate().await.unwrap();
    assert!(roles.writer().pending_schema().await.unwrap().is_empty());
    roles.writer().upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    read_everything(&roles.reader()).await;
}

/// The server parses every statement, and the writer's grants mention every table of the schema.
#[tokio::test]
async fn the_roles_cover_every_table() {
    let database = TestDatabase::of_this_test();
    fresh().await;
    let statements = Schema::new(&database.name).role_statements();
    assert_eq!(statements.iter().filter(|statement| statement.starts_with("CREATE ROLE")).count(), 3);
    for statement in &statements {
        client(&database).query_raw(&format!("EXPLAIN AST {statement}")).execute().await.unwrap();
    }
    let tables = "SELECT name FROM system.tables WHERE database = currentDatabase()";
    for table in client(&database).query(tables).fetch_all::<String>().await.unwrap() {
        let granted =
            statements.iter().any(|statement| statement.contains(&format!(".{table} TO bridge_writer")));
        assert!(granted, "sql/roles.sql grants the writer nothing on {table}");
    }
}

/// The test has no cluster; the engine's parser checks the statements.
#[tokio::test]
async fn cluster_roles_span_all_servers_and_local_tables() {
    let database = TestDatabase::of_this_test();
    fresh().await;
    let options = options(&database.writer_url()).with_cluster("main").unwrap();
    let options = options.with_table_prefix("etb_").unwrap();
    let statements = options.schema().role_statements();
    for statement in &statements {
        assert!(statement.contains(" ON CLUSTER `main`"), "{statement}");
        client(&database).query_raw(&format!("EXPLAIN AST {statement}")).execute().await.unwrap();
    }
    for table in ["etb_token_usage", "etb_token_usage_local", "etb_bridge_audit_local"] {
        let end = format!(".{table} TO bridge_writer");
        assert!(statements.iter().any(|statement| statement.ends_with(&end)), "{table}");
    }
    assert!(!statements.iter().any(|statement| statement.contains("enhanced_token_summaries_local")));
}

/// The embedded engine keeps its users in a file, which SQL statements cannot change.
#[tokio::test]
async fn the_embedded_engine_refuses_to_create_roles() {
    let store = ClickHouseStore::new(options(&TestDatabase::of_this_test().writer_url())).unwrap();
    assert_denied(store.create_roles().await);
}
