//! The specification's service levels, measured: for each operation its target, the median and the 99th percentile,
//! the memory of the process that did it, how many ran at once, and a yardstick of the same run.
//!
//! `cargo bench -p bridge-benches --bench sla`. On an embedded engine of its own. Each row is a process of its own,
//! so that its memory (`VmHWM`) is that row's alone; the engine is another process. `BRIDGE_HISTORY` names a
//! history of your own for the backfill.
//!
//! A measurement that misses a target of the specification (times at the 99th percentile, memory, error rate) ends in
//! an error. Ratios beside the yardsticks are for people.
#![allow(clippy::print_stdout, reason = "a program for people")]

#[path = "../store/bare.rs"]
mod bare;
mod dashboard;
mod load;
mod measured;
mod ours;
mod resting;
mod table;
mod yardstick;

use std::error::Error;

use bridge_benches::{BenchHistory, is_measurement};
use bridge_embedded::{Engine, EngineOptions};

use measured::{Job, Measured};
use table::{Row, median};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    if std::env::args().nth(1).as_deref() == Some(measured::CHILD) {
        return measured::run_child();
    }
    // Made here: making it takes more memory than reading it.
    let history = BenchHistory::given_or_generated(if is_measurement() { 300 } else { 2 })?;
    let engine = Engine::start(&EngineOptions::ephemeral())?;
    let measure = |name: &str, concurrency: usize| {
        Job::new(engine.endpoint(), name, concurrency, history.folder()).measure()
    };

    println!("{}", table::HEAD);
    let mut missed = Vec::new();
    let mut tell = |row: Row, measured: &Measured| {
        println!("{}", row.line(measured));
        missed.extend(row.missed(measured));
    };
    let bare = measure("bare_single", 1)?;
    let single = measure("single", 1)?;
    tell(Row::new("one analysis stored", 200, 10).beside("the bare client", &bare), &single);
    let bare = measure("bare_single", 10)?;
    tell(Row::new("one analysis stored", 200, 10).beside("the bare client", &bare), &measure("single", 10)?);
    let bare = measure("bare_batch", 1)?;
    let row = || Row::new("100 analyses in a batch", 2_000, 50);
    tell(row().beside("the bare client", &bare), &measure("batch", 1)?);
    let bare = measure("bare_batch", 5)?;
    tell(row().beside("the bare client", &bare), &measure("batch", 5)?);
    let row = || Row::new("session sync, 1 line on 50 MB", 5_000, 25);
    tell(row().beside("one analysis stored", &single), &measure("sync", 1)?);
    tell(row(), &measure("sync", 10)?);
    let wc = measure("wc", 1)?;
    let row = |name| Row::new(name, 30 * 60_000, 200).beside("`wc -l`", &wc);
    tell(row("backfill of a history"), &measure("backfill", 1)?);
    tell(row("the same and an engine started for it"), &measure("cold", 1)?);
    let mut smaller = None;
    for (_, name) in dashboard::SIZES {
        let filled = measure(&format!("fill_{name}"), 1)?;
        let mut row = Row::informative(&format!("rows stored, {name} in batches of 100,000"), u64::MAX, 200);
        if smaller.is_none() {
            row = row.beside("the bare client", &measure(&format!("bare_{name}"), 1)?);
        }
        tell(row, &filled);
        let bare = measure(&format!("sums_{name}"), 1)?;
        let mut read = measure(&format!("dashboard_{name}"), 1)?;
        // The target is that of a million; ten times as many may take ten times as long.
        let target = if smaller.is_none() { 500 } else { u64::MAX };
        read.detail = smaller
            .map(|smaller| format!("{:.1} x the row above", median(&read) / smaller))
            .unwrap_or_default();
        let row = Row::informative(&format!("dashboard over {name} responses"), target, 50);
        tell(row.beside("bare sums with FINAL", &bare), &read);
        smaller = Some(median(&read));
    }
    let load = measure("load", 1)?;
    println!("\n{}", table::error_rate(&load));
    missed.extend(table::error_rate_missed(&load));
    let resting = measure("resting", 1)?;
    println!("{}", table::resident(&resting));
    missed.extend(table::resident_missed(&resting));
    verdict(&missed)
}

/// Fails a measurement that misses a target. Where nothing is measured, times say nothing.
fn verdict(missed: &[String]) -> Outcome<()> {
    match missed {
        [] => Ok(()),
        _ if !is_measurement() => Ok(()),
        _ => Err(format!("targets of the specification are missed: {}", missed.join("; ")).into()),
    }
}
