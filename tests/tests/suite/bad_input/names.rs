//! Names with terminal control characters or invalid UTF-8.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::sources::{GOOD_LINE, GOOD_TOKENS};
use bridge_tests::program::{Finished, backfill};

const HOSTILE: &str = "a\u{1b}[31m\u{7}\r\u{202e}\u{9b}b";

fn is_raw(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn assert_readable(done: &Finished, code: i32) {
    assert_eq!(done.code, Some(code), "{done:?}");
    let raw: Vec<char> = done.output().chars().filter(|c| is_raw(*c)).collect();
    assert!(raw.is_empty(), "{raw:?} in {done:?}");
}

fn run(folder: &Path, arguments: &[&str]) -> Finished {
    backfill(["--dry-run", "--source"]).arg(folder).args(arguments).run()
}

#[test]
fn non_utf8_file_names_of_damaged_lines_are_escaped_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"\xff(bad.jsonl"));
    fs::write(path, format!("{GOOD_LINE}\n{{no\n")).unwrap();
    let done = run(folder.path(), &["--json"]);
    let json = done.json();
    assert_eq!((done.code, &json["total_tokens"]), (Some(0), &GOOD_TOKENS.into()), "{done:?}");
    let shown = json["damaged_lines"][0]["path"].as_str().unwrap();
    assert!(shown.ends_with(r"/\xff(bad.jsonl"), "{shown}");
    assert!(run(folder.path(), &[]).stderr.contains(r"\xff(bad.jsonl:2"));
}

#[test]
fn names_of_files_models_and_projects_are_escaped_in_output() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join(HOSTILE);
    fs::create_dir(&project).unwrap();
    let name = serde_json::to_string(HOSTILE).unwrap();
    let named = GOOD_LINE
        .replace(r#""message":{"#, &format!(r#""cwd":{name},"message":{{"model":{name},"#))
        .replace(r#""sessionId":"s""#, &format!(r#""sessionId":{name}"#));
    fs::write(project.join(format!("{HOSTILE}.jsonl")), format!("{named}\n{{no\n")).unwrap();
    std::os::unix::fs::symlink("nowhere", project.join(format!("{HOSTILE}\n.jsonl"))).unwrap();
    let shown = r"a\u{1b}[31m\u{7}\r\u{202e}\u{9b}b";
    let done = run(folder.path(), &[]);
    assert_readable(&done, 1);
    assert_eq!(done.stdout.matches(shown).count(), 3, "model, unpriced model and project: {done:?}");
    assert!(done.stderr.contains(&format!("{shown}.jsonl:2")), "the damaged line: {done:?}");
    assert!(done.stderr.contains(&format!(r"{shown}\n.jsonl cannot be read")), "the link: {done:?}");
    // JSON escapes keep the original name for programs.
    let done = run(folder.path(), &["--json"]);
    assert_readable(&done, 1);
    assert!(done.json()["damaged_lines"][0]["path"].as_str().unwrap().ends_with(&format!("{HOSTILE}.jsonl")));
    let missing = folder.path().join(format!("{HOSTILE}missing"));
    assert_readable(&run(&missing, &[]), 1);
    assert_readable(&run(folder.path(), &["--since", HOSTILE]), 2);
}
