//! The receipt and the sums of sessions.

use super::*;

#[test]
fn the_receipt_adds_up() {
    let first = assistant(r#""sessionId":"a","#, &message(LONG, &usage(10, 1)));
    let later = assistant(r#""sessionId":"a","#, &message(LONG, &usage(10, 5)));
    let nested = progress("", &assistant("", &message(LONG, &usage(10, 2))));
    let only_nested = progress("", &assistant("", &message("msg_only_nested_20_bytes", &usage(100, 1))));
    let iterations = r#"{"iterations":[{"input_tokens":1000},{"type":"advisor_message","input_tokens":7}]}"#;
    let advised = assistant("", &message("msg_with_iterations_of_it", iterations));
    let files = [
        file("a.jsonl", &[first, later.clone(), nested, only_nested]),
        file("b.jsonl", &[later, advised]),
        file("c.jsonl", &[]),
    ];
    let totals = analyze(files, Options::default());
    assert_eq!(
        (totals.naive, totals.nested_naive, totals.from_iterations, totals.advisor_naive),
        (11 + 15 + 15, 12 + 101, 1000, 7)
    );
    assert_eq!((totals.repeats_within_files, totals.copies_across_files), (11 + 12, 15));
    assert_eq!(sums(&totals), (4, 15 + 101 + 1000 + 7));
    assert_eq!(totals.total_nested_only, 101);
    assert_eq!(
        totals.all_snapshots() - totals.repeats_within_files - totals.copies_across_files,
        totals.total
    );
    assert_eq!(totals.files, 3);
    let session = totals.sessions["a"];
    assert_eq!(
        (session.responses, session.counters.total(), session.all_snapshots),
        (2, 15 + 101, 11 + 15 + 12 + 101 + 15)
    );
}

#[test]
fn a_ratio_of_nothing_is_one() {
    assert!(
        (bridge_testkit::reference::SessionTotals::default().accuracy_ratio() - 1.0).abs() < f64::EPSILON
    );
    let line = assistant("", &message(LONG, &usage(5, 5)));
    let totals = count(&[line.clone(), line]);
    assert!((totals.sessions["stem"].accuracy_ratio() - 0.5).abs() < f64::EPSILON);
}

#[test]
fn undercount_is_the_share_of_responses_never_finished() {
    let line = |id: &str, stop: &str, tokens: u64| {
        assistant("", &format!(r#"{{"id":"{id}","stop_reason":{stop},"usage":{}}}"#, usage(tokens, 0)))
    };
    let totals = count(&[
        line("unfinished", "null", 5),
        line("finished", "null", 5),
        line("finished", "\"end_turn\"", 5),
        line("worth nothing", "null", 0),
    ]);
    let session = totals.sessions["stem"];
    assert_eq!((session.responses, session.with_tokens, session.unfinished), (3, 2, 1));
    assert!((session.undercount_percentage() - 50.0).abs() < f64::EPSILON);
}

#[test]
fn a_file_order_changes_nothing() {
    let line = |id: usize, output: u64, session: &str| {
        assistant(&format!(r#""sessionId":"{session}","#), &message(&format!("m{id}"), &usage(1, output)))
    };
    let mut files: Vec<_> = (0..6_u64)
        .map(|n| {
            let lines: Vec<_> =
                (0..4).map(|id| line(id, (n * 7 + id as u64) % 5, &format!("s{}", n % 3))).collect();
            file(&format!("{n}.jsonl"), &lines)
        })
        .collect();
    let expected = analyze(files.clone(), Options::default());
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..20 {
        rng.shuffle(&mut files);
        assert_eq!(analyze(files.clone(), Options::default()), expected);
    }
}
