//! The four counters, iterations and advisors.

use super::*;
use bridge_testkit::Counters;
use bridge_testkit::reference::Iteration;

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
fn iterations_raise_the_top_level() {
    let iterations = r#""iterations":[{"input_tokens":5,"output_tokens":1,"type":"message"},{"cache_read_input_tokens":7},3,null]"#;
    let only_there = count_usage(&format!(r#"{{"input_tokens":0,{iterations}}}"#));
    assert_eq!((sums(&only_there), only_there.from_iterations, only_there.naive), ((1, 13), 13, 0));
    assert_eq!(only_there.counters, Counters { input: 5, output: 1, cache_creation: 0, cache_read: 7 });
    let raised = count_usage(&format!(r#"{{"input_tokens":9,{iterations}}}"#));
    assert_eq!(raised.counters, Counters { input: 9, output: 1, cache_creation: 0, cache_read: 7 });
    assert_eq!((raised.from_iterations, raised.raised, raised.naive), (0, 8, 9));
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
            (response.key.iteration, response.outcome().model.as_deref(), response.outcome().finished)
        })
        .collect();
    assert_eq!(
        advisors,
        [
            (None, Some("claude-a"), true),
            (Some((Iteration::Advisor, 2)), Some("claude-b"), true),
            (Some((Iteration::Advisor, 3)), Some("claude-a"), true)
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

fn apart(usage: &str) -> Vec<(Iteration, usize, u64)> {
    let totals = count_usage(&usage.replace('\n', " "));
    assert_eq!(totals.bad_usage, 0);
    let responses = totals.by_response.iter();
    let apart = responses.filter_map(|response| {
        let (iteration, position) = response.key.iteration?;
        Some((iteration, position, response.outcome().counters.total()))
    });
    apart.collect()
}

#[test]
fn a_compaction_step_is_a_response_of_its_own() {
    let usage = r#"{"input_tokens":23,"output_tokens":1,"iterations":[
        {"type":"compaction","input_tokens":180,"output_tokens":3},{"type":"message","input_tokens":23,"output_tokens":1}]}"#;
    assert_eq!(apart(usage), [(Iteration::Compaction, 0, 183)]);
    assert_eq!(sums(&count_usage(&usage.replace('\n', " "))), (2, 207));
}

#[test]
fn where_a_fallback_answered_the_other_attempts_were_declined() {
    let usage = r#"{"output_tokens":7,"iterations":[{"type":"message","output_tokens":1},{"output_tokens":2},
        {"type":"fallback_message","output_tokens":4},null,{"type":"fallback_message","output_tokens":7}]}"#;
    let declined = |position, tokens| (Iteration::Declined, position, tokens);
    assert_eq!(apart(usage), [declined(0, 1), declined(1, 2), declined(2, 4)]);
    let only_fallback = r#"{"iterations":[{"type":"fallback_message","output_tokens":7}]}"#;
    assert_eq!((apart(only_fallback), sums(&count_usage(only_fallback))), (vec![], (1, 7)));
}

#[test]
fn an_unknown_type_is_a_response_where_the_top_level_leaves_it_out() {
    let usage = |top: u64| {
        format!(
            r#"{{"output_tokens":{top},"iterations":[{{"output_tokens":5}},{{"type":"new","output_tokens":7}}]}}"#
        )
    };
    assert_eq!(apart(&usage(12)), []);
    assert_eq!(apart(&usage(11)), [(Iteration::Other, 1, 7)]);
    assert_eq!(sums(&count_usage(&usage(0))), (2, 12));
}

#[test]
fn a_cache_split_counts_without_its_counter() {
    let split = r#""cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":7}"#;
    for (usage, tokens) in [
        (format!("{{{split}}}"), 12),
        (format!(r#"{{"cache_creation_input_tokens":null,{split}}}"#), 12),
        (format!(r#"{{"cache_creation_input_tokens":0,{split}}}"#), 0),
        (format!(r#"{{"iterations":[{{{split}}}]}}"#), 12),
    ] {
        assert_eq!(count_usage(&usage).total, tokens, "{usage}");
    }
    for bad in [
        r#"{"ephemeral_5m_input_tokens":"5"}"#,
        r#"{"ephemeral_5m_input_tokens":1000000000,"ephemeral_1h_input_tokens":1}"#,
    ] {
        assert_eq!(count_usage(&format!(r#"{{"cache_creation":{bad}}}"#)).bad_usage, 1);
    }
}
