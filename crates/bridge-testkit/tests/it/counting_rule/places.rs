//! The places in a record that hold usage, and those that do not.

use super::*;

#[test]
fn an_assistant_record_holds_a_snapshot_and_other_types_do_not() {
    assert_eq!(sums(&count(&[assistant("", &message(LONG, &usage(1, 2)))])), (1, 3));
    for kind in ["user", "system", "summary", "unknown", "Assistant"] {
        let line = assistant("", &message(LONG, &usage(1, 2))).replace("assistant", kind);
        assert_eq!(sums(&count(&[line])), (0, 0), "{kind}");
    }
    assert_eq!(
        sums(&count(&[r#"{"type":["assistant"],"message":{"usage":{"input_tokens":1}}}"#.into()])),
        (0, 0)
    );
}

#[test]
fn keys_and_values_are_what_their_escapes_mean() {
    let line =
        r#"{"\u0074ype":"\u0061ssistant","mess\u0061ge":{"us\u0061ge":{"input\u005ftokens":4}},"uuid":"u"}"#;
    assert_eq!(sums(&count(&[line.into()])), (1, 4));
}

#[test]
fn progress_records_hold_nested_records() {
    let nested = assistant(r#""uuid":"u","#, &message(LONG, &usage(1, 2)));
    let totals = count(&[progress(r#""sessionId":"outer","#, &nested)]);
    assert_eq!((sums(&totals), sessions(&totals)), ((1, 3), vec!["outer"]));
    assert_eq!((totals.nested_snapshots, totals.usage_lines, totals.total_nested_only), (1, 0, 3));

    let other = assistant("", &message("msg_another_of_20_bytes", &usage(10, 20)));
    let line = format!(
        r#"{{"type":"progress","data":{{"message":{nested},"normalizedMessages":[1,{other},null,{nested}]}}}}"#
    );
    assert_eq!(sums(&count(std::slice::from_ref(&line))), (2, 33));
    assert_eq!(count(&[line]).nested_snapshots, 3);
}

#[test]
fn a_nested_session_is_the_outer_records() {
    let nested = assistant(r#""sessionId":"inner","#, &message(LONG, &usage(1, 2)));
    assert_eq!(sessions(&count(&[progress(r#""sessionId":"outer","#, &nested)])), ["outer"]);
    assert_eq!(sessions(&count(&[progress("", &nested)])), ["stem"]);
}

#[test]
fn nothing_else_is_counted() {
    let quoted = r#""{\"type\":\"assistant\",\"message\":{\"usage\":{\"input_tokens\":9}}}""#;
    let record = assistant("", &message(LONG, &usage(1, 2)));
    for line in [
        format!(
            r#"{{"type":"user","toolUseResult":{{"usage":{}}},"message":{{"role":"user"}}}}"#,
            usage(9, 9)
        ),
        format!(r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":{quoted}}}]}}}}"#),
        format!(r#"{{"type":"user","message":{{"content":{quoted},"usage":{}}}}}"#, usage(9, 9)),
        format!(
            r#"{{"type":"assistant","message":{{"content":[{{"input":{{"usage":{}}}}}]}}}}"#,
            usage(9, 9)
        ),
        format!(r#"{{"type":"assistant","usage":{}}}"#, usage(9, 9)),
        format!(r#"{{"type":"assistant","message":[{}]}}"#, message(LONG, &usage(9, 9))),
        format!(r#"{{"type":"assistant","data":{{"message":{record}}}}}"#),
        format!(r#"{{"type":"user","data":{{"message":{record}}}}}"#),
        format!(r#"{{"type":"progress","message":{}}}"#, message(LONG, &usage(9, 9))),
        format!(r#"{{"type":"progress","data":{{"message":[{record}],"normalizedMessages":{record}}}}}"#),
        format!(r#"{{"type":"progress","data":{{"message":{}}}}}"#, message(LONG, &usage(9, 9))),
        format!(r#"{{"type":"progress","data":{{"data":{{"message":{record}}}}}}}"#),
        format!(r#"{{"type":"progress","data":[{{"message":{record}}}]}}"#),
        format!("[{record}]"),
        quoted.to_owned(),
    ] {
        let totals = count(std::slice::from_ref(&line));
        assert_eq!(
            (sums(&totals), totals.bad_lines, totals.bad_usage, totals.lines),
            ((0, 0), 0, 0, 1),
            "{line}"
        );
    }
}

#[test]
fn no_usage_is_no_snapshot_and_a_usage_that_is_no_object_is_bad() {
    for usage in ["null", "{}"] {
        assert_eq!(count_usage(usage).bad_usage, 0);
    }
    assert_eq!(sums(&count_usage("null")), (0, 0));
    assert_eq!(sums(&count_usage("{}")), (1, 0));
    for usage in ["7", "[]", "\"\"", "true"] {
        assert_eq!((sums(&count_usage(usage)), count_usage(usage).bad_usage), ((0, 0), 1));
    }
}
