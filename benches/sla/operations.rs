//! Measures the bridge's operations.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, TokenStore};
use bridge::{
    AnalysisId, BatchOptions, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, SyncMode,
    SyncOptions, SyncStatus, TimeRange, Timestamp, TokenCounts,
};
use bridge::{
    AuditOptions, BackfillOptions, BridgeBuilder, EnhancedTokenDatabaseBridge, ModelName, StoreOptions,
};
use bridge_core::Stopwatch;
use bridge_embedded::{Credentials, Engine, EngineOptions};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::job::{Job, Measurement};

/// Total numbers of operations with one row and with a thousand rows, over all callers.
pub(crate) const SINGLES: usize = 1_000;
pub(crate) const BATCHES: usize = 100;
const SYNCS: usize = 200;

/// Opens the job's store and creates its tables.
pub(crate) async fn store(job: &Job) -> Outcome<Arc<ClickHouseStore>> {
    let store = store_as(job, &job.endpoint.writer)?;
    store.migrate().await?;
    Ok(store)
}

/// Opens the job's store as this user.
pub(crate) fn store_as(job: &Job, user: &Credentials) -> Outcome<Arc<ClickHouseStore>> {
    let options = ClickHouseOptions::from_url(&job.endpoint.url)?
        .with_database(&job.database())
        .with_user(&user.user, &user.password);
    Ok(Arc::new(ClickHouseStore::new(options)?))
}

/// Returns a builder on the job's store. As in a configured bridge, the audit has a spool.
pub(crate) async fn builder(job: &Job) -> Outcome<BridgeBuilder> {
    let spool = tempfile::tempdir()?;
    let audit = AuditOptions::default().with_spool_dir(spool.path());
    Ok(EnhancedTokenDatabaseBridge::builder(store(job).await?).audit(audit).keep(spool))
}

const MODELS: [&str; 7] = [
    "claude-opus-4-20250514",
    "claude-sonnet-4-20250514",
    "claude-3-7-sonnet-20250219",
    "claude-3-5-haiku-20241022",
    "gpt-4.1",
    "gemini-2.5-pro",
    "a-model-without-a-price",
];

/// Generates responses with unique keys, distributed over sessions and days.
pub(crate) fn responses(first: u128, number: usize) -> Vec<ResponseUsage> {
    let row = |place: u128| {
        // Distributed over the whole key range, like hashes.
        let key = ResponseKey(place.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let session = SessionId::new(format!("session-{}", place / 1_000)).expect("the name is short");
        let time = 1_750_000_000_000 + i64::try_from(place % 30_000_000_000).expect("the remainder fits");
        let mut row =
            ResponseUsage::new(key, session, Timestamp::from_millis(time).expect("the time is in range"));
        row.counts = TokenCounts { input: 10, output: 200, cache_creation: 3_000, cache_read: 40_000 };
        row.cache_creation_1h = 1_000;
        // Each session has two models, one in seven of which has no price.
        let model = MODELS[usize::try_from((place / 1_000 + place / 10 % 2) % 7).expect("a remainder of 7")];
        row.model = Some(ModelName::new(model).expect("the name is short"));
        row.finished = true;
        row
    };
    (first..).take(number).map(row).collect()
}

pub(crate) fn analysis(first: u128, number: usize) -> EnhancedTokenAnalysis {
    let session = SessionId::new(format!("analysis-{first}")).expect("the name is short");
    let mut rows = responses(first, number);
    rows.iter_mut().for_each(|row| row.session = session.clone());
    let id = AnalysisId::new(session.as_str()).expect("the name is short");
    let time = rows[0].time;
    EnhancedTokenAnalysis::from_responses(id, session, time, rows).expect("the sums are small")
}

/// Runs the operation with the job's concurrency, each caller sequentially.
async fn run_concurrently<F>(
    job: &Job,
    operations: usize,
    operation: impl Fn(usize, usize) -> F + Clone + Send + Sync + 'static,
) -> Outcome<Measurement>
where
    F: Future<Output = Result<Duration, String>> + Send,
{
    let mut measured = Measurement::default();
    let mut running = JoinSet::new();
    for caller in 0..job.concurrency {
        let (operation, rounds) = (operation.clone(), job.rounds(operations / job.concurrency));
        running.spawn(async move {
            let mut times = Vec::with_capacity(rounds);
            for round in 0..rounds {
                times.push(operation(caller, round).await?);
            }
            Ok::<_, String>(times)
        });
    }
    while let Some(times) = running.join_next().await {
        measured.times.extend(times??);
    }
    Ok(measured)
}

pub(crate) async fn single(job: &Job) -> Outcome<Measurement> {
    let bridge = builder(job).await?.build();
    run_concurrently(job, SINGLES, move |caller, round| {
        let bridge = bridge.clone();
        async move {
            let analysis = analysis(((caller << 32) + round) as u128, 1);
            let stopwatch = Stopwatch::start();
            let result = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await;
            let elapsed = stopwatch.elapsed();
            let stored = result.map_err(|error| error.to_string())?.records_stored;
            if stored == 1 { Ok(elapsed) } else { Err(format!("{stored} rows were stored")) }
        }
    })
    .await
}

pub(crate) async fn batch(job: &Job) -> Outcome<Measurement> {
    let bridge = builder(job).await?.build();
    run_concurrently(job, BATCHES, move |caller, round| {
        let bridge = bridge.clone();
        async move {
            let first = ((caller << 32) + round * 1_000) as u128;
            let analyses: Vec<_> = (0..100).map(|number| analysis(first + 10 * number, 10)).collect();
            let stopwatch = Stopwatch::start();
            let results = bridge.batch_store_analyses(&analyses, BatchOptions::default()).await;
            let elapsed = stopwatch.elapsed();
            match results.into_iter().find(|result| result.records_stored != 10) {
                None => Ok(elapsed),
                Some(result) => Err(format!("{result:?}")),
            }
        }
    })
    .await
}

/// Appends a line to a session of 50 MB and synchronizes it. Each caller has its own session.
pub(crate) async fn sync(job: &Job) -> Outcome<Measurement> {
    let folder = Arc::new(tempfile::tempdir()?);
    let filler = format!("{{\"type\":\"user\",\"message\":{{\"content\":\"{}\"}}}}\n", "x".repeat(50_000));
    let lines = if job.small { 10 } else { 1_000 };
    for caller in 0..job.concurrency {
        let mut file = File::create(folder.path().join(format!("big-{caller}.jsonl")))?;
        (0..lines).try_for_each(|_| file.write_all(filler.as_bytes()))?;
    }
    let bridge = builder(job).await?.sources([folder.path()]).build();
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await?;
    run_concurrently(job, SYNCS, move |caller, round| {
        let (bridge, folder) = (bridge.clone(), Arc::clone(&folder));
        async move {
            let name = format!("big-{caller}");
            append(&folder.path().join(format!("{name}.jsonl")), caller, round)
                .map_err(|error| error.to_string())?;
            let session = SessionId::new(name).expect("the name is short");
            let stopwatch = Stopwatch::start();
            let result = bridge
                .sync_session_tokens(&session, SyncMode::Incremental)
                .await
                .map_err(|error| error.to_string())?;
            let elapsed = stopwatch.elapsed();
            // Another caller's synchronization may have stored the line already.
            let expected = u64::try_from(round + 1).expect("the number of rounds is small") * 32;
            match result.status {
                SyncStatus::Changed | SyncStatus::Unchanged if result.tokens_after == expected => Ok(elapsed),
                _ => Err(format!("{result:?}")),
            }
        }
    })
    .await
}

pub(crate) fn append(path: &Path, caller: usize, round: usize) -> std::io::Result<()> {
    let line = format!(
        r#"{{"type":"assistant","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_{caller:010}{round:014}","stop_reason":"end_turn","usage":{{"output_tokens":32}}}}}}"#
    );
    writeln!(File::options().append(true).open(path)?, "{line}")
}

pub(crate) async fn backfill(job: &Job) -> Outcome<Measurement> {
    let mut measured = Measurement::default();
    for round in 0..job.rounds(5) {
        let job = Job { name: format!("backfill{round}"), ..job.clone() };
        let bridge = builder(&job).await?.sources([&job.history]).build();
        let stopwatch = Stopwatch::start();
        let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
        measured.times.push(stopwatch.elapsed());
        let displayed = bridge.dashboard().get_dashboard_token_metrics(TimeRange::ALL).await?.total_tokens;
        let (tokens, megabytes) = (result.total_tokens_stored, result.analysis.bytes / 1_000_000);
        if displayed != tokens {
            return Err(format!("the dashboard displays {displayed} tokens instead of {tokens}").into());
        }
        measured.detail = format!("{} files, {megabytes} MB, {tokens} tokens", result.total_files_processed);
    }
    Ok(measured)
}

/// Backfills into a new engine, including its start: a user's first run when the engine is already downloaded.
pub(crate) async fn cold(job: &Job) -> Outcome<Measurement> {
    let mut measured = Measurement::default();
    for _ in 0..job.rounds(5) {
        let stopwatch = Stopwatch::start();
        let engine = tokio::task::spawn_blocking(|| Engine::start(&EngineOptions::ephemeral())).await??;
        let job = Job { endpoint: engine.endpoint().clone(), ..job.clone() };
        let bridge = builder(&job).await?.sources([&job.history]).build();
        let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
        measured.times.push(stopwatch.elapsed());
    }
    Ok(measured)
}
