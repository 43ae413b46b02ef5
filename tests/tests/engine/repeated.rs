//! Repeated and concurrent runs.

use std::thread;

use crate::test_run::{TestRun, number};

#[test]
fn a_second_run_stores_nothing_and_reports_the_same_totals() {
    let test_run = TestRun::new(21);
    let first = test_run.run_into("data").run();
    assert_eq!(test_run.assert_exact(&first), test_run.history.truth.responses);
    let second = test_run.run_into("data").run();
    assert_eq!(test_run.assert_exact(&second), 0);
    let (first, second) = (first.json(), second.json());
    for name in ["receipt", "sessions", "stored_sessions", "accuracy_ratio", "files", "bytes", "lines"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    test_run.wait_for_engine_exit("data");
}

#[test]
fn concurrent_runs_over_overlapping_folders_store_each_response_once() {
    let test_run = TestRun::new(22);
    let projects = test_run.projects();
    let parts = [&projects[..2], &projects[1..], &projects[..]];
    let runs: Vec<_> = parts.iter().map(|sources| test_run.run_of(sources, "data")).collect();
    thread::scope(|scope| {
        let running: Vec<_> = runs.into_iter().map(|run| scope.spawn(|| run.run())).collect();
        for finished in running {
            let finished = finished.join().unwrap();
            assert_eq!(finished.code, Some(0), "{finished:?}");
        }
    });
    assert_eq!(test_run.assert_exact(&test_run.run_into("data").run()), 0);
    test_run.wait_for_engine_exit("data");
}

#[test]
fn a_time_range_limits_what_is_stored_until_the_rest_is_requested() {
    let test_run = TestRun::new(23);
    let early = test_run.run_into("data").args(&["--until", "2025-11-05"]).run();
    assert_eq!(early.code, Some(0), "{early:?}");
    let early = early.json();
    let (stored, all) = (number(&early, "stored_responses"), test_run.history.truth.responses);
    assert!(stored > 0 && stored < all, "{stored} of {all}");
    assert_eq!(number(&early, "newly_stored_responses"), stored);
    assert_eq!(test_run.assert_exact(&test_run.run_into("data").run()), all - stored);
    test_run.wait_for_engine_exit("data");
}
