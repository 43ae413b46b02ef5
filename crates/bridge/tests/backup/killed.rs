//! A program that is killed while it exports.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, TokenStore};
use bridge::{
    Stopwatch,
    backup::{BackupPlace, ExportOptions},
};

use crate::backup::{bridge, fill, history, over};

const URL: &str = "BRIDGE_TEST_EXPORT_URL";
const FOLDER: &str = "BRIDGE_TEST_EXPORT_FOLDER";

/// Exports until it is killed.
#[tokio::test]
#[ignore = "not a test: the entry point of the program that the test below kills"]
async fn subprocess_exporting() {
    let (Ok(url), Some(folder)) = (std::env::var(URL), std::env::var_os(FOLDER)) else { return };
    let store: Arc<dyn TokenStore> =
        Arc::new(ClickHouseStore::new(ClickHouseOptions::from_url(&url).unwrap()).unwrap());
    let bridge = over(store, Path::new(&folder));
    let options = ExportOptions::to_folder(Path::new(&folder).join("backup"))
        .with_format(bridge::storage::BackupFormat::JsonLines);
    let _ = bridge.export_store(options).await.unwrap();
}

fn exporting(url: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backup::killed::subprocess_exporting", "--ignored"])
        .env(URL, url)
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_killed_export_never_passes_as_whole_or_blocks_the_next() {
    let (_, folder) = history(61);
    let (ours, database) = bridge("from", &folder.path().join("projects")).await;
    fill(&ours).await;
    let (backup, partial) = (folder.path().join("backup"), folder.path().join("backup.partial"));
    let mut killed = 0;
    for delay in [0, 2, 4, 8, 12, 16, 24, 32] {
        let mut program = exporting(&database.writer_url(), folder.path());
        let watch = Stopwatch::start();
        while !partial.exists() && !backup.exists() {
            assert!(watch.elapsed() < Duration::from_secs(30), "the export does not start");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(delay));
        program.kill().unwrap();
        program.wait().unwrap();
        if backup.exists() {
            let (empty, _) = bridge(&format!("whole_{delay}"), folder.path()).await;
            let import = empty.import_store(BackupPlace::Folder(backup.clone())).await.unwrap();
            assert!(import.equals_backup());
            fs::remove_dir_all(&backup).unwrap();
        } else {
            killed += 1;
        }
    }
    assert!(killed > 0, "every export completed before it was killed");
    // The next export also removes the leftovers of killed ones, even those of another folder.
    let other = folder.path().join("other");
    let _ = ours.export_store(ExportOptions::to_folder(&other)).await.unwrap();
    assert!(!partial.exists());
    let _ = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap();
    assert!(ours.import_store(BackupPlace::Folder(backup)).await.unwrap().equals_backup());
    assert!(!partial.exists());
}
