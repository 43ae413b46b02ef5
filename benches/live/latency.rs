//! The time until a response that a client wrote can be queried.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use bridge::live::LiveOptions;
use bridge::storage::ResponseFilter;
use bridge_benches::is_measurement;
use bridge_core::Stopwatch;
use bridge_embedded::Engine;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::{Outcome, builder, line, millis, quantile};

const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) async fn measure(engine: &Engine) -> Outcome<()> {
    let rounds = if is_measurement() { 300 } else { 2 };
    let folder = tempfile::tempdir()?;
    let bridge = builder(engine, "bridge_live_latency").await?.sources([folder.path()]).build();
    let (sender, mut stored) = mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(LiveOptions::events(), move |outcome| drop(sender.send(outcome)));
    // The first search finds nothing.
    drop(timeout(DEADLINE, stored.recv()).await?);

    let path = folder.path().join("session.jsonl");
    let mut steps = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for number in 0..rounds {
        // Not in step with anything.
        sleep(Duration::from_millis(number * 7 % 90)).await;
        let watch = Stopwatch::start();
        File::options()
            .create(true)
            .append(true)
            .open(&path)?
            .write_all(line("session", number).as_bytes())?;
        let synchronizing = loop {
            let results = timeout(DEADLINE, stored.recv()).await?.ok_or("the task ended")??;
            if let [result] = &*results {
                break result.duration;
            }
        };
        let reported = watch.elapsed();
        let totals = bridge.token_store().totals(&ResponseFilter::default()).await?;
        let total = watch.elapsed();
        if totals.counts.output != (number + 1) * 32 {
            return Err(format!("{} tokens after response {number}", totals.counts.output).into());
        }
        let noticing = reported.saturating_sub(synchronizing);
        for (times, time) in steps.iter_mut().zip([noticing, synchronizing, total - reported, total]) {
            times.push(time);
        }
    }
    syncing.stop().await;
    let names = [
        "noticed (event, 50 ms without another)",
        "read, stored, cursors, totals",
        "queried",
        "written to queried",
    ];
    let all: f64 = steps[3].iter().map(Duration::as_secs_f64).sum();
    for (name, times) in names.iter().zip(&mut steps) {
        let share = times.iter().map(Duration::as_secs_f64).sum::<f64>() / all;
        println!(
            "{name}: median {:.1} ms, p99 {:.1} ms, {:.0} %",
            millis(quantile(times, 0.5)),
            millis(quantile(times, 0.99)),
            share * 100.0
        );
    }
    Ok(())
}
