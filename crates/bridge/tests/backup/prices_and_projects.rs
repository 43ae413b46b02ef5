//! Price lists and the records of projects, which no transcript can bring back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bridge::pricing::Catalog;
use bridge::storage::{DashboardData, DashboardFilter, Dimension, GroupPage, ServerPlace};
use bridge::{
    EnhancedTokenDatabaseBridge, Timestamp,
    backup::{BackupPlace, ExportOptions},
    projects::ProjectRecord,
};
use bridge_testkit::engine::{TestDatabase, engine};

use crate::backup::damaged::sealed;
use crate::backup::{bridge, fill, hash, history};

const NEW_TABLES: [&str; 2] = ["token_prices", "project_names"];

/// Puts the shipped prices in use, and renames the first project.
async fn price_and_rename(bridge: &EnhancedTokenDatabaseBridge) {
    let (store, catalog) = (bridge.token_store(), Catalog::shipped());
    let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let prices: Vec<_> = catalog.rows().collect();
    store.prices().unwrap().use_prices(&catalog.digest().to_string(), &prices, now).await.unwrap();
    let projects = store.projects().unwrap();
    let name = projects.recorded_projects(&Default::default()).await.unwrap().remove(0);
    let current = "/renamed/it's".parse().unwrap();
    let group = "a group".parse().ok();
    let renamed = ProjectRecord { current, group, ..ProjectRecord::new(name, now) };
    projects.put_project_records(&[renamed]).await.unwrap();
}

async fn dashboard(bridge: &EnhancedTokenDatabaseBridge) -> DashboardData {
    let mut filter = DashboardFilter::default();
    filter.cost = true;
    for dimension in [Dimension::Project, Dimension::ProjectGroup, Dimension::Model] {
        filter = filter.with_breakdown(dimension, GroupPage::default());
    }
    bridge.token_store().dashboard(&filter).await.unwrap()
}

#[tokio::test]
async fn an_import_gives_the_costs_and_projects_of_the_original() {
    let (_, folder) = history(61);
    let projects = folder.path().join("projects");
    let (ours, from) = bridge("from", &projects).await;
    fill(&ours).await;
    price_and_rename(&ours).await;
    let original = dashboard(&ours).await;
    assert!(original.totals.cost.as_ref().is_some_and(|cost| cost.amount.attodollars() > 0));
    assert!(original.breakdowns[&Dimension::Project].rows.iter().any(|row| row.name == "/renamed/it's"));

    let (path, on_server) = (folder.path().join("backup"), ServerPlace::File("with prices".to_owned()));
    for (number, place) in [BackupPlace::Folder(path), BackupPlace::Server(on_server)].into_iter().enumerate()
    {
        let _ = ours.export_store(ExportOptions::to(place.clone())).await.unwrap();
        let (theirs, to) = bridge(&format!("to_{number}"), &projects).await;
        for _ in 0..2 {
            assert!(theirs.import_store(place.clone()).await.unwrap().equals_backup());
            assert_eq!(dashboard(&theirs).await, original, "{place:?}");
            for table in NEW_TABLES {
                assert_eq!(hash(&to, table).await, hash(&from, table).await, "{table}");
            }
        }
    }
}

#[tokio::test]
async fn a_backup_of_an_earlier_version_is_imported() {
    let (_, folder) = history(62);
    let projects = folder.path().join("projects");
    let (ours, from) = bridge("from", &projects).await;
    fill(&ours).await;
    let path = folder.path().join("backup");
    let _ = ours.export_store(ExportOptions::to_folder(&path)).await.unwrap();
    without_new_tables(&path.join("manifest.json"));
    back_up_without_new_tables(&from, "earlier").await;
    let on_server = ServerPlace::File("earlier".to_owned());
    for (number, place) in [BackupPlace::Folder(path), BackupPlace::Server(on_server)].into_iter().enumerate()
    {
        let (theirs, to) = bridge(&format!("to_{number}"), &projects).await;
        let import = theirs.import_store(place.clone()).await.unwrap();
        assert!(import.equals_backup(), "{import:?}");
        assert_eq!(import.summary.tables.len(), 3, "{place:?}");
        assert_eq!(hash(&to, "token_usage").await, hash(&from, "token_usage").await);
    }
}

/// Makes the manifest one of an earlier version, which knew three tables.
fn without_new_tables(path: &Path) {
    let written: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut manifest = written["manifest"].clone();
    let tables = manifest["figures"]["tables"].as_array_mut().unwrap();
    assert_eq!(tables.len(), 3 + NEW_TABLES.len());
    tables.retain(|table| !NEW_TABLES.contains(&table["table"].as_str().unwrap()));
    fs::write(path, sealed(&format!("{{\"manifest\": {manifest}}}"))).unwrap();
}

/// Makes the server write a backup as an earlier version did.
async fn back_up_without_new_tables(database: &TestDatabase, place: &str) {
    let writer = &engine().endpoint().writer;
    let client = clickhouse::Client::default()
        .with_url(format!("http://{}", database.host()))
        .with_user(&writer.user)
        .with_password(&writer.password)
        .with_database(&database.name)
        .with_setting("session_id", &database.name);
    let mut names = Vec::new();
    for table in ["token_usage", "source_files", "bridge_audit"] {
        let query = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = ?";
        let engine: String = client.query(query).bind(table).fetch_one().await.unwrap();
        let (engine, _) = engine.split_once(" SETTINGS ").unwrap();
        let copy = format!("CREATE TEMPORARY TABLE backup_{table} AS {table} ENGINE = {engine}");
        client.query(&copy).execute().await.unwrap();
        let rows = format!("INSERT INTO backup_{table} SELECT * FROM {table}");
        client.query(&rows).execute().await.unwrap();
        names.push(format!("TEMPORARY TABLE backup_{table}"));
    }
    let epoch = "CREATE TEMPORARY TABLE backup_epoch (epoch UInt32) ENGINE = MergeTree ORDER BY epoch";
    client.query(epoch).execute().await.unwrap();
    client.query("INSERT INTO backup_epoch VALUES (0)").execute().await.unwrap();
    let statement = format!("BACKUP {}, TEMPORARY TABLE backup_epoch TO File('{place}')", names.join(", "));
    client.query(&statement).execute().await.unwrap();
}
