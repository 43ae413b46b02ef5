//! Measures checkpoints and rollbacks of a million rows, idle and under concurrent reads and writes, and the cost of the
//! fence for an insert.
//!
//! `cargo bench -p bridge-benches --bench checkpoint`. Starts its own embedded engine.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bridge::storage::{
    CheckpointStore, ClickHouseOptions, ClickHouseStore, ResponseFilter, TokenStore, UpsertOptions,
};
use bridge::{CheckpointName, Clock, ResponseKey, ResponseUsage, SessionId, Timestamp, TokenCounts};
use bridge_benches::is_measurement;
use bridge_core::Stopwatch;
use bridge_core::SystemClock;
use bridge_embedded::{Engine, EngineOptions};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Outcome<()> {
    let engine = Engine::start(&EngineOptions::ephemeral())?;
    let endpoint = engine.endpoint();
    let options = ClickHouseOptions::from_url(&endpoint.url)?
        .with_database("bridge_bench")
        .with_user(&endpoint.writer.user, &endpoint.writer.password);
    let store = Arc::new(ClickHouseStore::new(options)?);
    store.migrate().await?;
    let rows = if is_measurement() { 1_000_000 } else { 10_000 };
    fill(&store, rows).await?;
    let unfenced = insert(&store, 1 << 90).await?;
    measure_idle(&store, rows).await?;
    let fenced = insert(&store, 1 << 91).await?;
    println!("one row, p50: {:.2} ms without a fence, {:.2} ms with it", millis(unfenced), millis(fenced));
    measure_under_load(&store, rows, 1).await?;
    measure_under_load(&store, rows, 2).await?;
    drop(engine);
    Ok(())
}

async fn fill(store: &ClickHouseStore, rows: usize) -> Outcome<()> {
    let batch = 100_000.min(rows);
    for number in 0..rows / batch {
        let rows = responses((number * batch) as u128, batch);
        store.upsert(&rows, &UpsertOptions::default()).await?;
    }
    Ok(())
}

fn responses(first: u128, number: usize) -> Vec<ResponseUsage> {
    let time = Timestamp::from_millis(1_772_323_200_000).expect("the constant is in range");
    let response = |key: u128| {
        let session = SessionId::new(format!("session-{}", key % 9_973)).expect("the name is short");
        // Distributed over the whole key range, like hashes.
        let key = ResponseKey(key.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let mut row = ResponseUsage::new(key, session, time);
        row.counts = TokenCounts { input: 10, output: 200, cache_creation: 3_000, cache_read: 40_000 };
        row.finished = true;
        row
    };
    (first..).take(number).map(response).collect()
}

/// Returns the median time for storing one row.
async fn insert(store: &ClickHouseStore, first: u128) -> Outcome<Duration> {
    let mut times = Vec::new();
    for row in responses(first, if is_measurement() { 300 } else { 3 }) {
        let stopwatch = Stopwatch::start();
        store.upsert(std::slice::from_ref(&row), &UpsertOptions::default()).await?;
        times.push(stopwatch.elapsed());
    }
    Ok(median(&mut times))
}

async fn measure_idle(store: &ClickHouseStore, rows: usize) -> Outcome<()> {
    let (mut created, mut compared, mut rolled_back) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds() {
        let name = CheckpointName::new(format!("round_{round}"))?;
        let stopwatch = Stopwatch::start();
        store.create_checkpoint(&name, SystemClock.now()).await?;
        created.push(stopwatch.elapsed());
        let stopwatch = Stopwatch::start();
        store.compare_with_checkpoint(&name).await?;
        compared.push(stopwatch.elapsed());
        rolled_back.push(roll_back(store, &name).await?);
    }
    println!(
        "{rows} rows, p50: checkpoint {:.1} ms, dry run {:.1} ms",
        p50(&mut created),
        p50(&mut compared)
    );
    report(rows, "idle", &mut rolled_back);
    Ok(())
}

/// Measures rollbacks while readers continuously sum all rows and one writer inserts. Two readers saturate two cores.
async fn measure_under_load(store: &Arc<ClickHouseStore>, rows: usize, readers: u128) -> Outcome<()> {
    let name = CheckpointName::new("round_0")?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for number in 0..=readers {
        let (store, stop) = (Arc::clone(store), Arc::clone(&stop));
        workers.push(tokio::spawn(async move {
            let mut key = (1 << 100) + (number << 80);
            while !stop.load(Ordering::Relaxed) {
                if number > 0 {
                    store.totals(&ResponseFilter::default()).await.expect("a rollback never rejects readers");
                } else {
                    key += 10;
                    // Rejected if a rollback is in progress.
                    let _ = store.upsert(&responses(key, 10), &UpsertOptions::default()).await;
                }
            }
        }));
    }
    let mut rolled_back = Vec::new();
    for _ in 0..rounds() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        rolled_back.push(roll_back(store, &name).await?);
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await?;
    }
    report(rows, &format!("with {readers} readers and 1 writer"), &mut rolled_back);
    Ok(())
}

async fn roll_back(store: &ClickHouseStore, name: &CheckpointName) -> Outcome<Duration> {
    let stopwatch = Stopwatch::start();
    store.roll_back(name, SystemClock.now()).await?;
    let elapsed = stopwatch.elapsed();
    store.resume().await?;
    Ok(elapsed)
}

fn rounds() -> usize {
    if is_measurement() { 15 } else { 1 }
}

fn report(rows: usize, load: &str, times: &mut [Duration]) {
    let p50 = p50(times);
    let maximum = times.last().copied().unwrap_or_default();
    println!("{rows} rows, rollback {load}: p50 {p50:.1} ms, maximum {:.1} ms (limit 100)", millis(maximum));
}

fn p50(times: &mut [Duration]) -> f64 {
    millis(median(times))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
