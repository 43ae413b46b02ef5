//! Damaged backups and full disks.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use bridge::storage::{ResponseFilter, StoreTotals};
use bridge::{
    BridgeError, EnhancedTokenDatabaseBridge,
    backup::{BackupPlace, ExportOptions},
};

use crate::backup::{bridge, fill, history};

/// Asserts that the import is refused with a message that contains these words, and that nothing is stored.
async fn assert_refused(bridge: &EnhancedTokenDatabaseBridge, backup: &Path, words: &str) {
    let error = bridge.import_store(BackupPlace::Folder(backup.to_owned())).await.unwrap_err();
    assert!(matches!(error, BridgeError::Backup { .. }), "{error:?}");
    assert!(error.to_string().contains(words), "{error} does not mention {words:?}");
    let totals = bridge.token_store().totals(&ResponseFilter::default()).await.unwrap();
    assert_eq!(totals, StoreTotals::default(), "after: {error}");
}

#[tokio::test]
async fn a_damaged_backup_is_refused_before_anything_is_stored() {
    let (_, folder) = history(21);
    let (ours, _) = bridge("from", &folder.path().join("projects")).await;
    let (theirs, _) = bridge("to", folder.path()).await;
    fill(&ours).await;
    let backup = folder.path().join("backup");
    let _ = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap();

    for entry in fs::read_dir(&backup).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let word = if name == "manifest.json" { "manifest" } else { name.as_str() };
        let whole = fs::read(&path).unwrap();
        for sixteenth in 0..=16 {
            let mut damaged = whole.clone();
            let place = (whole.len() - 1) * sixteenth / 16;
            damaged[place] ^= 0x01;
            fs::write(&path, damaged).unwrap();
            assert_refused(&theirs, &backup, word).await;
        }
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_refused(&theirs, &backup, word).await;
        }
        fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
        assert_refused(&theirs, &backup, word).await;
        fs::remove_file(&path).unwrap();
        assert_refused(&theirs, &backup, word).await;
        fs::write(&path, whole).unwrap();
    }
    assert!(theirs.import_store(BackupPlace::Folder(backup)).await.unwrap().equals_backup());
}

#[tokio::test]
async fn a_backup_of_a_newer_version_is_refused_with_the_reason() {
    let (_, folder) = history(22);
    let (ours, _) = bridge("from", &folder.path().join("projects")).await;
    let (theirs, _) = bridge("to", folder.path()).await;
    fill(&ours).await;
    let backup = folder.path().join("backup");
    let _ = ours.export_store(ExportOptions::to_folder(&backup)).await.unwrap();
    let path = backup.join("manifest.json");
    let written = fs::read_to_string(&path).unwrap();
    let schema = format!("\"schema\": {}", ours.token_store().backup().unwrap().schema());
    for (now, then, words) in [
        ("\"layout\": 1", "\"layout\": 2", "layout 2"),
        (&*schema, "\"schema\": 400", "schema 400"),
        // A part that is missing from the manifest.
        (
            "\"table\": \"source_files\",\n      \"rows\": ",
            "\"table\": \"source_files\",\n      \"rows\": 1",
            "rows of source_files",
        ),
        ("\"file\": \"token_usage-", "\"file\": \"../token_usage-", "not a file of a backup"),
    ] {
        assert!(written.contains(now), "{now} in {written}");
        fs::write(&path, sealed(&written.replacen(now, then, 1))).unwrap();
        assert_refused(&theirs, &backup, words).await;
    }
    fs::write(&path, sealed(&written)).unwrap();
    assert!(theirs.import_store(BackupPlace::Folder(backup)).await.unwrap().equals_backup());
}

/// The manifest with its correct checksum.
pub(super) fn sealed(json: &str) -> String {
    let body = json.split_once("\"manifest\": ").unwrap().1.trim_end().strip_suffix('}').unwrap().trim_end();
    let sum = xxhash_rust::xxh3::xxh3_128(body.as_bytes());
    format!("{{\"xxh3\": \"{sum:032x}\", \"manifest\": {body}}}")
}

/// Needs the right to mount a small file system; without it the test is skipped.
#[tokio::test]
async fn an_export_to_a_full_disk_fails_and_leaves_nothing() {
    let (_, folder) = history(23);
    let (ours, _) = bridge("from", &folder.path().join("projects")).await;
    fill(&ours).await;
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        return;
    }
    let outcome = ours.export_store(ExportOptions::to_folder(disk.join("backup"))).await;
    let left = fs::read_dir(&disk).unwrap().count();
    assert!(Command::new("umount").arg("--lazy").arg(&disk).status().unwrap().success());
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, BridgeError::Backup { message, .. } if message == "the disk is full"),
        "{error:?}"
    );
    assert_eq!(left, 0);
}
