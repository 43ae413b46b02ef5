//! Measures the specification's service levels: for each operation the target, the median and 99th percentile, the
//! process's memory, the concurrency, and a baseline from the same run.
//!
//! `cargo bench -p bridge-benches --bench sla`. Starts its own embedded engine. Each row is measured in a separate
//! process, so that its peak memory includes nothing else; the engine runs in another one. `BRIDGE_HISTORY`
//! names a history for the backfill; `BRIDGE_SLA_DASHBOARDS=1` measures the dashboards only.
//!
//! Fails if a target of the specification (99th percentile, memory, error rate) is missed. The ratios to the baselines
//! are informative.
#![allow(clippy::print_stdout, reason = "a command-line program")]

#[path = "../store/bare_client.rs"]
mod bare_client;
mod baseline;
mod dashboard;
mod job;
mod load;
mod memory;
mod operations;
mod table;

use std::error::Error;

use bridge_benches::{BenchHistory, is_measurement};
use bridge_embedded::{Engine, EngineOptions};

use job::{Job, Measurement};
use table::{Row, median};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    if std::env::args().nth(1).as_deref() == Some(job::CHILD_ARG) {
        return job::run_child();
    }
    // Generated in this process, because generating takes more memory than reading.
    let history = BenchHistory::from_env_or_generated(if is_measurement() { 300 } else { 2 })?;
    let engine = Engine::start(&EngineOptions::ephemeral())?;
    let measure = |name: &str, concurrency: usize| {
        Job::new(engine.endpoint(), name, concurrency, history.folder()).measure()
    };

    println!("{}", table::HEADER);
    let mut missed = Vec::new();
    let mut report = |row: Row, measured: &Measurement| {
        println!("{}", row.line(measured));
        missed.extend(row.missed(measured));
    };
    if std::env::var_os("BRIDGE_SLA_DASHBOARDS").is_some() {
        return dashboards(&measure, &mut report);
    }
    let bare = measure("bare_single", 1)?;
    let single = measure("single", 1)?;
    report(Row::new("one analysis stored", 200, 10).with_baseline("the bare client", &bare), &single);
    let bare = measure("bare_single", 10)?;
    report(
        Row::new("one analysis stored", 200, 10).with_baseline("the bare client", &bare),
        &measure("single", 10)?,
    );
    let bare = measure("bare_batch", 1)?;
    let row = || Row::new("100 analyses in a batch", 2_000, 50);
    report(row().with_baseline("the bare client", &bare), &measure("batch", 1)?);
    let bare = measure("bare_batch", 5)?;
    report(row().with_baseline("the bare client", &bare), &measure("batch", 5)?);
    let row = || Row::new("session sync, 1 line on 50 MB", 5_000, 25);
    report(row().with_baseline("one analysis stored", &single), &measure("sync", 1)?);
    report(row(), &measure("sync", 10)?);
    let wc = measure("wc", 1)?;
    let row = |name| Row::new(name, 30 * 60_000, 200).with_baseline("`wc -l`", &wc);
    report(row("backfill of a history"), &measure("backfill", 1)?);
    report(row("backfill including engine start"), &measure("cold", 1)?);
    dashboards(&measure, &mut report)?;
    let load = measure("load", 1)?;
    println!("\n{}", table::error_rate(&load));
    missed.extend(table::error_rate_missed(&load));
    let memory = measure("memory", 1)?;
    println!("{}", table::resident(&memory));
    missed.extend(table::resident_missed(&memory));
    verdict(&missed)
}

/// Measures the dashboard of each size, without costs and with them.
fn dashboards(
    measure: &impl Fn(&str, usize) -> Outcome<Measurement>,
    report: &mut impl FnMut(Row, &Measurement),
) -> Outcome<()> {
    let mut smaller = None;
    for (_, name) in dashboard::SIZES {
        let filled = measure(&format!("fill_{name}"), 1)?;
        let mut row = Row::informative(&format!("{name} rows stored in batches of 100,000"), u64::MAX, 200);
        if smaller.is_none() {
            row = row.with_baseline("the bare client", &measure(&format!("bare_{name}"), 1)?);
        }
        report(row, &filled);
        let bare = measure(&format!("sums_{name}"), 1)?;
        let mut read = measure(&format!("dashboard_{name}"), 1)?;
        // The specification's target is for one million responses.
        let target = if smaller.is_none() { 500 } else { u64::MAX };
        read.detail = smaller
            .map(|smaller| format!("{:.1} x the time for 1M", median(&read) / smaller))
            .unwrap_or_default();
        let row = Row::informative(&format!("dashboard over {name} responses"), target, 50);
        report(row.with_baseline("bare sums with FINAL", &bare), &read);
        let row = Row::informative(&format!("dashboard with cost over {name} responses"), target, 50);
        let cost = measure(&format!("cost_{name}"), 1)?;
        report(row.with_baseline("the dashboard without", &read), &cost);
        smaller = Some(median(&read));
    }
    Ok(())
}

/// Returns an error if targets were missed. Ignores them in test mode, whose times are meaningless.
fn verdict(missed: &[String]) -> Outcome<()> {
    match missed {
        [] => Ok(()),
        _ if !is_measurement() => Ok(()),
        _ => Err(format!("missed targets of the specification: {}", missed.join("; ")).into()),
    }
}
