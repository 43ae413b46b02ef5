//! The four counters, iterations and advisors.

use super::*;
use bridge_testkit::Counters;

#[test]
fn the_four_are_read_and_nothing_else() {
    let totals = count_usage(
        r#"{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":4,"cache_read_input_tokens":8,
        "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":"x"},"total":16,
        "server_tool_use":{"input_tokens":1}}"#
            .replace('\n', " ")
            .as_str(),
    );
    assert_eq!(totals.counters, Counters { input: 1, output: 2, cache_creation: 4, cache_read: 8 });
    assert_eq!(totals.total, 15);
}

#[test]
fn a_counter_is_an_integer_from_0_to_a_billion() {
    for (number, value) in [("null", 0), ("0", 0), ("-0", 0), ("1000000000", 1_000_000_000)] {
        let totals = count_usage(&format!(r#"{{"cache_read_input_tokens":{number}}}"#));
        assert_eq!((totals.total, totals.responses, totals.bad_usage), (value, 1, 0), "{number}");
    }
    for bad in [
        "1000000001",
        "-1",
        "1.0",
        "1e3",
        "0.0",
        "-0.0",
        "true",
        "\"5\"",
        "[]",
        "{}",
        "1e400",
        "99999999999999999999",
    ] {
        let totals = count_usage(&format!(r#"{{"input_tokens":5,"output_tokens":{bad}}}"#));
        assert_eq!(
            (totals.total, totals.responses, totals.bad_usage, totals.bad_lines),
            (0, 0, 1, 0),
            "{bad}"
        );
    }
}

#[test]
fn bad_usage_takes_its_advisors_with_it_and_leaves_other_snapshots() {
    for bad in [
        r#"{"input_tokens":-1,"iterations":[{"type":"advisor_message","input_tokens":5}]}"#,
        r#"{"input_tokens":1,"iterations":[{"type":"advisor_message","input_tokens":5},{"output_tokens":1.5}]}"#,
        r#"{"input_tokens":1,"iterations":[{"type":"advisor_message","input_tokens":"5"}]}"#,
    ] {
        let totals =
            count(&[assistant("", &message(LONG, bad)), assistant("", &message(LONG, &usage(3, 4)))]);
        assert_eq!((sums(&totals), totals.bad_usage, totals.naive), ((1, 7), 1, 7), "{bad}");
    }
}

#[test]
fn iterations_count_only_where_the_top_level_is_all_zero() {
    let iterations = r#""iterations":[{"input_tokens":5,"output_tokens":1,"type":"message"},{"cache_read_input_tokens":7},3,null]"#;
    let only_there = count_usage(&format!(r#"{{"input_tokens":0,{iterations}}}"#));
    assert_eq!((sums(&only_there), only_there.from_iterations, only_there.naive), ((1, 13), 13, 0));
    assert_eq!(only_there.counters, Counters { input: 5, output: 1, cache_creation: 0, cache_read: 7 });
    let repeated = count_usage(&format!(r#"{{"input_tokens":1,{iterations}}}"#));
    assert_eq!((sums(&repeated), repeated.from_iterations, repeated.naive), ((1, 1), 0, 1));
    for iterations in ["{}", "null", "[]", "7", "[[{\"input_tokens\":5}]]", "[\"input_tokens\"]"] {
        let totals = count_usage(&format!(r#"{{"output_tokens":0,"iterations":{iterations}}}"#));
        assert_eq!((sums(&totals), totals.bad_usage), ((1, 0), 0), "{iterations}");
    }
}

#[test]
fn an_advisor_iteration_is_a_response_of_its_own() {
    let advised = |tail: &str| {
        format!(
            r#"{{"output_tokens":1,"iterations":[7,{{"type":"message","output_tokens":1}},
            {{"type":"advisor_message","model":"claude-b","input_tokens":20}},{{"type":"advisor_message","input_tokens":300}}{tail}]}}"#
        )
        .replace('\n', " ")
    };
    let line = |usage: &str| assistant("", &message(LONG, usage));
    let totals = count(&[line(&advised("")), line(&advised("")), line(&usage(0, 1))]);
    assert_eq!(
        (sums(&totals), totals.advisor_naive, totals.naive, totals.usage_lines),
        ((3, 321), 640, 3, 3)
    );
    let advisors: Vec<_> = totals
        .by_response
        .iter()
        .map(|response| {
            (response.key.advisor, response.outcome().model.as_deref(), response.outcome().finished)
        })
        .collect();
    assert_eq!(
        advisors,
        [
            (None, Some("claude-a"), true),
            (Some(2), Some("claude-b"), true),
            (Some(3), Some("claude-a"), true)
        ]
    );
}

#[test]
fn advisors_alone_do_not_stand_for_the_top_level() {
    let totals = count_usage(r#"{"iterations":[{"type":"advisor_message","input_tokens":20}]}"#);
    assert_eq!((sums(&totals), totals.from_iterations, totals.advisor_naive), ((2, 20), 0, 20));
}

#[test]
fn an_advisor_is_finished_when_its_parent_is() {
    let line = |stop: &str, tokens: u64| {
        let usage = format!(r#"{{"iterations":[{{"type":"advisor_message","output_tokens":{tokens}}}]}}"#);
        assistant("", &format!(r#"{{"id":"{LONG}","stop_reason":{stop},"usage":{usage}}}"#))
    };
    assert_eq!(sums(&count(&[line("null", 9), line("\"end_turn\"", 5)])), (2, 5));
}

#[test]
fn synthetic_records_are_responses_worth_nothing() {
    let line = assistant(
        r#""isApiErrorMessage":true,"uuid":"u","#,
        r#"{"model":"<synthetic>","usage":{"input_tokens":0}}"#,
    );
    assert_eq!(sums(&count(&[line])), (1, 0));
}
