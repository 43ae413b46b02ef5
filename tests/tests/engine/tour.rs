//! The `tour` example.

use bridge_testkit::reference::{Options, analyze_folder};
use bridge_tests::program::example;
use bridge_tests::workspace;

#[test]
fn the_tour_keeps_every_promise_on_the_sample() {
    let sample = analyze_folder(&workspace::root().join("examples/sample"), Options::default()).unwrap();
    let done = example("tour", [""; 0]).run();
    assert_eq!(done.code, Some(0), "{}", done.output());
    assert!(done.stdout.trim_end().ends_with("promises in 15 steps, all kept."), "{}", done.stdout);
    assert!(!done.stdout.contains('✗'), "{}", done.stdout);
    assert_eq!(sample.total, 885_591);
    for number in ["885,591", "2,002,996", "total at list prices", "$0.000855 dearer"] {
        assert!(done.stdout.contains(number), "{number}: {}", done.stdout);
    }
}

#[test]
fn the_tour_hides_costs_if_it_is_asked_to() {
    let done = example("tour", ["--no-cost"]).run();
    assert_eq!(done.code, Some(0), "{}", done.output());
    assert!(done.stdout.trim_end().ends_with("promises in 14 steps, all kept."), "{}", done.stdout);
    assert!(!done.stdout.contains('$'), "{}", done.stdout);
}

#[test]
fn a_broken_promise_fails_the_tour() {
    let empty = tempfile::tempdir().unwrap();
    let done = example("tour", ["--source"]).arg(empty.path()).run();
    assert_eq!(done.code, Some(1), "{}", done.output());
    let broken = "1 of 64 promises broken:\n  step  2  ✗ there is something to count";
    assert!(done.stdout.contains(broken), "{}", done.stdout);
}

#[test]
fn a_missing_source_is_reported_before_the_tour() {
    let empty = tempfile::tempdir().unwrap();
    let done = example("tour", ["--source"]).arg(empty.path().join("missing")).run();
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{}", done.output());
    assert!(done.stderr.contains("missing: No such file"), "{}", done.stderr);
}
