//! No conversation text reaches the database, its files and logs, or the program's output.

use std::fs;
use std::path::Path;

use bridge_tests::{CanaryHistory, write_canary_history};
use serde_json::json;

use bridge_tests::program::backfill;

/// Collects the canaries in all files of the folder, with their paths.
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
fn no_conversation_text_reaches_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let history = write_canary_history(folder.path()).unwrap();
    let data = folder.path().join("data");
    for arguments in [&["--json"][..], &[], &["--strict", "--no-categories"]] {
        let run = backfill(arguments).arg("--data-dir").arg(&data).arg("--source").arg(&history.projects);
        let finished = run.run();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(CanaryHistory::canaries_in(finished.output()), [""; 0]);
        if arguments == ["--json"] {
            assert_eq!(finished.json()["stored_total_tokens"], json!(CanaryHistory::TOKENS));
        }
        // Checks the engine's logs and data parts, while the engine may still be running.
        let mut found = Vec::new();
        canaries_below(&data, &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
