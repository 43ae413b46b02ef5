//! Storing, beside the bare client that inserts the same rows into the same kind of table in the same run.
//!
//! `cargo bench -p bridge-benches --bench store`. On an embedded engine of its own.
#![allow(clippy::print_stdout, reason = "a program for people")]

mod bare;

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

use bare::Bare;

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
    let bare = Bare::new(endpoint, "bridge_bench").await?;

    let single = single(&store, &bare, 400 / scale).await?;
    batches(&store, &bare, (40 / scale).max(2)).await?;
    session_sync(&store, single, (100 / scale).max(2)).await?;
    bulk(&store, &bare, 1_000_000 / scale).await?;
    drop(engine);
    Ok(())
}

/// Responses that are nobody else's.
fn responses(first: u128, number: usize) -> Vec<ResponseUsage> {
    let session = SessionId::new(format!("session-{}", first % 97)).expect("a short name");
    let time = Timestamp::from_millis(1_772_323_200_000).expect("a time in range");
    (first..)
        .take(number)
        .map(|key| {
            // Spread over all keys, as hashes are.
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
    let id = AnalysisId::new(format!("analysis-{first}")).expect("a short name");
    let (session, time) = (rows[0].session.clone(), rows[0].time);
    EnhancedTokenAnalysis::from_responses(id, session, time, rows).expect("the sums are small")
}

fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among some hundred")]
    let place = (times.len() as f64 * share) as usize;
    times[place.min(times.len() - 1)]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn tell(what: &str, ours: Duration, bare: Duration, allowed: f64) {
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!("{what}: {:.2} ms, bare {:.2} ms, {ratio:.2} x (at most {allowed})", millis(ours), millis(bare));
}

/// One analysis of one response, ours and bare in turn. Answers our median.
async fn single(store: &Arc<ClickHouseStore>, bare: &Bare, rounds: usize) -> Outcome<Duration> {
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).build();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds.max(2) as u128 {
        let analysis = analysis(round, 1);
        let watch = Stopwatch::start();
        let result = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await?;
        ours.push(watch.elapsed());
        assert_eq!(result.records_stored, 1, "every analysis is new");
        let watch = Stopwatch::start();
        bare.insert(&analysis.responses).await?;
        theirs.push(watch.elapsed());
    }
    tell("one analysis, p50", quantile(&mut ours, 0.5), quantile(&mut theirs, 0.5), 1.3);
    tell("one analysis, p99", quantile(&mut ours, 0.99), quantile(&mut theirs, 0.99), 1.5);
    Ok(quantile(&mut ours, 0.5))
}

/// A hundred analyses of ten responses in a batch.
async fn batches(store: &Arc<ClickHouseStore>, bare: &Bare, rounds: usize) -> Outcome<()> {
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).build();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds as u128 {
        let analyses: Vec<_> = (0..100).map(|n| analysis((1 << 40) + round * 1_000 + n * 10, 10)).collect();
        let watch = Stopwatch::start();
        let results = bridge.batch_store_analyses(&analyses, BatchOptions::default()).await;
        ours.push(watch.elapsed());
        assert!(results.iter().all(|result| result.success), "{results:?}");
        let rows: Vec<_> = analyses.into_iter().flat_map(|analysis| analysis.responses).collect();
        let watch = Stopwatch::start();
        bare.insert(&rows).await?;
        theirs.push(watch.elapsed());
    }
    tell("100 analyses in a batch, p50", quantile(&mut ours, 0.5), quantile(&mut theirs, 0.5), 1.5);
    Ok(())
}

/// One line appended to a session of 50 MB, beside a single store.
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
        let watch = Stopwatch::start();
        let result = bridge.sync_session_tokens(&session, SyncMode::Incremental).await?;
        times.push(watch.elapsed());
        assert_eq!(result.status, SyncStatus::Changed, "{result:?}");
    }
    tell("session sync, one line on 50 MB, p50 (bare: one analysis)", quantile(&mut times, 0.5), single, 2.0);
    Ok(())
}

fn append(path: &Path, round: usize) -> Outcome<()> {
    let line = format!(
        r#"{{"type":"assistant","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_bench{round:020}","stop_reason":"end_turn","usage":{{"output_tokens":32}}}}}}"#
    );
    writeln!(File::options().append(true).open(path)?, "{line}")?;
    Ok(())
}

/// Many rows in batches of 100,000.
async fn bulk(store: &Arc<ClickHouseStore>, bare: &Bare, rows: usize) -> Outcome<()> {
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    let batch = 100_000.min(rows);
    for number in 0..rows / batch {
        let rows = responses((1 << 60) + (number * batch) as u128, batch);
        let watch = Stopwatch::start();
        store.upsert(&rows, &UpsertOptions::default()).await?;
        ours += watch.elapsed();
        let watch = Stopwatch::start();
        bare.insert(&rows).await?;
        theirs += watch.elapsed();
    }
    let rate = |took: Duration| rows as f64 / took.as_secs_f64();
    let ratio = rate(ours) / rate(theirs);
    println!("rows: {:.0} a second, bare {:.0}, {ratio:.2} x (at least 0.9)", rate(ours), rate(theirs));
    Ok(())
}
