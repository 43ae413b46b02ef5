//! Backups written by the server itself.

use bridge::storage::ServerPlace;
use bridge::{
    BridgeError, EnhancedTokenDatabaseBridge, StorageKind,
    backup::{BackupPlace, ExportOptions},
};

use crate::backup::{bridge, fill, hash, history};

fn file(name: &str) -> ServerPlace {
    ServerPlace::File(name.to_owned())
}

async fn refusal(bridge: &EnhancedTokenDatabaseBridge, place: ServerPlace, expected: StorageKind) -> String {
    let error = bridge.export_store(ExportOptions::on_server(place)).await.unwrap_err();
    assert!(matches!(&error, BridgeError::Storage { kind, .. } if *kind == expected), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_server_backup_restores_into_another_database() {
    let (_, folder) = history(51);
    let projects = folder.path().join("projects");
    let (ours, from) = bridge("from", &projects).await;
    let (theirs, to) = bridge("to", &projects).await;
    fill(&ours).await;
    let place = file("it's a backup");
    let export = ours.export_store(ExportOptions::on_server(place.clone())).await.unwrap();
    for _ in 0..2 {
        let import = theirs.import_store(BackupPlace::Server(place.clone())).await.unwrap();
        assert!(import.equals_backup(), "{import:?}");
        assert_eq!(import.summary, export.summary);
        for table in ["token_usage", "source_files"] {
            assert_eq!(hash(&to, table).await, hash(&from, table).await, "{table}");
        }
    }
    let message = refusal(&ours, place, StorageKind::Other).await;
    assert!(message.contains("already exists"), "{message}");
}

#[tokio::test]
async fn a_refused_server_backup_names_the_setting() {
    let (_, folder) = history(52);
    let (ours, _) = bridge("from", &folder.path().join("projects")).await;
    let message = refusal(&ours, file("/etc/backup"), StorageKind::Unsupported).await;
    assert!(message.contains("backups.allowed_path"), "{message}");
    let disk = ServerPlace::Disk { disk: "none".to_owned(), path: "x".to_owned() };
    let message = refusal(&ours, disk, StorageKind::Unsupported).await;
    assert!(message.contains("backups.allowed_disk"), "{message}");
    let error = ours.import_store(BackupPlace::Server(file("nonexistent"))).await.unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}");
}
