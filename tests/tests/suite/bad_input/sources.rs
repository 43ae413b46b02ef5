//! Unreadable sources.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use bridge_tests::program::{Finished, backfill};
use bridge_tests::workspace;

pub(super) const GOOD_LINE: &str = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{"id":"msg_01ABCDEFGHIJKLMNOPQRSTUV","stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":32}}}"#;
pub(super) const GOOD_TOKENS: u64 = 42;

/// Returns the sample history that comes with the project.
pub(super) fn sample() -> PathBuf {
    workspace::root().join("examples/sample")
}

/// Runs a dry run over these sources with JSON output.
pub(super) fn dry_run<P: AsRef<OsStr>>(sources: impl IntoIterator<Item = P>) -> Finished {
    let run = backfill(["--dry-run", "--json"]);
    sources.into_iter().fold(run, |run, source| run.arg("--source").arg(source)).run()
}

fn write_good(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("good.jsonl"), format!("{GOOD_LINE}\n")).unwrap();
}

/// Asserts a partial success: stderr and JSON report these paths, and the valid file is counted.
fn assert_reported_and_rest_counted(done: &Finished, paths: &[&Path]) {
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
fn missing_sources_and_non_folders_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let [good, missing, notes] = ["good", "missing", "notes.txt"].map(|name| folder.path().join(name));
    write_good(&good);
    fs::write(&notes, GOOD_LINE).unwrap();
    let done = dry_run([&good, &missing, &notes]);
    assert_reported_and_rest_counted(&done, &[&missing, &notes]);
}

/// Uses broken links, because tests may run as root, which ignores file permissions.
#[cfg(unix)]
#[test]
fn unreadable_files_are_reported() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    write_good(folder.path());
    let [dangling, circle] = ["dangling.jsonl", "circle.jsonl"].map(|name| folder.path().join(name));
    symlink("nowhere.jsonl", &dangling).unwrap();
    symlink("circle.jsonl", &circle).unwrap();
    assert_reported_and_rest_counted(&dry_run([folder.path()]), &[&dangling, &circle]);
}

#[cfg(target_os = "linux")]
#[test]
fn read_errors_are_reported_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    write_good(folder.path());
    let broken = folder.path().join("broken.jsonl");
    // The process's memory opens like a file, but reading its first page fails.
    std::os::unix::fs::symlink("/proc/self/mem", &broken).unwrap();
    assert_reported_and_rest_counted(&dry_run([folder.path()]), &[&broken]);
}

#[test]
fn folders_named_like_transcripts_are_searched() {
    let folder = tempfile::tempdir().unwrap();
    write_good(&folder.path().join("folder.jsonl"));
    let done = dry_run([folder.path()]);
    assert_eq!((done.code, &done.json()["total_tokens"]), (Some(0), &GOOD_TOKENS.into()), "{done:?}");
}

#[cfg(unix)]
#[test]
fn special_files_do_not_block_the_run() {
    let folder = tempfile::tempdir().unwrap();
    write_good(folder.path());
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket.jsonl")).unwrap();
    let done = dry_run([folder.path()]);
    assert_eq!((done.code, &done.json()["total_tokens"]), (Some(0), &GOOD_TOKENS.into()), "{done:?}");
}

/// At most 400 bytes per file, for its path and its response, in addition to the memory for a small history.
#[test]
fn memory_for_100_000_files_is_limited_to_their_paths() {
    const FILES: u64 = 100_000;
    /// Files that have been read and wait for a thread, when other programs take the processors.
    const IN_FLIGHT: u64 = 16 << 20;
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
        assert!(
            (1 << 20..small + 400 * FILES + IN_FLIGHT).contains(&peak),
            "{peak} bytes, a small history {small}"
        );
    }
}

#[test]
fn a_folder_without_transcripts_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let [good, empty] = ["good", "empty"].map(|name| folder.path().join(name));
    write_good(&good);
    fs::create_dir(&empty).unwrap();
    let done = dry_run([&empty]);
    assert_eq!((done.code, &done.json()["files"]), (Some(0), &0.into()), "{done:?}");
    assert!(done.stderr.contains(&*empty.to_string_lossy()), "{done:?}");
    assert_eq!(dry_run([&good]).stderr, "");
}
