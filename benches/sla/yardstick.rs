//! What the bridge is measured beside: the same rows by the official client with nothing around it, and `wc -l`.

use std::process::{Command, Stdio};
use std::sync::Arc;

use bridge_core::Stopwatch;
use tokio::task::JoinSet;

use crate::bare::Bare;
use crate::measured::{Job, Measured};
use crate::ours::{self, BATCHES, SINGLES};
use crate::{Outcome, dashboard};

pub(crate) async fn single(job: &Job) -> Outcome<Measured> {
    insert(job, SINGLES, 1).await
}

pub(crate) async fn batch(job: &Job) -> Outcome<Measured> {
    insert(job, BATCHES, 1_000).await
}

async fn insert(job: &Job, operations: usize, rows: usize) -> Outcome<Measured> {
    // The table is made as the bridge makes it.
    ours::store(job).await?;
    let bare = Arc::new(Bare::new(&job.endpoint, &job.database()).await?);
    let mut measured = Measured { before_mib: bridge::peak_memory_mib(), ..Measured::default() };
    let mut running = JoinSet::new();
    for caller in 0..job.concurrency {
        let bare = Arc::clone(&bare);
        let rounds = job.rounds(operations / job.concurrency);
        running.spawn(async move {
            let mut times = Vec::with_capacity(rounds);
            for round in 0..rounds {
                let responses = ours::responses(((caller << 32) + round * rows) as u128, rows);
                let watch = Stopwatch::start();
                bare.insert(&responses).await.map_err(|error| error.to_string())?;
                times.push(watch.elapsed());
            }
            Ok::<_, String>(times)
        });
    }
    while let Some(times) = running.join_next().await {
        measured.times.extend(times??);
    }
    Ok(measured)
}

/// Rows in batches of so many, one after the other.
pub(crate) async fn fill(job: &Job, rows: usize, batch: usize) -> Outcome<Measured> {
    ours::store(job).await?;
    let bare = Bare::new(&job.endpoint, &job.database()).await?;
    let mut measured = Measured { before_mib: bridge::peak_memory_mib(), ..Measured::default() };
    for first in (0..rows).step_by(batch) {
        let responses = ours::responses(first as u128, batch.min(rows - first));
        let watch = Stopwatch::start();
        bare.insert(&responses).await?;
        measured.times.push(watch.elapsed());
    }
    Ok(measured)
}

/// The totals alone, over the rows that a dashboard reads.
pub(crate) async fn sums(job: &Job, responses: usize) -> Outcome<Measured> {
    let client = job.client(&job.endpoint.reader);
    let query = "SELECT sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens) \
                 FROM token_usage FINAL";
    let mut measured = Measured { before_mib: bridge::peak_memory_mib(), ..Measured::default() };
    for _ in 0..job.rounds(30) {
        let watch = Stopwatch::start();
        let tokens: u64 = client.query(query).fetch_one().await?;
        measured.times.push(watch.elapsed());
        if tokens != dashboard::tokens(responses) {
            return Err(format!("{tokens} tokens").into());
        }
    }
    Ok(measured)
}

/// Over the history that is backfilled.
pub(crate) fn wc(job: &Job) -> Outcome<Measured> {
    let mut measured = Measured::default();
    let files = bridge_benches::files_below(&job.history);
    for _ in 0..job.rounds(10) {
        let watch = Stopwatch::start();
        Command::new("wc").arg("-l").args(&files).stdout(Stdio::null()).status()?;
        measured.times.push(watch.elapsed());
    }
    Ok(measured)
}
