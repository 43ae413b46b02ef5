//! Measures storing, relative to the bare client inserting the same rows into a copy of the table in the same run.
//!
//! `cargo bench -p bridge-benches --bench store`. Starts its own embedded engine.
#![allow(clippy::print_stdout, reason = "a command-line program")]

mod bare_client;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, TokenStore, UpsertOptions};
use bridge::{
    AnalysisId, BatchOptions, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, SyncMode,
    Timestamp, TokenCounts,
};
use bridge::{EnhancedTokenDatabaseBridge, StoreOptions};
use bridge_benches::is_measurement;
use bridge_core::{Stopwatch, SyncStatus};
use bridge_embedded::{Engine, EngineOptions};

use bare_client::BareClient;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Outcome<()> {
    let scale = if is_measurement() { 1 } else { 100 };
    let engine = Engine::start(&EngineOptions::ephemeral())?;
    let endpoint = engine.endpoint();
    let options = ClickHouseOptions::from_url(&endpoint.url)?
        .with_database("bridge_bench")
        .with_user(&endpoint.writer.user, &endpoint.writer.password);
    let store = Arc::new(ClickHouseStore::new(options)?);
    store.migrate().await?;
    let bare = BareClient::new(endpoint, "bridge_bench").await?;

    let single = single(&store, &bare, 400 / scale).await?;
    batches(&store, &bare, (40 / scale).max(2)).await?;
    session_sync(&store, single, (100 / scale).max(2)).await?;
    bulk(&store, &bare, 1_000_000 / scale).await?;
    drop(engine);
    Ok(())
}

/// Generates responses with unique keys.
fn responses(first: u128, number: usize) -> Vec<ResponseUsage> {
    let session = SessionId::new(format!("session-{}", first % 97)).expect("the name is short");
    let time = Timestamp::from_millis(1_772_323_200_000).expect("the constant is in range");
    (first..)
        .take(number)
        .map(|key| {
            // Distributed over the whole key range, like hashes.
            let key = ResponseKey(key.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let mut row = ResponseUsage::new(key, session.clone(), time);
            row.counts = TokenCounts { input: 10, output: 200, cache_creation: 3_000, cache_read: 40_000 };
            row.finished = true;
            row
        })
        .collect()
}

fn analysis(first: u128, number: usize) -> EnhancedTokenAnalysis {
    let rows = responses(first, number);
    let id = AnalysisId::new(format!("analysis-{first}")).expect("the name is short");
    let (session, time) = (rows[0].session.clone(), rows[0].time);
    EnhancedTokenAnalysis::from_responses(id, session, time, rows).expect("the sums are small")
}

fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below a few hundred"
    )]
    let place = (times.len() as f64 * share) as usize;
    times[place.min(times.len() - 1)]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn report(operation: &str, bridge: Duration, bare: Duration, limit: f64) {
    let ratio = bridge.as_secs_f64() / bare.as_secs_f64();
    println!(
        "{operation}: bridge {:.2} ms, bare client {:.2} ms, {ratio:.2} x (limit {limit})",
        millis(bridge),
        millis(bare)
    );
}

/// Stores analyses of one response, alternating with the bare client. Returns the bridge's median.
async fn single(store: &Arc<ClickHouseStore>, bare: &BareClient, rounds: usize) -> Outcome<Duration> {
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).build();
    let (mut bridge_times, mut bare_times) = (Vec::new(), Vec::new());
    for round in 0..rounds.max(2) as u128 {
        let analysis = analysis(round, 1);
        let stopwatch = Stopwatch::start();
        let result = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await?;
        bridge_times.push(stopwatch.elapsed());
        assert_eq!(result.records_stored, 1, "every analysis is new");
        let stopwatch = Stopwatch::start();
        bare.insert(&analysis.responses).await?;
        bare_times.push(stopwatch.elapsed());
    }
    report("one analysis, p50", quantile(&mut bridge_times, 0.5), quantile(&mut bare_times, 0.5), 1.3);
    report("one analysis, p99", quantile(&mut bridge_times, 0.99), quantile(&mut bare_times, 0.99), 1.5);
    Ok(quantile(&mut bridge_times, 0.5))
}

/// Stores batches of a hundred analyses with ten responses each.
async fn batches(store: &Arc<ClickHouseStore>, bare: &BareClient, rounds: usize) -> Outcome<()> {
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).build();
    let (mut bridge_times, mut bare_times) = (Vec::new(), Vec::new());
    for round in 0..rounds as u128 {
        let analyses: Vec<_> = (0..100).map(|n| analysis((1 << 40) + round * 1_000 + n * 10, 10)).collect();
        let stopwatch = Stopwatch::start();
        let results = bridge.batch_store_analyses(&analyses, BatchOptions::default()).await;
        bridge_times.push(stopwatch.elapsed());
        assert!(results.iter().all(|result| result.success), "{results:?}");
        let rows: Vec<_> = analyses.into_iter().flat_map(|analysis| analysis.responses).collect();
        let stopwatch = Stopwatch::start();
        bare.insert(&rows).await?;
        bare_times.push(stopwatch.elapsed());
    }
    report(
        "100 analyses in a batch, p50",
        quantile(&mut bridge_times, 0.5),
        quantile(&mut bare_times, 0.5),
        1.5,
    );
    Ok(())
}

/// Synchronizes one appended line of a session of 50 MB, relative to storing one analysis.
async fn session_sync(store: &Arc<ClickHouseStore>, single: Duration, rounds: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("big.jsonl");
    let filler = format!("{{\"type\":\"user\",\"message\":{{\"content\":\"{}\"}}}}\n", "x".repeat(50_000));
    std::fs::write(&path, filler.repeat(1_000))?;
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).sources([folder.path()]).build();
    let session = SessionId::new("big")?;
    let _ = bridge.sync_session_tokens(&session, SyncMode::Incremental).await?;
    let mut times = Vec::new();
    for round in 0..rounds {
        append(&path, round)?;
        let stopwatch = Stopwatch::start();
        let result = bridge.sync_session_tokens(&session, SyncMode::Incremental).await?;
        times.push(stopwatch.elapsed());
        assert_eq!(result.status, SyncStatus::Changed, "{result:?}");
    }
    report(
        "session sync, one line on 50 MB, p50 (instead of the bare client: one analysis)",
        quantile(&mut times, 0.5),
        single,
        2.0,
    );
    Ok(())
}

fn append(path: &Path, round: usize) -> Outcome<()> {
    let line = format!(
        r#"{{"type":"assistant","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_bench{round:020}","stop_reason":"end_turn","usage":{{"output_tokens":32}}}}}}"#
    );
    writeln!(File::options().append(true).open(path)?, "{line}")?;
    Ok(())
}

/// Stores many rows in batches of 100,000.
async fn bulk(store: &Arc<ClickHouseStore>, bare: &BareClient, rows: usize) -> Outcome<()> {
    let (mut bridge_time, mut bare_time) = (Duration::ZERO, Duration::ZERO);
    let batch = 100_000.min(rows);
    for number in 0..rows / batch {
        let rows = responses((1 << 60) + (number * batch) as u128, batch);
        let stopwatch = Stopwatch::start();
        store.upsert(&rows, &UpsertOptions::default()).await?;
        bridge_time += stopwatch.elapsed();
        let stopwatch = Stopwatch::start();
        bare.insert(&rows).await?;
        bare_time += stopwatch.elapsed();
    }
    let rate = |elapsed: Duration| rows as f64 / elapsed.as_secs_f64();
    let ratio = rate(bridge_time) / rate(bare_time);
    println!(
        "bulk: bridge {:.0} rows/s, bare client {:.0} rows/s, {ratio:.2} x (at least 0.9)",
        rate(bridge_time),
        rate(bare_time)
    );
    Ok(())
}
