//! Tables of another application under the names of the bridge's tables.

use bridge_storage::{ClickHouseStore, TokenStore};
use bridge_testkit::engine::TestDatabase;

use crate::{client, options};

#[tokio::test]
async fn a_foreign_table_is_reported_and_nothing_is_changed() {
    let database = TestDatabase::of_this_test();
    let in_default = client(&database).with_database("default");
    in_default.query(&format!("CREATE DATABASE {}", database.name)).execute().await.unwrap();
    let client = client(&database);
    client
        .query("CREATE TABLE source_files (path String, tokens UInt64) ENGINE = MergeTree ORDER BY path")
        .execute()
        .await
        .unwrap();
    let error = ClickHouseStore::new(options(&database.writer_url())).unwrap().migrate().await.unwrap_err();
    let text = error.to_string();
    assert!(
        ["`source_files`", "`host`", "clickhouse.table_prefix"].iter().all(|word| text.contains(word)),
        "{text}"
    );
    let tables = "SELECT name FROM system.tables WHERE database = currentDatabase()";
    let tables: Vec<String> = client.query(tables).fetch_all().await.unwrap();
    assert_eq!(tables, ["source_files"]);
    let prefixed = options(&database.writer_url()).with_table_prefix("etb_").unwrap();
    ClickHouseStore::new(prefixed).unwrap().migrate().await.unwrap();
}

#[tokio::test]
async fn a_migration_recorded_but_not_applied_is_repeated() {
    let database = TestDatabase::of_this_test();
    let store = ClickHouseStore::new(options(&database.writer_url())).unwrap();
    store.migrate().await.unwrap();
    let client = client(&database);
    client.query("ALTER TABLE source_files DROP COLUMN epoch").execute().await.unwrap();
    store.migrate().await.unwrap();
    client.query("SELECT epoch FROM source_files").fetch_all::<u32>().await.unwrap();
}
