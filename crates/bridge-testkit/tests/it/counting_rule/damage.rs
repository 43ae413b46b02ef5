//! Damaged lines, and what is none.

use super::*;

fn good() -> String {
    assistant("", &message(LONG, &usage(1, 2)))
}

#[test]
fn all_glued_values_count() {
    let other = assistant("", &message("msg_another_of_20_bytes", &usage(10, 20)));
    for line in
        [format!("{}{other}", good()), format!(" {} \t{other} ", good()), format!("{{}}{}[]{other}1", good())]
    {
        assert_eq!((sums(&count(std::slice::from_ref(&line))), count(&[line]).lines), ((2, 33), 1));
    }
    let half = count(&[format!("{}{}", good(), &other[..other.len() - 1])]);
    assert_eq!((sums(&half), half.bad_lines), ((0, 0), 1));
}

#[test]
fn damaged_lines_are_bad_and_nothing_of_them_counts() {
    let record = good();
    let damaged = [
        format!("// {record}").into_bytes(),
        format!(" \u{feff}{record}").into_bytes(),
        format!("{record}\u{feff}").into_bytes(),
        // What is nothing at the file's start is nothing once.
        format!("\u{feff}\u{feff}{record}").into_bytes(),
        format!("{record},").into_bytes(),
        record.replace("end_turn", "end\u{1}turn").into_bytes(),
        record.replace(":1,", ":NaN,").into_bytes(),
        record.replace(":1,", ":[REDACTED]1,").into_bytes(),
        record.replace(":1,", ":01,").into_bytes(),
        vec![0; 300],
        [record.as_bytes(), &[0; 8]].concat(),
        record.bytes().map(|byte| if byte == b'_' { 0xff } else { byte }).collect(),
        b"not json at all".to_vec(),
        record.as_bytes()[..record.len() - 1].to_vec(),
        [&record.as_bytes()[..60], record.as_bytes()].concat(),
    ];
    for line in damaged {
        let content = [&line[..], b"\n", record.as_bytes(), b"\n"].concat();
        let totals = count_bytes(&content);
        let facts = (sums(&totals), totals.naive, totals.bad_lines, totals.lines, totals.pending);
        assert_eq!(facts, ((1, 3), 3, 1, 2, 0), "{}", String::from_utf8_lossy(&line));
    }
}

#[test]
fn a_byte_order_mark_is_nothing_at_a_files_start_and_damage_elsewhere() {
    let marked = format!("\u{feff}{}\n", good());
    let totals = count_bytes(marked.as_bytes());
    assert_eq!((sums(&totals), totals.lines, totals.bad_lines), ((1, 3), 1, 0));
    let totals = count_bytes(format!("{{}}\n{marked}").as_bytes());
    assert_eq!((sums(&totals), totals.lines, totals.bad_lines), ((0, 0), 2, 1));
    let alone = count_bytes("\u{feff}".as_bytes());
    assert_eq!((alone.lines, alone.pending), (0, 0));
}

#[test]
fn a_file_in_utf_16_is_all_bad_lines() {
    let text = format!("{}\n", good()).repeat(3);
    let units: Vec<u16> = text.encode_utf16().collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    for content in [[b"\xfe\xff", &big[..]].concat(), big, [b"\xff\xfe", &little[..]].concat(), little] {
        let totals = count_bytes(&content);
        assert_eq!((totals.responses, totals.bad_lines), (0, 3));
    }
}

#[test]
fn what_the_grammar_allows_is_no_damage() {
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    for beside in [
        r#""x":"\ud800","#,
        r#""x":1e99999,"y":-123456789012345678901234567890,"#,
        &format!(r#""x":{deep},"#),
    ] {
        assert_eq!(sums(&count(&[assistant(beside, &message(LONG, &usage(1, 2)))])), (1, 3));
    }
    let twice = format!(r#"{{"message":{},{}"#, message(LONG, &usage(100, 100)), &good()[1..]);
    assert_eq!(sums(&count(&[twice])), (1, 3));
    let counters = r#"{"input_tokens":9,"input_tokens":"x","input_t\u006fkens":4}"#;
    assert_eq!((sums(&count_usage(counters)), count_usage(counters).bad_usage), ((1, 4), 0));
    let gone = format!(r#"{{{},"type":"user"}}"#, &good()[1..good().len() - 1]);
    assert_eq!(sums(&count(&[gone])), (0, 0));
}

#[test]
fn values_that_are_no_records_are_no_damage() {
    for line in
        ["[1,2,3]", "\"just a string\"", "null", "0", "{}", r#"{"type":5}"#, r#"{"type":"never seen"}"#]
    {
        let totals = count(&[line.into(), good()]);
        assert_eq!((sums(&totals), totals.bad_lines, totals.lines), ((1, 3), 0, 2), "{line}");
    }
}

#[test]
fn a_last_line_without_newline_counts_or_is_pending() {
    let whole = count_bytes(good().as_bytes());
    assert_eq!((sums(&whole), whole.pending, whole.bad_lines, whole.lines), ((1, 3), 0, 0, 1));
    let torn = count_bytes(&good().as_bytes()[..40]);
    assert_eq!((sums(&torn), torn.pending, torn.bad_lines, torn.lines), ((0, 0), 1, 0, 1));
    let torn_and_ended = count_bytes(&[&good().as_bytes()[..40], b"\n"].concat());
    assert_eq!((torn_and_ended.pending, torn_and_ended.bad_lines), (0, 1));
}

#[test]
fn blank_lines_and_crlf_are_nothing() {
    let totals = count_bytes(format!("\r\n\n \t \n{}\r\n\n  ", good()).as_bytes());
    assert_eq!((sums(&totals), totals.lines, totals.bad_lines, totals.pending), ((1, 3), 1, 0, 0));
    assert_eq!(count_bytes(b"").lines, 0);
}

#[test]
fn a_line_over_the_limit_is_oversize() {
    let line = good();
    let count_below =
        |line_bytes_max| analyze([file("s.jsonl", std::slice::from_ref(&line))], Options { line_bytes_max });
    let fits = count_below(line.len());
    assert_eq!((sums(&fits), fits.oversize), ((1, 3), 0));
    let over = count_below(line.len() - 1);
    assert_eq!((sums(&over), over.oversize, over.bad_lines, over.pending, over.lines), ((0, 0), 1, 0, 0, 1));
}
