//! Transcripts that the client is about to delete and that a run did not store.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use bridge_core::{Clock, SystemClock};
use serde_json::json;

use super::sources::{GOOD_LINE, GOOD_TOKENS};
use bridge_tests::program::backfill;

#[test]
fn what_will_be_deleted_and_is_not_stored_is_reported_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("projects/-p/old.jsonl");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let run = |days: u64, arguments: &[&str]| {
        fs::write(&path, format!("{GOOD_LINE}\n")).unwrap();
        let now = Duration::from_millis(SystemClock.now().as_millis().unsigned_abs());
        let modified = SystemTime::UNIX_EPOCH + now - Duration::from_hours(24 * days);
        File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        let done = backfill(["--dry-run", "--source"]).arg(folder.path()).args(arguments).run();
        assert_eq!(done.code, Some(0), "{done:?}");
        done
    };
    let text = run(28, &[]).stdout;
    assert!(text.contains("\nWithin 7 days the client may delete 1 transcript with"), "{text}");
    assert!(text.lines().last().unwrap().ends_with("projects/-p/old.jsonl"), "{text}");
    let soon = run(28, &["--json"]).json();
    assert_eq!((&soon["total_tokens"], &soon["expiring"]["within_days"]), (&json!(GOOD_TOKENS), &json!(7)));
    assert_eq!(soon["expiring"]["unstored"].as_array().map(Vec::len), Some(1));
    assert_eq!(run(1, &["--json"]).json().get("expiring"), None);
    assert!(!run(1, &[]).stdout.contains("Within"));
}
