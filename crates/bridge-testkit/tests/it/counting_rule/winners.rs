//! Which snapshot of a response counts.

use super::*;
use bridge_testkit::Counters;

/// A snapshot of the response `LONG` in a session of its own.
struct Version {
    stop: &'static str,
    usage: String,
    session: &'static str,
    beside: &'static str,
}

fn version(
    session: &'static str,
    stop: &'static str,
    input: u64,
    output: u64,
    beside: &'static str,
) -> Version {
    Version { stop, usage: usage(input, output), session, beside }
}

impl Version {
    fn line(&self) -> String {
        let Self { stop, usage, session, beside } = self;
        let message =
            format!(r#"{{"id":"{LONG}","model":"of {session}","stop_reason":{stop},"usage":{usage}}}"#);
        assistant(&format!(r#""sessionId":"{session}",{beside}"#), &message)
    }
}

/// Asserts that the first version wins, whole, in either order and however often.
fn assert_first_wins(winner: &Version, loser: &Version) {
    let (a, b) = (winner.line(), loser.line());
    for lines in [vec![a.clone(), b.clone()], vec![b.clone(), a.clone()], vec![b.clone(), a, b]] {
        let totals = count(&lines);
        assert_eq!((totals.responses, sessions(&totals)), (1, vec![winner.session]));
        let outcome = totals.by_response[0].outcome();
        assert_eq!(outcome.model.as_deref(), Some(format!("of {}", winner.session).as_str()));
        assert!(totals.open_sessions.is_empty());
    }
}

#[test]
fn a_stop_reason_comes_first() {
    assert_first_wins(&version("a", r#""end_turn""#, 1, 1, ""), &version("b", "null", 9, 9, ""));
    assert_first_wins(&version("a", r#""""#, 1, 1, ""), &version("b", "null", 9, 9, ""));
}

#[test]
fn an_absent_stop_reason_is_null() {
    let line = assistant("", &format!(r#"{{"id":"{LONG}","usage":{}}}"#, usage(1, 1)));
    assert!(!count(&[line]).by_response[0].outcome().finished);
}

#[test]
fn then_output_then_the_sum() {
    assert_first_wins(&version("a", "null", 1, 5, ""), &version("b", "null", 100, 4, ""));
    assert_first_wins(&version("a", "null", 6, 5, ""), &version("b", "null", 5, 5, ""));
    // Never fields of both: the lowered input stays lowered.
    let totals =
        count(&[version("a", "null", 100, 4, "").line(), version("a", r#""end_turn""#, 1, 5, "").line()]);
    assert_eq!(totals.counters, Counters { input: 1, output: 5, ..Counters::default() });
}

#[test]
fn then_the_main_line_before_sidechains_and_nested() {
    let early = r#""timestamp":"2026-01-01T00:00:00Z","isSidechain":true,"#;
    let late = r#""timestamp":"2026-01-02T00:00:00Z","isSidechain":false,"forkedFrom":{},"#;
    assert_first_wins(&version("a", "null", 1, 1, late), &version("b", "null", 1, 1, early));

    let nested = progress(r#""sessionId":"b","#, &assistant("", &message(LONG, &usage(1, 1))));
    let main =
        assistant(r#""sessionId":"a","timestamp":"2027-01-01T00:00:00Z","#, &message(LONG, &usage(1, 1)));
    assert_eq!(sessions(&count(&[nested.clone(), main])), ["a"]);
    let sidechain =
        version("a", r#""end_turn""#, 1, 1, r#""isSidechain":true,"timestamp":"2025-01-01T00:00:00Z","#);
    assert_eq!(sessions(&count(&[nested, sidechain.line()])), ["a"]);
}

#[test]
fn then_the_original_before_forks() {
    let fork = r#""timestamp":"2026-01-01T00:00:00Z","forkedFrom":{"sessionId":"a"},"#;
    let original = r#""timestamp":"2026-01-02T00:00:00Z","#;
    assert_first_wins(&version("a", "null", 1, 1, original), &version("b", "null", 1, 1, fork));
}

#[test]
fn then_the_earliest_time() {
    let early = r#""timestamp":"2026-01-01T01:00:00.001+01:00","#;
    let late = r#""timestamp":"2026-01-01T00:00:00.002Z","#;
    assert_first_wins(&version("a", "null", 1, 1, early), &version("b", "null", 1, 1, late));
}

#[test]
fn what_only_the_hash_decides_is_reported_as_open() {
    let time = r#""timestamp":"2026-01-01T00:00:00Z","#;
    let totals = count(&[version("a", "null", 1, 1, time).line(), version("b", "null", 1, 1, time).line()]);
    assert_eq!(totals.open_sessions.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(sums(&totals), (1, 2));
    assert!(totals.counters_are_certain());

    let line = |usage: &str| assistant("", &message(LONG, usage));
    let swapped = count(&[
        line(r#"{"input_tokens":1,"cache_read_input_tokens":2}"#),
        line(r#"{"input_tokens":2,"cache_read_input_tokens":1}"#),
    ]);
    assert!(!swapped.counters_are_certain());
    assert_eq!(sums(&swapped), (1, 3));
}

#[test]
fn a_missing_time_is_the_nearest_earlier_one_else_the_files() {
    let user = |time: &str| format!(r#"{{"type":"user","timestamp":"{time}"}}"#);
    let line = || assistant("", &message(LONG, &usage(1, 1)));
    let time_of = |lines: &[String]| count(lines).by_response[0].outcome().time_millis - MODIFIED;
    assert_eq!(time_of(&[line()]), 0);
    assert_eq!(time_of(&[line(), user("2026-01-01T00:00:09Z")]), 0);
    assert_eq!(
        time_of(&[user("2026-01-01T00:00:01Z"), user("soon"), line(), user("2026-01-01T00:00:09Z")]),
        1000
    );
    assert_eq!(time_of(&[format!("{}{}", user("2026-01-01T00:00:02Z"), line())]), 2000);
    let unreadable = assistant(r#""timestamp":1767225600000,"#, &message(LONG, &usage(1, 1)));
    assert_eq!(time_of(&[user("2026-01-01T00:00:03Z"), unreadable]), 3000);
}

#[test]
fn a_nested_record_takes_its_own_time_else_the_outer_ones() {
    let time_of = |line: String| count(&[line]).by_response[0].outcome().time_millis - MODIFIED;
    let nested = |beside: &str| assistant(beside, &message(LONG, &usage(1, 1)));
    let outer = r#""timestamp":"2026-01-01T00:00:05Z","#;
    assert_eq!(time_of(progress(outer, &nested(r#""timestamp":"2026-01-01T00:00:01Z","#))), 1000);
    assert_eq!(time_of(progress(outer, &nested(r#""timestamp":"?","#))), 5000);
    assert_eq!(time_of(progress("", &nested(""))), 0);
}

#[test]
fn the_session_is_the_lines_where_it_names_one() {
    let session_of = |beside: &str| {
        let totals = count(&[assistant(beside, &message(LONG, &usage(1, 1)))]);
        totals.by_response[0].outcome().session.clone()
    };
    assert_eq!(session_of(r#""sessionId":"no uuid at all","#), "no uuid at all");
    assert_eq!(session_of(r#""session_id":"other","#), "other");
    assert_eq!(session_of(r#""session_id":"other","sessionId":"one","#), "one");
    assert_eq!(session_of(r#""session_id":"other","sessionId":"","#), "other");
    for unreadable in
        ["", r#""sessionId":"","#, r#""sessionId":3,"#, r#""sessionId":null,"#, r#""sessionId":"\ud800","#]
    {
        assert_eq!(session_of(unreadable), "stem", "{unreadable}");
    }
    let long = "s".repeat(512);
    assert_eq!(session_of(&format!(r#""sessionId":"{long}","#)), long);
    assert_eq!(session_of(&format!(r#""sessionId":"{long}s","#)), "stem");
}
