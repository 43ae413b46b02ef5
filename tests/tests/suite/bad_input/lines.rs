//! Damaged and oversize lines.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::sources::{GOOD_LINE, GOOD_TOKENS, dry_run};
use bridge_tests::program::backfill;

const LINE_BYTES: u64 = 1_000_000_000;

#[test]
fn damaged_lines_are_reported_and_the_rest_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let torn = &GOOD_LINE[..GOOD_LINE.len() - 2];
    let content = format!("{GOOD_LINE}\n{torn}\n// a comment\n\0\0\0\n\n{GOOD_LINE}{GOOD_LINE}\n{torn}");
    std::fs::write(folder.path().join("s.jsonl"), content).unwrap();
    let done = dry_run([folder.path()]);
    let json = done.json();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!((&json["total_tokens"], &json["responses"]), (&GOOD_TOKENS.into(), &1.into()));
    assert_eq!((&json["lines"], &json["bad_lines"]), (&6.into(), &3.into()));
    assert_eq!(json["receipt"]["damage"]["pending_lines"], 1);
    assert_eq!(json["receipt"]["assistant_lines"]["count"], 3);

    let table = backfill(["--dry-run", "--source"]).arg(folder.path()).run();
    assert!(table.stdout.contains("3 bad lines") && table.stdout.contains("1 pending lines"), "{table:?}");
}

/// Writes a file with a line of 1 GB between two valid ones. The line is sparse and needs no disk space.
fn write_huge_line(path: &Path) {
    let mut file = File::create(path).unwrap();
    write!(file, "{GOOD_LINE}\n{{\"type\":\"user\",\"message\":{{\"content\":\"").unwrap();
    file.seek(SeekFrom::Start(LINE_BYTES)).unwrap();
    write!(file, "\"}}}}\n{}\n", GOOD_LINE.replace("msg_01", "msg_02")).unwrap();
}

#[test]
fn a_1_gb_line_is_reported_without_buffering_it() {
    let folder = tempfile::tempdir().unwrap();
    write_huge_line(&folder.path().join("s.jsonl"));
    let done = dry_run([folder.path()]);
    let json = done.json();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!((&json["total_tokens"], &json["responses"]), (&(2 * GOOD_TOKENS).into(), &2.into()));
    assert_eq!((&json["lines"], &json["receipt"]["damage"]["oversize_lines"]), (&3.into(), &1.into()));
    assert!(json["bytes"].as_u64().unwrap() > LINE_BYTES);
    if cfg!(target_os = "linux") {
        // The limit for a line is 64 MiB.
        let peak = done.peak_memory_bytes;
        assert!((1 << 20..130_000_000).contains(&peak), "{peak} bytes");
    }
}

/// Values and snapshots of a line are processed one by one, not collected.
#[test]
fn millions_of_values_on_a_line_need_memory_only_for_the_line() {
    const LINE: usize = 6_000_000;
    let snapshot = r#"{"type":"assistant","message":{"id":"msg_01","usage":{"output_tokens":1}}}"#;
    for (value, repeats) in [("{}", LINE / 2), (snapshot, LINE / snapshot.len())] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("s.jsonl"), format!("{}\n{GOOD_LINE}\n", value.repeat(repeats)))
            .unwrap();
        let done = dry_run([folder.path()]);
        assert_eq!((done.code, &done.json()["bad_lines"]), (Some(0), &0.into()), "{done:?}");
        if cfg!(target_os = "linux") {
            let peak = done.peak_memory_bytes;
            assert!((1 << 20..45_000_000).contains(&peak), "{value}: {peak} bytes");
        }
    }
}
