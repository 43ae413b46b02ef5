//! Measures the dashboard over many responses.

use bridge::pricing::Catalog;
use bridge::storage::{PriceStore, TokenStore, UpsertOptions};
use bridge::{Clock, DashboardBridgeAdapter, DashboardQuery, SystemClock, TimeRange};
use bridge_core::Stopwatch;

use crate::job::{Job, Measurement};
use crate::{Outcome, baseline, operations};

/// Numbers of responses, with their labels.
pub(crate) const SIZES: [(usize, &str); 2] = [(1_000_000, "1M"), (10_000_000, "10M")];

/// Responses per insert.
const BATCH: usize = 100_000;

/// Number of responses with a later snapshot, which an exact read must prefer.
const UPDATED: usize = 5_000;

pub(crate) async fn measure(job: &Job, name: &str) -> Outcome<Measurement> {
    let size = SIZES.iter().find(|(_, size)| name.ends_with(&format!("_{size}")));
    let responses = size.ok_or_else(|| format!("unknown measurement {name}"))?.0;
    let responses = if job.small { responses / 1_000 } else { responses };
    match name.split_once('_') {
        Some(("fill", _)) => fill(job, responses).await,
        Some(("bare", _)) => baseline::fill(job, responses, BATCH).await,
        Some(("sums", _)) => baseline::sums(job, responses).await,
        Some(("cost", _)) => read(job, responses, true).await,
        _ => read(job, responses, false).await,
    }
}

async fn fill(job: &Job, responses: usize) -> Outcome<Measurement> {
    let store = operations::store(job).await?;
    let catalog = Catalog::shipped();
    let prices: Vec<_> = catalog.rows().collect();
    store.use_prices(&catalog.digest().to_string(), &prices, SystemClock.now()).await?;
    let options = UpsertOptions::default();
    let mut measured = Measurement::default();
    for first in (0..responses).step_by(BATCH) {
        let rows = operations::responses(first as u128, BATCH.min(responses - first));
        let stopwatch = Stopwatch::start();
        store.upsert(&rows, &options).await?;
        measured.times.push(stopwatch.elapsed());
    }
    // Merges all parts into one, which the engine's background merges would do eventually.
    let client = job.client(&job.endpoint.writer);
    client.query("OPTIMIZE TABLE token_usage FINAL").execute().await?;
    let mut updated = operations::responses(0, UPDATED.min(responses));
    updated.iter_mut().for_each(|row| row.counts.output += 1);
    store.upsert(&updated, &options).await?;
    let seconds: f64 = measured.times.iter().map(|time| time.as_secs_f64()).sum();
    measured.detail = format!("{:.0} rows/s", responses as f64 / seconds);
    Ok(measured)
}

/// Returns the expected total of this number of responses, including the later snapshots.
pub(crate) fn tokens(responses: usize) -> u64 {
    responses as u64 * 43_210 + UPDATED.min(responses) as u64
}

async fn read(job: &Job, responses: usize, has_cost: bool) -> Outcome<Measurement> {
    // Connects as the read-only user.
    let dashboard = DashboardBridgeAdapter::new(operations::store_as(job, &job.endpoint.reader)?);
    let mut measured = Measurement::default();
    let expected = tokens(responses);
    for _ in 0..job.rounds(30) {
        let stopwatch = Stopwatch::start();
        let mut query = DashboardQuery::new(TimeRange::ALL);
        query.cost = has_cost;
        let metrics = dashboard.get_dashboard_token_metrics(query).await?;
        measured.times.push(stopwatch.elapsed());
        if metrics.total_tokens != expected {
            return Err(format!("{} tokens instead of {expected}", metrics.total_tokens).into());
        }
        let priced = metrics.totals.cost.is_some_and(|cost| cost.amount.attodollars() > 0);
        if priced != has_cost {
            return Err(format!("the cost is {:?}", metrics.totals.cost).into());
        }
    }
    Ok(measured)
}
