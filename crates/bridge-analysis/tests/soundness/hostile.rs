//! Single hostile files.

use bridge_analysis::{AnalysisProgress, AnalyzerOptions, History, analyze_files};
use bridge_testkit::reference::ReferenceFile;

use crate::comparison::{analyze, compare, write};

const USAGE: &str = r#""usage":{"input_tokens":1,"output_tokens":2}"#;

fn check(content: impl Into<Vec<u8>>, change: impl Fn(&mut AnalyzerOptions)) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let files = [ReferenceFile::new("p/s.jsonl", 1_770_000_000_000, content)];
    let sources = write(folder.path(), &files);
    let mut options = AnalyzerOptions::default();
    change(&mut options);
    compare(&analyze(&sources, &options), &files, &options).total
}

fn record(id: u32, time: &str, text: &str) -> String {
    format!(
        r#"{{"type":"assistant","timestamp":"{time}","message":{{"id":"msg_0123456789abcdef{id:06}","content":"{text}",{USAGE}}}}}"#
    )
}

#[test]
fn a_line_longer_than_many_parts() {
    let long = "x".repeat(700_000);
    let content =
        [record(1, "", "a"), record(2, "", &long), record(3, "", "b"), record(4, "", &long)].join("\n");
    for limit in [100_000, 64 << 20] {
        let total = check(content.as_bytes(), |options| {
            options.part_bytes = 10_000;
            options.block_bytes = 4096;
            options.line_bytes_max = limit;
        });
        assert_eq!(total, if limit == 100_000 { 6 } else { 12 });
    }
}

#[test]
fn a_missing_time_is_found_however_far_back_it_stands() {
    let filler = format!("{{\"type\":\"user\",\"text\":\"{}\"}}\n", "y".repeat(500));
    let mut content = String::new();
    content.push_str(&(record(1, "never", "") + "\n"));
    content.push_str(&filler.repeat(30));
    content.push_str("{\"type\":\"user\",\"timestamp\":\"2026-01-01T00:00:00Z\"}\n");
    content.push_str("{\"type\":\"user\",\"timestamp\":\"2026-01-02T00:00:00Z\"\n");
    content.push_str(&filler.repeat(400));
    for id in 2..40 {
        content.push_str(&(record(id, "never", "") + "\n" + &filler.repeat(3)));
    }
    for part_bytes in [1000, 20_000, u64::MAX] {
        for strict in [false, true] {
            check(content.as_bytes(), |options| {
                options.part_bytes = part_bytes;
                options.strict = strict;
            });
        }
    }
}

#[test]
fn keys_with_escaped_letters_are_found() {
    let line = record(1, "", "a").replace("\"usage\"", r#""us\u0061ge""#);
    assert_eq!(check(line.clone() + "\n", |_| ()), 3);
    assert_eq!(check(line.replace("message", r"m\u0065ssage") + "\n", |_| ()), 3);
}

#[test]
fn quoted_transcripts_are_text() {
    let quoted = record(1, "", "a").replace('\\', r"\\").replace('"', "\\\"");
    let line = format!(r#"{{"type":"user","message":{{"content":"{quoted}","usage":null}}}}"#);
    assert_eq!(check(line + "\n", |_| ()), 0);
}

#[test]
fn bytes_that_are_no_text() {
    let line = record(1, "2026-01-01T00:00:00Z", "?");
    for bytes in [&b"\xff"[..], b"\0\0", b"\xed\xa0\x80", b"\xc3", b"\xf4\x90\x80\x80", "\u{feff}".as_bytes()]
    {
        let damaged: Vec<u8> =
            line.bytes().flat_map(|byte| if byte == b'?' { bytes.to_vec() } else { vec![byte] }).collect();
        let in_front = [bytes, line.as_bytes()].concat();
        let content = [&damaged[..], &in_front, b"\r\n \t\r", b"", b"{}"].join(&b'\n');
        check(content, |_| ());
    }
}

#[test]
fn a_pending_line_over_many_parts() {
    let line = record(1, "", &"x".repeat(5000));
    let content = line.clone() + "\n" + &line[..4000];
    assert_eq!(check(content, |options| options.part_bytes = 100), 3);
}

#[test]
fn an_empty_file_has_no_responses() {
    assert_eq!(check("", |_| ()), 0);
    assert_eq!(check("\n\n \r\n", |_| ()), 0);
}

#[test]
fn a_file_that_is_gone_is_one_error_and_spoils_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let line = record(1, "2026-01-01T00:00:00Z", "a") + "\n";
    let files = ["gone", "there"].map(|name| ReferenceFile::new(format!("{name}.jsonl"), 0, line.repeat(30)));
    let sources = write(folder.path(), &files);
    std::fs::remove_file(&sources[0].path).unwrap();
    let mut options = AnalyzerOptions::default();
    options.part_bytes = 100;
    let mut history = History::default();
    let mut complete = Vec::new();
    analyze_files(&sources, &options, &AnalysisProgress::default(), &mut history, |file| {
        complete.push((file.file.stem(), file.complete));
    });
    complete.sort();
    assert_eq!(complete, [("gone".to_owned(), false), ("there".to_owned(), true)]);
    assert_eq!(history.errors().len(), 1);
    assert_eq!(history.counts().unwrap().total(), 3);
    assert!(history.receipt().adds_up());
}
