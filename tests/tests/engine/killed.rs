//! Runs whose program or engine is killed at many points: the next run completes the backfill.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use bridge_core::Stopwatch;
use bridge_testkit::history::HistoryPlan;

use crate::test_run::TestRun;

/// Number of runs that are killed before they finish.
const KILLS: u32 = 52;
/// Number of killed runs per data folder, followed by a complete run.
const KILLS_IN_A_ROW: u32 = 4;
const ROUNDS_MAX: u32 = 3 * KILLS / KILLS_IN_A_ROW;

#[derive(Debug, Clone, Copy)]
enum Victim {
    Program,
    Engine,
}

#[test]
fn a_run_killed_at_any_point_and_repeated_has_the_same_totals() {
    let test_run = TestRun::of(HistoryPlan { seed: 31, projects: 3, sessions: 6, ..HistoryPlan::default() });
    let mut whole = Duration::from_millis(400);
    let mut hits = 0;
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "only {hits} runs were killed before they finished");
        let data = format!("data-{round}");
        for kill in 0..KILLS_IN_A_ROW {
            // Distributes the points evenly over a run, in a mixed order.
            let point = (round * KILLS_IN_A_ROW + kill) * 19 % KILLS;
            let victim = if kill % 2 == 0 { Victim::Program } else { Victim::Engine };
            hits += u32::from(kill_after(&test_run, &data, whole * point / KILLS, victim));
        }
        let watch = Stopwatch::start();
        test_run.assert_exact(&test_run.run_into(&data).run());
        whole = watch.elapsed();
        test_run.wait_for_engine_exit(&data);
        if hits >= KILLS {
            break;
        }
    }
}

/// Starts a run and kills the victim after the delay. Returns `true` if the victim was still running.
fn kill_after(test_run: &TestRun, data: &str, delay: Duration, victim: Victim) -> bool {
    let mut run = test_run.run_into(data).spawn();
    thread::sleep(delay);
    match victim {
        Victim::Program => {
            let running = run.child.try_wait().unwrap().is_none();
            run.child.kill().unwrap();
            run.child.wait().unwrap();
            running
        }
        Victim::Engine => {
            let hit = kill_engine(&test_run.data(data), &mut run.child, delay);
            let finished = run.finish();
            // The run either survives the engine's restart or reports an error.
            if finished.code != Some(0) {
                assert_eq!(finished.code, Some(1), "{finished:?}");
                assert!(finished.stderr.contains("error: "), "{finished:?}");
            }
            hit
        }
    }
}

/// Kills the engine, waiting until the run has started it.
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
