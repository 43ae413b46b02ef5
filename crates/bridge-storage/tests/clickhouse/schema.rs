//! Migrations.

use bridge_core::{BridgeError, StorageKind};
use std::time::Duration;

use bridge_storage::{ClickHouseStore, ResponseFilter, Retention, Schema, TokenStore, UpsertOptions};
use bridge_testkit::engine::TestDatabase;

use crate::{client, fresh, options, response};

#[tokio::test]
async fn concurrent_migrations_agree() {
    let url = TestDatabase::of_this_test().writer_url();
    let store = || ClickHouseStore::new(options(&url)).unwrap();
    let (a, b, c) = (store(), store(), store());
    let (a, b, c) = tokio::join!(a.migrate(), b.migrate(), c.migrate());
    a.and(b).and(c).unwrap();
    store().upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
}

async fn refusal(change: &str) -> BridgeError {
    let database = TestDatabase::of_this_test();
    let store = fresh().await;
    client(&database).query_raw(change).execute().await.unwrap();
    store.migrate().await.unwrap_err()
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let error = refusal("INSERT INTO bridge_migrations (number, checksum) VALUES (999, 1)").await;
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Schema, .. }), "{error}");
    assert!(error.to_string().contains("migration 999 is from a newer version"), "{error}");
}

#[tokio::test]
async fn a_changed_schema_is_refused() {
    let error = refusal("INSERT INTO bridge_migrations (number, checksum) VALUES (1, 1)").await;
    assert!(error.to_string().contains("migration 1 was applied in another form"), "{error}");
}

#[tokio::test]
async fn the_reader_can_read_but_not_write() {
    let database = TestDatabase::of_this_test();
    let store = fresh().await;
    store.upsert(&[response(1, 2)], &UpsertOptions::default()).await.unwrap();
    let reader = ClickHouseStore::new(options(&database.reader_url())).unwrap();
    assert_eq!(reader.totals(&ResponseFilter::default()).await.unwrap().counts.output, 2);
    let error = reader.upsert(&[response(1, 3)], &UpsertOptions::default()).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }), "{error}");
    // Without pending migrations `migrate` succeeds; with one it is denied.
    reader.migrate().await.unwrap();
    client(&database).query_raw("DROP TABLE bridge_migrations").execute().await.unwrap();
    let error = reader.migrate().await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }), "{error}");
    assert!(error.to_string().contains("CREATE TABLE IF NOT EXISTS bridge_migrations"), "{error}");
}

/// Returns the statements of a script, without comments.
fn statements_of(script: &str) -> Vec<String> {
    let lines: Vec<_> = script.lines().filter(|line| !line.starts_with("--")).collect();
    let statements = lines.join("\n");
    let statements = statements.split(";\n").map(|sql| sql.trim().trim_end_matches(';').to_owned());
    statements.filter(|sql| !sql.is_empty()).collect()
}

/// The text makes what `migrate` makes: definitions and records are the same.
#[tokio::test]
async fn the_script_creates_what_migrate_creates() {
    let (by_script, by_bridge) = (TestDatabase::of_this_test(), crate::second_database());
    let schema = Schema::new(&by_script.name).with_table_prefix("etb_").unwrap();
    let server = client(&by_script).with_database("default");
    let statements = statements_of(&schema.script(0));
    let [create_database, use_database, rest @ ..] = &statements[..] else { panic!("{statements:?}") };
    server.query_raw(create_database).execute().await.unwrap();
    assert_eq!(*use_database, schema.use_statement());
    for statement in rest {
        client(&by_script).query_raw(statement).execute().await.unwrap();
    }
    let options =
        |database: &TestDatabase| options(&database.writer_url()).with_table_prefix("etb_").unwrap();
    let scripted = ClickHouseStore::new(options(&by_script)).unwrap();
    assert!(scripted.pending_schema().await.unwrap().is_empty());
    scripted.migrate().await.unwrap();
    ClickHouseStore::new(options(&by_bridge)).unwrap().migrate().await.unwrap();
    let described = async |database: &TestDatabase| {
        let query = "SELECT replaceAll(create_table_query, currentDatabase(), '') FROM system.tables \
                     WHERE database = currentDatabase() ORDER BY name";
        let mut all: Vec<String> = client(database).query(query).fetch_all().await.unwrap();
        let ledger = "SELECT toString((number, checksum)) FROM etb_bridge_migrations FINAL ORDER BY number";
        all.extend(client(database).query(ledger).fetch_all::<String>().await.unwrap());
        all
    };
    assert_eq!(described(&by_script).await, described(&by_bridge).await);
}

#[tokio::test]
async fn what_is_pending_is_told_without_changing_anything() {
    let database = TestDatabase::of_this_test();
    let store = ClickHouseStore::new(options(&database.writer_url())).unwrap();
    let pending = store.pending_schema().await.unwrap();
    assert_eq!((pending.version, pending.migrations.last()), (0, Some(&Schema::VERSION)));
    assert!(pending.statements[0].starts_with("CREATE DATABASE"), "{:?}", pending.statements[0]);
    assert_eq!(store.pending_schema().await.unwrap(), pending);

    store.migrate().await.unwrap();
    let pending = store.pending_schema().await.unwrap();
    assert!(pending.is_empty() && pending.version == Schema::VERSION, "{pending:?}");

    client(&database)
        .query_raw("ALTER TABLE source_files DROP COLUMN rule_revision")
        .execute()
        .await
        .unwrap();
    let kept = options(&database.writer_url()).with_retention(Retention::For(Duration::from_hours(24)));
    let store = ClickHouseStore::new(kept).unwrap();
    let pending = store.pending_schema().await.unwrap();
    assert_eq!(pending.migrations, [4]);
    assert!(pending.statements.last().unwrap().contains("MODIFY TTL"), "{pending:?}");
    store.migrate().await.unwrap();
    assert!(store.pending_schema().await.unwrap().is_empty());
}

/// The rows that the schema before migration 5 held are converted by the bridge and by no statement.
#[tokio::test]
async fn an_upgrade_that_converts_rows_says_so() {
    let database = TestDatabase::of_this_test();
    let store = fresh().await;
    let forget = "ALTER TABLE bridge_migrations DELETE WHERE number >= 5 SETTINGS mutations_sync = 1";
    client(&database).query_raw(forget).execute().await.unwrap();
    let pending = store.pending_schema().await.unwrap();
    assert!(pending.converts_rows && pending.migrations.contains(&5), "{pending:?}");
    assert!(!pending.statements.iter().any(|sql| sql.contains("VALUES (5, ")), "{pending:?}");
    store.migrate().await.unwrap();
    assert!(store.pending_schema().await.unwrap().is_empty());
}

#[tokio::test]
async fn missing_tables_are_a_schema_error() {
    let store = ClickHouseStore::new(options(&TestDatabase::of_this_test().writer_url())).unwrap();
    let error = store.totals(&ResponseFilter::default()).await.unwrap_err();
    assert!(matches!(error, BridgeError::Storage { kind: StorageKind::Schema, .. }), "{error}");
}
