//! Times on whose form the counting rule is silent, and the analyzer and the reference model differ: a date
//! without a time, a time without an offset, the other forms of ISO 8601, years outside of 1970 to 2299.

use bridge_core::Timestamp;
use bridge_testkit::reference::{self, Options, ReferenceFile};
use serde_json::json;

/// Whether a string in the line is such a time.
pub(crate) fn is_disputed(line: &[u8]) -> bool {
    strings(line).iter().any(|text| {
        let may_be_time = (8..64).contains(&text.len()) && text.starts_with(|c: char| !c.is_alphabetic());
        let known = || text.parse::<Timestamp>().ok().map(Timestamp::as_millis);
        may_be_time && known() != reference_millis(text)
    })
}

/// The strings of a line of JSON, decoded.
fn strings(line: &[u8]) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), line);
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        let mut end = start + 1;
        while rest.get(end).is_some_and(|byte| *byte != b'"') {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        let end = (end + 1).min(rest.len());
        found.extend(serde_json::from_slice::<String>(&rest[start..end]));
        rest = &rest[end..];
    }
    found
}

/// What the reference model takes the text for, asked by way of a record with it.
fn reference_millis(text: &str) -> Option<i64> {
    let record = json!({ "type": "assistant", "timestamp": text, "message": { "usage": {} } });
    let file = ReferenceFile::new("t.jsonl", i64::MIN, record.to_string());
    let totals = reference::analyze([file], Options::default());
    Some(totals.by_response[0].outcome().time_millis).filter(|millis| *millis != i64::MIN)
}

#[test]
fn only_the_form_of_times_is_disputed() {
    let record = |time: &str| json!({ "a": 1, "timestamp": time }).to_string();
    for time in ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00.5+01:00", "soon", "2026-02-30T00:00:00Z", ""] {
        assert!(!is_disputed(record(time).as_bytes()), "{time}");
    }
    for time in ["2026-01-01", "2026-01-01T00:00:00", "20260101T000000Z", "1969-01-01T00:00:00Z"] {
        assert!(is_disputed(record(time).as_bytes()), "{time}");
    }
}
