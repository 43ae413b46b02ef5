//! A dashboard over many responses.

use bridge::DashboardBridgeAdapter;
use bridge::TimeRange;
use bridge::storage::{TokenStore, UpsertOptions};
use bridge_core::Stopwatch;

use crate::measured::{Job, Measured};
use crate::{Outcome, ours, yardstick};

/// How many responses, and what they are called.
pub(crate) const SIZES: [(usize, &str); 2] = [(1_000_000, "1M"), (10_000_000, "10M")];

/// Responses of one insert.
const BATCH: usize = 100_000;

/// So many responses have a later snapshot, which an exact read must prefer.
const LATER: usize = 5_000;

pub(crate) async fn measure(job: &Job, name: &str) -> Outcome<Measured> {
    let size = SIZES.iter().find(|(_, size)| name.ends_with(&format!("_{size}")));
    let responses = size.ok_or_else(|| format!("no measurement is called {name}"))?.0;
    let responses = if job.small { responses / 1_000 } else { responses };
    match name.split_once('_') {
        Some(("fill", _)) => fill(job, responses).await,
        Some(("bare", _)) => yardstick::fill(job, responses, BATCH).await,
        Some(("sums", _)) => yardstick::sums(job, responses).await,
        _ => read(job, responses).await,
    }
}

async fn fill(job: &Job, responses: usize) -> Outcome<Measured> {
    let store = ours::store(job).await?;
    let options = UpsertOptions::default();
    let mut measured = Measured { before_mib: bridge::peak_memory_mib(), ..Measured::default() };
    for first in (0..responses).step_by(BATCH) {
        let rows = ours::responses(first as u128, BATCH.min(responses - first));
        let watch = Stopwatch::start();
        store.upsert(&rows, &options).await?;
        measured.times.push(watch.elapsed());
    }
    // The engine merges parts by itself, in its own time; as it stands after that, in one large part, the table is read.
    let client = job.client(&job.endpoint.writer);
    client.query("OPTIMIZE TABLE token_usage FINAL").execute().await?;
    let mut later = ours::responses(0, LATER.min(responses));
    later.iter_mut().for_each(|row| row.counts.output += 1);
    store.upsert(&later, &options).await?;
    let seconds: f64 = measured.times.iter().map(|time| time.as_secs_f64()).sum();
    measured.detail = format!("{:.0} a second", responses as f64 / seconds);
    Ok(measured)
}

/// What so many responses are worth, those with a later snapshot by that.
pub(crate) fn tokens(responses: usize) -> u64 {
    responses as u64 * 43_210 + LATER.min(responses) as u64
}

async fn read(job: &Job, responses: usize) -> Outcome<Measured> {
    // The user who may only read.
    let dashboard = DashboardBridgeAdapter::new(ours::store_as(job, &job.endpoint.reader)?);
    let mut measured = Measured { before_mib: bridge::peak_memory_mib(), ..Measured::default() };
    let expected = tokens(responses);
    for _ in 0..job.rounds(30) {
        let watch = Stopwatch::start();
        let metrics = dashboard.get_dashboard_token_metrics(TimeRange::ALL).await?;
        measured.times.push(watch.elapsed());
        if metrics.total_tokens != expected {
            return Err(format!("{} tokens in place of {expected}", metrics.total_tokens).into());
        }
    }
    Ok(measured)
}
