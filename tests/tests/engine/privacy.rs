//! No conversation text reaches the database, its files and logs, or what the program shows.

use std::fs;
use std::path::Path;

use bridge_tests::{CanaryHistory, canary_history};
use serde_json::json;

use bridge_tests::program::backfill;

/// Every canary in every file below the folder, with the file.
fn canaries_below(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            canaries_below(&path, found);
        } else {
            let content = fs::read(&path).unwrap_or_default();
            found
                .extend(CanaryHistory::canaries_in(content).iter().map(|name| format!("{name} in {path:?}")));
        }
    }
}

#[test]
fn no_text_of_a_conversation_reaches_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let history = canary_history(folder.path()).unwrap();
    let data = folder.path().join("data");
    for arguments in [&["--json"][..], &[], &["--strict", "--no-categories"]] {
        let run = backfill(arguments).arg("--data-dir").arg(&data).arg("--source").arg(&history.projects);
        let finished = run.run();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(CanaryHistory::canaries_in(finished.output()), [""; 0]);
        if arguments == ["--json"] {
            assert_eq!(finished.json()["stored_total_tokens"], json!(CanaryHistory::TOKENS));
        }
        // The engine's files, its logs and its parts; they are read while it may still run and after.
        let mut found = Vec::new();
        canaries_below(&data, &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
