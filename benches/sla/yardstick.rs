//! The same rows by the official client with nothing around it.

use std::sync::Arc;

use bridge_core::Stopwatch;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::bare::Bare;
use crate::measured::{Job, Measured};
use crate::ours::{self, BATCHES, SINGLES};

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
