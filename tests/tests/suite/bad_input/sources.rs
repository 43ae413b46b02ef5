//! Sources that cannot be read.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use bridge_tests::program::{Finished, backfill};
use bridge_tests::workspace;

pub(super) const GOOD_LINE: &str = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{"id":"msg_01ABCDEFGHIJKLMNOPQRSTUV","stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":32}}}"#;
pub(super) const GOOD_TOKENS: u64 = 42;

/// The small history that comes with the project.
pub(super) fn sample() -> PathBuf {
    workspace::root().join("examples/sample")
}

/// An analysis of these sources, with JSON to show for it.
pub(super) fn dry_run<P: AsRef<OsStr>>(sources: impl IntoIterator<Item = P>) -> Finished {
    let run = backfill(["--dry-run", "--json"]);
    sources.into_iter().fold(run, |run, source| run.arg("--source").arg(source)).run()
}

fn write_good(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("good.jsonl"), format!("{GOOD_LINE}\n")).unwrap();
}

/// The job is not done: these paths are named, as text and in the JSON, and the good file is counted.
fn assert_named_and_the_rest_counted(done: &Finished, paths: &[&Path]) {
    assert_eq!(done.code, Some(1), "{done:?}");
    let json = done.json();
    let errors = json["errors"].as_array().unwrap();
    assert_eq!(errors.len(), paths.len(), "{errors:?}");
    for path in paths {
        let path = path.to_str().unwrap();
        assert!(errors.iter().any(|error| error.as_str().unwrap().contains(path)), "{path} in {errors:?}");
        assert!(
            done.stderr.lines().any(|line| line.starts_with("error: ") && line.contains(path)),
            "{done:?}"
        );
    }
    assert_eq!((&json["total_tokens"], &json["files"]), (&GOOD_TOKENS.into(), &1.into()));
}

#[test]
fn a_source_that_is_missing_or_no_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let [good, missing, notes] = ["good", "missing", "notes.txt"].map(|name| folder.path().join(name));
    write_good(&good);
    fs::write(&notes, GOOD_LINE).unwrap();
    let done = dry_run([&good, &missing, &notes]);
    assert_named_and_the_rest_counted(&done, &[&missing, &notes]);
}

/// The tests may run as root, who may read every file; so these cannot be opened, or not be read.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_named() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    write_good(folder.path());
    let [dangling, circle] = ["dangling.jsonl", "circle.jsonl"].map(|name| folder.path().join(name));
    symlink("nowhere.jsonl", &dangling).unwrap();
    symlink("circle.jsonl", &circle).unwrap();
    assert_named_and_the_rest_counted(&dry_run([folder.path()]), &[&dangling, &circle]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_whose_reading_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_good(folder.path());
    let broken = folder.path().join("broken.jsonl");
    // A process' memory opens like a file, and its first page cannot be read.
    std::os::unix::fs::symlink("/proc/self/mem", &broken).unwrap();
    assert_named_and_the_rest_counted(&dry_run([folder.path()]), &[&broken]);
}

#[test]
fn a_folder_that_is_named_like_a_transcript_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    write_good(&folder.path().join("folder.jsonl"));
    let done = dry_run([folder.path()]);
    assert_eq!((done.code, &done.json()["total_tokens"]), (Some(0), &GOOD_TOKENS.into()), "{done:?}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    write_good(folder.path());
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket.jsonl")).unwrap();
    let done = dry_run([folder.path()]);
    assert_eq!((done.code, &done.json()["total_tokens"]), (Some(0), &GOOD_TOKENS.into()), "{done:?}");
}

/// Under 400 bytes a file, for its path and its response, beside what a small history takes.
#[test]
fn a_hundred_thousand_files_take_memory_for_their_paths_only() {
    const FILES: u64 = 100_000;
    let small = tempfile::tempdir().unwrap();
    write_good(small.path());
    let small = dry_run([small.path()]).peak_memory_bytes;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        let below = folder.path().join((number / 1000).to_string());
        fs::create_dir_all(&below).unwrap();
        let line = GOOD_LINE.replace("msg_01", &format!("msg_{number:06}"));
        fs::write(below.join(format!("{number}.jsonl")), line + "\n").unwrap();
    }
    let done = dry_run([folder.path()]);
    let json = done.json();
    assert_eq!((&json["files"], &json["responses"]), (&FILES.into(), &FILES.into()));
    if cfg!(target_os = "linux") {
        let peak = done.peak_memory_bytes;
        assert!((1 << 20..small + 400 * FILES).contains(&peak), "{peak} bytes, a small history {small}");
    }
}

#[test]
fn a_folder_without_transcripts_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let [good, empty] = ["good", "empty"].map(|name| folder.path().join(name));
    write_good(&good);
    fs::create_dir(&empty).unwrap();
    let done = dry_run([&empty]);
    assert_eq!((done.code, &done.json()["files"]), (Some(0), &0.into()), "{done:?}");
    assert!(done.stderr.contains(&*empty.to_string_lossy()), "{done:?}");
    assert_eq!(dry_run([&good]).stderr, "");
}
