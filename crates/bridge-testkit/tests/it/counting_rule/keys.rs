//! Which snapshots are the same response.

use super::*;
use bridge_testkit::reference::MessageKey;

fn responses(lines: &[String]) -> u64 {
    count(lines).responses
}

fn with_request(id: &str, request: &str) -> String {
    assistant(&format!(r#""requestId":{request},"#), &message(id, &usage(1, 1)))
}

#[test]
fn an_id_of_20_bytes_stands_alone() {
    let id = "12345678901234567890";
    assert_eq!(responses(&[with_request(id, r#""a""#), with_request(id, r#""b""#)]), 1);
    assert_eq!(responses(&[with_request(&id[..19], r#""a""#), with_request(&id[..19], r#""b""#)]), 2);
    // The length is the decoded one, in bytes.
    let escaped = "\\u0031234567890123456789";
    assert_eq!(responses(&[with_request(escaped, r#""a""#), with_request(escaped, r#""b""#)]), 2);
    let wide = "éééééééééé";
    assert_eq!(responses(&[with_request(wide, r#""a""#), with_request(wide, r#""b""#)]), 1);
    assert_eq!(responses(&[with_request(wide, "1"), with_request(&"\\u00e9".repeat(10), "2")]), 1);
}

#[test]
fn a_shorter_id_counts_with_its_request() {
    let same = with_request("msg_1", r#""a""#);
    assert_eq!(responses(&[same.clone(), same.clone()]), 1);
    assert_eq!(responses(&[same, with_request("msg_2", r#""a""#)]), 2);
    assert_eq!(responses(&[with_request("ab", r#""c""#), with_request("a", r#""bc""#)]), 2);
    // Absent, empty and unreadable requests are the same nothing.
    let absent = assistant("", &message("msg_1", &usage(1, 1)));
    assert_eq!(responses(&[absent, with_request("msg_1", r#""""#), with_request("msg_1", "7")]), 1);
}

#[test]
fn without_an_id_the_uuid_counts() {
    let with_uuid =
        |message: &str, uuid: &str| assistant(&format!(r#""requestId":"r{uuid}","uuid":"{uuid}","#), message);
    for id in ["", r#""id":"","#, r#""id":5,"#, r#""id":null,"#] {
        let message = format!(r#"{{{id}"usage":{}}}"#, usage(1, 1));
        assert_eq!(
            responses(&[with_uuid(&message, "u"), with_uuid(&message, "v"), with_uuid(&message, "u")]),
            2,
            "{id}"
        );
    }
    // An id is not the uuid that reads the same.
    let uuid = "00000000-0000-4000-8000-000000000000";
    assert_eq!(responses(&[with_uuid(r#"{"usage":{}}"#, uuid), assistant("", &message(uuid, "{}"))]), 2);
}

#[test]
fn without_both_the_bytes_of_the_record_count() {
    let line = |text: &str| format!(r#"{{"type":"assistant","message":{{"usage":{}}}{text}}}"#, usage(1, 1));
    assert_eq!(responses(&[line(""), line("")]), 1);
    assert_eq!(responses(&[line(""), line(" ")]), 2);
    assert_eq!(responses(&[line(""), line(r#","uuid":"""#), line(r#","uuid":1"#)]), 3);
    // White space around the record and its neighbors on the line are not its own.
    assert_eq!(
        responses(&[line(""), format!(" {}\r", line("")), format!("{}{{}}{}", line(""), line(""))]),
        1
    );
}

#[test]
fn snapshots_of_one_record_differ_by_their_index() {
    let nested = r#"{"type":"assistant","message":{"usage":{"input_tokens":1}}}"#;
    let line = |of: &str| {
        format!(
            r#"{{"type":"progress","of":"{of}","data":{{"message":{nested},"normalizedMessages":[{nested},{nested}]}}}}"#
        )
    };
    assert_eq!(sums(&count(&[line("a"), line("a")])), (3, 3));
    // The record is the whole line's, not the nested one.
    assert_eq!(sums(&count(&[line("a"), line("b")])), (6, 6));
}

#[test]
fn a_short_id_without_a_request_is_told_apart_by_the_input_side() {
    let line = |request: &str, input, output| {
        assistant(request, &message("msg_proxy_stream", &usage(input, output)))
    };
    let totals = count(&[line("", 1, 1), line("", 1, 9), line("", 2, 1), line(r#""requestId":"r","#, 2, 1)]);
    assert_eq!((sums(&totals), totals.weak_snapshots, totals.weak), ((3, 16), 3, (2, 13)));
}

#[test]
fn lone_surrogates_stay_apart() {
    let line = |id: &str| assistant("", &message(id, &usage(1, 1)));
    let totals = count(&[line("\\ud800"), line("\\ud801"), line("\\ufffd"), line("\\ud800")]);
    assert_eq!((totals.responses, totals.bad_lines), (3, 0));
    assert!(
        totals.by_response.iter().any(|response| {
            response.key.message == MessageKey::Weak(b"\xed\xa0\x80".to_vec(), [1, 0, 0])
        })
    );
}

#[test]
fn repeats_are_found_over_everything() {
    let mut lines = vec![assistant("", &message(LONG, &usage(1, 1)))];
    lines.extend(
        (0..60).map(|n| assistant("", &message(&format!("msg_between_of_20_bytes_{n}"), &usage(0, 0)))),
    );
    lines.push(assistant("", &message(LONG, &usage(1, 2))));
    assert_eq!(sums(&count(&lines)), (61, 3));
    let files = [file("a.jsonl", &lines), file("sub/b.jsonl", &lines)];
    assert_eq!(sums(&analyze(files, Options::default())), (61, 3));
}
