//! What each of the three roles may not do.
//!
//! The embedded engine knows no roles, but its users' file takes the same grants: on an engine of its own, the
//! two users get those of two roles in place of their own, and the engine is started again.

use std::path::Path;
use std::time::Duration;

use bridge_core::{BridgeError, CheckpointName, Epoch, StorageKind, Timestamp};
use bridge_embedded::{Credentials, Engine, EngineOptions};
use bridge_storage::{
    BackupFormat, BackupStore, CheckpointStore, ClickHouseOptions, ClickHouseStore, DashboardFilter,
    HealthProbes, ResponseFilter, Retention, ServerPlace, SummaryFilter, TokenStore, UpsertOptions,
    role_statements,
};
use bridge_testkit::engine::TestDatabase;

use crate::{client, fresh, hasty, options, response};

const DATABASE: &str = "test_roles";

/// The rights of a role, as the users' file writes them.
fn rights(role: &str) -> String {
    let statements = role_statements(DATABASE);
    let end = format!(" TO {role}");
    let grants = statements.iter().filter_map(|statement| statement.strip_suffix(&end));
    grants.map(|grant| format!("<query>{grant}</query>")).collect()
}

/// An engine whose writer has the rights of one role and whose reader has those of another.
struct Cast {
    engine: Engine,
}

impl Cast {
    fn start() -> Self {
        Self { engine: Engine::start(&EngineOptions::ephemeral()).unwrap() }
    }

    /// Gives the two users the rights of these roles.
    async fn play(&self, writer: &str, reader: &str) {
        let users = self.engine.data_dir().join("users.xml");
        let endpoint = self.engine.endpoint();
        for (user, role) in [(&endpoint.writer, writer), (&endpoint.reader, reader)] {
            replace_grants(&users, &user.user, &rights(role));
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
        tokio::time::timeout(Duration::from_secs(60), back).await.expect("the engine is started again");
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
    let figures = store.back_up(&place).await.unwrap();
    assert_eq!(store.restore(&place, epoch).await.unwrap(), figures);
}

/// What nobody but the administrator may do.
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

/// What nobody may do.
const ESCAPES: [&str; 6] = [
    "CREATE USER somebody",
    "GRANT SELECT ON *.* TO bridge_reader",
    "CREATE DATABASE test_other",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM test_alien.secrets",
];

#[tokio::test]
async fn each_role_does_its_work_and_nothing_else() {
    let cast = Cast::start();
    let (writer, reader) = (cast.engine.endpoint().writer.clone(), cast.engine.endpoint().reader.clone());
    for statement in
        ["CREATE DATABASE test_alien", "CREATE TABLE test_alien.secrets (a UInt8) ENGINE = Memory"]
    {
        cast.client(&writer).query_raw(statement).execute().await.unwrap();
    }

    cast.play("bridge_administrator", "bridge_dashboard").await;
    cast.writer().migrate().await.unwrap();
    cast.writer().upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    let (good, now) = (CheckpointName::new("good").unwrap(), Timestamp::MIN);
    for name in [&good, &CheckpointName::new("other").unwrap()] {
        cast.writer().create_checkpoint(name, now).await.unwrap();
    }
    cast.writer().drop_checkpoint(&CheckpointName::new("other").unwrap()).await.unwrap();
    cast.writer().roll_back(&good, now).await.unwrap();
    let state = cast.writer().resume().await.unwrap();
    cast.assert_refused(&writer, &ESCAPES).await;
    back_up_and_restore(&cast.writer(), state.epoch).await;

    read_everything(&cast.reader()).await;
    assert_denied(cast.reader().upsert(&[response(1, 3)], &UpsertOptions::default()).await);
    cast.assert_refused(&reader, &CHANGES).await;
    cast.assert_refused(&reader, &ESCAPES).await;
    cast.assert_refused(&reader, &["SELECT * FROM bridge_migrations", "SET readonly = 0"]).await;

    cast.play("bridge_writer", "bridge_dashboard").await;
    read_everything(&cast.writer()).await;
    assert_eq!(cast.writer().state().await.unwrap(), state);
    assert_eq!(cast.reader().state().await.unwrap(), state);
    cast.writer().upsert(&[response(2, 0)], &UpsertOptions::default()).await.unwrap();
    cast.writer().put_sources(&[]).await.unwrap();
    // The schema is there: nothing is to be created. To change it, it may not.
    cast.writer().migrate().await.unwrap();
    let kept_for_a_day = cast.options(&writer).with_retention(Retention::For(Duration::from_hours(24)));
    assert_denied(ClickHouseStore::new(kept_for_a_day).unwrap().migrate().await);
    assert_denied(cast.writer().create_checkpoint(&CheckpointName::new("new").unwrap(), now).await);
    assert_denied(cast.writer().begin_export(BackupFormat::Parquet).await.map(drop));
    // Nor does the writer see checkpoints.
    assert!(cast.writer().roll_back(&good, now).await.is_err());
    cast.assert_refused(&writer, &CHANGES).await;
    cast.assert_refused(&writer, &ESCAPES).await;
}

/// Every statement is one that the server understands, and every table of the schema is granted to somebody.
#[tokio::test]
async fn the_roles_know_every_table() {
    let database = TestDatabase::of_this_test();
    fresh().await;
    let statements = role_statements(&database.name);
    assert_eq!(statements.iter().filter(|statement| statement.starts_with("CREATE ROLE")).count(), 3);
    for statement in &statements {
        client(&database).query_raw(&format!("EXPLAIN AST {statement}")).execute().await.unwrap();
    }
    let tables = "SELECT name FROM system.tables WHERE database = currentDatabase()";
    for table in client(&database).query(tables).fetch_all::<String>().await.unwrap() {
        let granted =
            statements.iter().any(|statement| statement.contains(&format!(".{table} TO bridge_writer")));
        assert!(granted, "sql/roles.sql does not say what the writer may do with {table}");
    }
}

/// No cluster is here: the engine's parser takes the statements.
#[tokio::test]
async fn on_a_cluster_the_roles_are_on_all_servers_and_reach_the_rows() {
    let database = TestDatabase::of_this_test();
    fresh().await;
    let options = options(&database.writer_url()).with_cluster("main").unwrap();
    let options = options.with_table_prefix("etb_").unwrap();
    let statements = ClickHouseStore::new(options).unwrap().role_statements();
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

/// The embedded engine keeps its users in a file: roles need a server.
#[tokio::test]
async fn roles_need_a_server() {
    let store = ClickHouseStore::new(options(&TestDatabase::of_this_test().writer_url())).unwrap();
    assert_denied(store.create_roles().await);
}
