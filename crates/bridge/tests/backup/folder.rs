//! Export to a folder and import into another database.

use std::fs;

use bridge::storage::{BackupFormat, InMemoryStore, ResponseFilter, UpsertOptions};
use bridge::{
    AuditFilter, BridgeError, OperationName, StorageKind, SyncOptions, SyncStatus,
    backup::{BackupPlace, ExportOptions},
};
use std::sync::Arc;

use crate::backup::{bridge, fill, hash, history, over};

#[tokio::test]
async fn an_import_into_an_empty_store_reproduces_the_export() {
    let (_, folder) = history(11);
    let projects = folder.path().join("projects");
    let (ours, from) = bridge("from", &projects).await;
    let (theirs, to) = bridge("to", &projects).await;
    fill(&ours).await;
    for format in [BackupFormat::Parquet, BackupFormat::JsonLines] {
        let backup = folder.path().join(format.extension());
        let export = ours.export_store(ExportOptions::to_folder(&backup).with_format(format)).await.unwrap();
        let import = theirs.import_store(BackupPlace::Folder(backup.clone())).await.unwrap();
        assert!(import.equals_backup(), "{import:?}");
        assert_eq!((import.summary, import.bytes), (export.summary, export.bytes));
        for table in ["token_usage", "source_files"] {
            assert_eq!(hash(&to, table).await, hash(&from, table).await, "{table}");
        }
        let names: Vec<_> = fs::read_dir(&backup).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 4, "three tables with rows, and the manifest: {names:?}");
    }
    // No file is read again, because the cursors were imported with the rows.
    let synced = theirs.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    assert!(!synced.is_empty());
    for session in &synced {
        assert_eq!((&session.status, session.bytes_read), (&SyncStatus::Unchanged, 0), "{session:?}");
    }
    // Each database audits its own operation only.
    let audit = ours.audit_log(&AuditFilter::default()).await.unwrap();
    assert_eq!(audit[0].operation.as_str(), "export_store");
}

#[tokio::test]
async fn a_store_without_backups_reports_unsupported() {
    let folder = tempfile::tempdir().unwrap();
    let memory = over(Arc::new(InMemoryStore::default()), folder.path());
    let backup = folder.path().join("backup");
    let export = memory.export_store(ExportOptions::to_folder(&backup)).await.unwrap_err();
    let import = memory.import_store(BackupPlace::Folder(backup)).await.unwrap_err();
    for error in [export, import] {
        assert!(
            matches!(error, BridgeError::Storage { kind: StorageKind::Unsupported, .. }),
            "unexpected {error:?}"
        );
    }
}

#[tokio::test]
async fn an_import_audits_the_rows_it_added() {
    let (_, folder) = history(15);
    let projects = folder.path().join("projects");
    let (ours, _) = bridge("from", &projects).await;
    let (theirs, _) = bridge("to", &projects).await;
    fill(&ours).await;
    let rows = ours.token_store().responses(&ResponseFilter::default()).await.unwrap();
    theirs.token_store().upsert(&rows[..2], &UpsertOptions::default()).await.unwrap();
    let backup = folder.path().join("backup");
    let _ = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap();
    let _ = theirs.import_store(BackupPlace::Folder(backup)).await.unwrap();
    let filter = AuditFilter::default().with_operation(OperationName::new("import_store").unwrap());
    let records = theirs.audit_log(&filter).await.unwrap();
    let added = &rows[2..];
    let tokens: u64 = added.iter().map(|row| row.counts.total()).sum();
    assert_eq!((records[0].records_stored, records[0].tokens_written), (added.len() as u64, tokens));
}

#[tokio::test]
async fn an_export_removes_only_leftovers_of_killed_exports() {
    let (_, folder) = history(13);
    let (ours, _) = bridge("from", &folder.path().join("projects")).await;
    fill(&ours).await;
    let (backup, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("lock"), "").unwrap();
    fs::write(partial.join("token_usage-00000.parquet"), "half a part").unwrap();
    let error = ours.import_store(BackupPlace::Folder(partial.clone())).await.unwrap_err();
    assert!(error.to_string().contains("or an incomplete one"), "{error}");

    fs::write(partial.join("thesis.tex"), "dear reader").unwrap();
    let error = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap_err();
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    fs::remove_file(partial.join("thesis.tex")).unwrap();

    let _ = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap();
    assert!(!partial.exists());
    assert!(ours.import_store(BackupPlace::Folder(backup.clone())).await.unwrap().equals_backup());
    let error = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap_err();
    assert!(error.to_string().contains("not overwritten"), "{error}");
}

/// A running export locks its folder; a cancelled one removes its partial files.
#[tokio::test]
async fn a_cancelled_export_leaves_nothing() {
    let (_, folder) = history(14);
    let (ours, _) = bridge("from", &folder.path().join("projects")).await;
    fill(&ours).await;
    let (backup, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
    let options = ExportOptions::to_folder(&backup);
    let mut export = Box::pin(ours.export_store(options.clone()));
    let watch = bridge::Stopwatch::start();
    while !partial.join("lock").exists() {
        assert!(watch.elapsed().as_secs() < 30, "the export does not start");
        let _ = tokio::time::timeout(std::time::Duration::from_millis(1), &mut export).await;
    }
    let error = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap_err();
    assert!(
        matches!(&error, BridgeError::Backup { message, .. } if message.contains("another export")),
        "{error}"
    );
    drop(export);
    while partial.exists() {
        assert!(watch.elapsed().as_secs() < 30, "the partial export is not removed");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(!backup.exists());
    let _ = ours.export_store(options).await.unwrap();
    assert!(ours.token_store().totals(&ResponseFilter::default()).await.unwrap().responses > 0);
}
