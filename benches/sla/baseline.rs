//! Baselines for the bridge's operations: the official client inserting the same rows, and `wc -l`.

use std::process::{Command, Stdio};
use std::sync::Arc;

use bridge_core::Stopwatch;
use tokio::task::JoinSet;

use crate::bare_client::BareClient;
use crate::job::{Job, Measurement};
use crate::operations::{self, BATCHES, SINGLES};
use crate::{Outcome, dashboard};

pub(crate) async fn single(job: &Job) -> Outcome<Measurement> {
    insert(job, SINGLES, 1).await
}

pub(crate) async fn batch(job: &Job) -> Outcome<Measurement> {
    insert(job, BATCHES, 1_000).await
}

async fn insert(job: &Job, operations: usize, rows: usize) -> Outcome<Measurement> {
    // Creates the tables exactly as the bridge does.
    operations::store(job).await?;
    let bare = Arc::new(BareClient::new(&job.endpoint, &job.database()).await?);
    let mut measured = Measurement::default();
    let mut running = JoinSet::new();
    for caller in 0..job.concurrency {
        let bare = Arc::clone(&bare);
        let rounds = job.rounds(operations / job.concurrency);
        running.spawn(async move {
            let mut times = Vec::with_capacity(rounds);
            for round in 0..rounds {
                let responses = operations::responses(((caller << 32) + round * rows) as u128, rows);
                let stopwatch = Stopwatch::start();
                bare.insert(&responses).await.map_err(|error| error.to_string())?;
                times.push(stopwatch.elapsed());
            }
            Ok::<_, String>(times)
        });
    }
    while let Some(times) = running.join_next().await {
        measured.times.extend(times??);
    }
    Ok(measured)
}

/// Inserts rows sequentially in batches.
pub(crate) async fn fill(job: &Job, rows: usize, batch: usize) -> Outcome<Measurement> {
    operations::store(job).await?;
    let bare = BareClient::new(&job.endpoint, &job.database()).await?;
    let mut measured = Measurement::default();
    for first in (0..rows).step_by(batch) {
        let responses = operations::responses(first as u128, batch.min(rows - first));
        let stopwatch = Stopwatch::start();
        bare.insert(&responses).await?;
        measured.times.push(stopwatch.elapsed());
    }
    Ok(measured)
}

/// Queries only the total of the rows that the dashboard reads.
pub(crate) async fn sums(job: &Job, responses: usize) -> Outcome<Measurement> {
    let client = job.client(&job.endpoint.reader);
    let query = "SELECT sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens) \
                 FROM token_usage FINAL";
    let mut measured = Measurement::default();
    for _ in 0..job.rounds(30) {
        let stopwatch = Stopwatch::start();
        let tokens: u64 = client.query(query).fetch_one().await?;
        measured.times.push(stopwatch.elapsed());
        if tokens != dashboard::tokens(responses) {
            return Err(format!("unexpected total of {tokens} tokens").into());
        }
    }
    Ok(measured)
}

/// Runs `wc -l` over the history of the backfill.
pub(crate) fn wc(job: &Job) -> Outcome<Measurement> {
    let mut measured = Measurement::default();
    let files = bridge_benches::files_below(&job.history);
    for _ in 0..job.rounds(10) {
        let stopwatch = Stopwatch::start();
        Command::new("wc").arg("-l").args(&files).stdout(Stdio::null()).status()?;
        measured.times.push(stopwatch.elapsed());
    }
    Ok(measured)
}
