//! Runs that are killed, the program or the engine, at many points: the next run completes what they began.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use bridge_core::Stopwatch;
use bridge_testkit::history::HistoryPlan;

use crate::place::Place;

/// So many runs are killed while they run.
const KILLS: u32 = 52;
/// Killed runs on one data folder, then one that is left alone.
const KILLS_IN_A_ROW: u32 = 4;
const ROUNDS_MAX: u32 = 3 * KILLS / KILLS_IN_A_ROW;

#[derive(Debug, Clone, Copy)]
enum Victim {
    Program,
    Engine,
}

#[test]
fn killed_at_any_point_and_repeated_a_run_ends_in_the_same_totals() {
    let place = Place::of(HistoryPlan { seed: 31, projects: 3, sessions: 6, ..HistoryPlan::default() });
    let mut whole = Duration::from_millis(400);
    let mut hits = 0;
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "only {hits} runs were killed before their end");
        let data = format!("data-{round}");
        for kill in 0..KILLS_IN_A_ROW {
            // Spread evenly from the beginning of a run to its end, in no order.
            let point = (round * KILLS_IN_A_ROW + kill) * 19 % KILLS;
            let victim = if kill % 2 == 0 { Victim::Program } else { Victim::Engine };
            hits += u32::from(kill_after(&place, &data, whole * point / KILLS, victim));
        }
        let watch = Stopwatch::start();
        place.assert_exact(&place.run_into(&data).run());
        whole = watch.elapsed();
        place.wait_for_leave(&data);
        if hits >= KILLS {
            break;
        }
    }
}

/// Says whether the victim was running and the run did not get through as if nothing had been.
fn kill_after(place: &Place, data: &str, delay: Duration, victim: Victim) -> bool {
    let mut run = place.run_into(data).spawn();
    thread::sleep(delay);
    match victim {
        Victim::Program => {
            let running = run.child.try_wait().unwrap().is_none();
            run.child.kill().unwrap();
            run.child.wait().unwrap();
            running
        }
        Victim::Engine => {
            let hit = kill_engine(&place.data(data), &mut run.child, delay);
            let finished = run.finish();
            // It bridges the engine's restart, or says what happened.
            if finished.code != Some(0) {
                assert_eq!(finished.code, Some(1), "{finished:?}");
                assert!(finished.stderr.contains("error: "), "{finished:?}");
            }
            hit
        }
    }
}

/// Kills the engine; where the run did not start it yet, as soon as it did.
fn kill_engine(data: &Path, run: &mut Child, delay: Duration) -> bool {
    let watch = Stopwatch::start();
    while run.try_wait().unwrap().is_none() && watch.elapsed() < Duration::from_secs(30) + delay {
        let pids = fs::read_to_string(data.join("pids")).unwrap_or_default();
        if let Some(pid) = pids.lines().nth(1) {
            return Command::new("kill").args(["-KILL", pid]).output().unwrap().status.success();
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}
