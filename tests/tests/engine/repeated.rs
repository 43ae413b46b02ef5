//! Runs that are repeated, and runs at the same time.

use std::thread;

use crate::place::{Place, number};

#[test]
fn a_second_run_stores_nothing_and_reports_the_same() {
    let place = Place::new(21);
    let first = place.run_into("data").run();
    assert_eq!(place.assert_exact(&first), place.history.truth.responses);
    let second = place.run_into("data").run();
    assert_eq!(place.assert_exact(&second), 0);
    let (first, second) = (first.json(), second.json());
    for name in ["receipt", "sessions", "stored_sessions", "accuracy_ratio", "files", "bytes", "lines"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    place.wait_for_leave("data");
}

#[test]
fn runs_over_overlapping_folders_at_the_same_time_store_each_response_once() {
    let place = Place::new(22);
    let projects = place.projects();
    let parts = [&projects[..2], &projects[1..], &projects[..]];
    let runs: Vec<_> = parts.iter().map(|sources| place.run_of(sources, "data")).collect();
    thread::scope(|scope| {
        let running: Vec<_> = runs.into_iter().map(|run| scope.spawn(|| run.run())).collect();
        for finished in running {
            let finished = finished.join().unwrap();
            assert_eq!(finished.code, Some(0), "{finished:?}");
        }
    });
    assert_eq!(place.assert_exact(&place.run_into("data").run()), 0);
    place.wait_for_leave("data");
}

#[test]
fn dates_limit_what_is_stored_until_the_rest_is_asked_for() {
    let place = Place::new(23);
    let early = place.run_into("data").args(&["--until", "2025-11-05"]).run();
    assert_eq!(early.code, Some(0), "{early:?}");
    let early = early.json();
    let (stored, all) = (number(&early, "stored_responses"), place.history.truth.responses);
    assert!(stored > 0 && stored < all, "{stored} of {all}");
    assert_eq!(number(&early, "newly_stored_responses"), stored);
    assert_eq!(place.assert_exact(&place.run_into("data").run()), all - stored);
    place.wait_for_leave("data");
}
