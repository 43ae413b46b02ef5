//! The bridge's operations.

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
use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, StoreOptions};
use bridge_core::Stopwatch;
use bridge_embedded::{Credentials, Engine, EngineOptions};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::measured::{Job, Measured};

/// Operations of one row and of a thousand, over all callers.
pub(crate) const SINGLES: usize = 1_000;
pub(crate) const BATCHES: usize = 100;
const SYNCS: usize = 200;

/// The store of the job, its tables made.
pub(crate) async fn store(job: &Job) -> Outcome<Arc<ClickHouseStore>> {
    let store = store_as(job, &job.endpoint.writer)?;
    store.migrate().await?;
    Ok(store)
}

/// The store of the job for this user.
pub(crate) fn store_as(job: &Job, user: &Credentials) -> Outcome<Arc<ClickHouseStore>> {
    let options = ClickHouseOptions::from_url(&job.endpoint.url)?
        .with_database(&job.database())
        .with_user(&user.user, &user.password);
    Ok(Arc::new(ClickHouseStore::new(options)?))
}

/// Responses that are nobody else's, each session and day with some.
pub(crate) fn responses(first: u128, number: usize) -> Vec<ResponseUsage> {
    let row = |place: u128| {
        // Spread over all keys, as hashes are.
        let key = ResponseKey(place.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let session = SessionId::new(format!("session-{}", place / 1_000)).expect("a short name");
        let time = 1_750_000_000_000 + i64::try_from(place % 30_000_000_000).expect("a remainder of this");
        let mut row =
            ResponseUsage::new(key, session, Timestamp::from_millis(time).expect("a time in range"));
        row.counts = TokenCounts { input: 10, output: 200, cache_creation: 3_000, cache_read: 40_000 };
        row.finished = true;
        row
    };
    (first..).take(number).map(row).collect()
}

pub(crate) fn analysis(first: u128, number: usize) -> EnhancedTokenAnalysis {
    let session = SessionId::new(format!("analysis-{first}")).expect("a short name");
    let mut rows = responses(first, number);
    rows.iter_mut().for_each(|row| row.session = session.clone());
    let id = AnalysisId::new(session.as_str()).expect("a short name");
    let time = rows[0].time;
    EnhancedTokenAnalysis::from_responses(id, session, time, rows).expect("the sums are small")
}

/// Runs an operation by so many callers at once, each so often one after the other.
async fn each_caller<F>(
    job: &Job,
    operations: usize,
    operation: impl Fn(usize, usize) -> F + Clone + Send + Sync + 'static,
) -> Outcome<Measured>
where
    F: Future<Output = Result<Duration, String>> + Send,
{
    let mut measured = Measured { before_mib: bridge::peak_memory_mib(), ..Measured::default() };
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

pub(crate) async fn single(job: &Job) -> Outcome<Measured> {
    let bridge = EnhancedTokenDatabaseBridge::builder(store(job).await?).build();
    each_caller(job, SINGLES, move |caller, round| {
        let bridge = bridge.clone();
        async move {
            let analysis = analysis(((caller << 32) + round) as u128, 1);
            let watch = Stopwatch::start();
            let result = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await;
            let took = watch.elapsed();
            let stored = result.map_err(|error| error.to_string())?.records_stored;
            if stored == 1 { Ok(took) } else { Err(format!("{stored} rows were stored")) }
        }
    })
    .await
}

pub(crate) async fn batch(job: &Job) -> Outcome<Measured> {
    let bridge = EnhancedTokenDatabaseBridge::builder(store(job).await?).build();
    each_caller(job, BATCHES, move |caller, round| {
        let bridge = bridge.clone();
        async move {
            let first = ((caller << 32) + round * 1_000) as u128;
            let analyses: Vec<_> = (0..100).map(|number| analysis(first + 10 * number, 10)).collect();
            let watch = Stopwatch::start();
            let results = bridge.batch_store_analyses(&analyses, BatchOptions::default()).await;
            let took = watch.elapsed();
            match results.into_iter().find(|result| result.records_stored != 10) {
                None => Ok(took),
                Some(result) => Err(format!("{result:?}")),
            }
        }
    })
    .await
}

/// A line is appended to one of as many sessions of 50 MB as there are callers.
pub(crate) async fn sync(job: &Job) -> Outcome<Measured> {
    let folder = Arc::new(tempfile::tempdir()?);
    let filler = format!("{{\"type\":\"user\",\"message\":{{\"content\":\"{}\"}}}}\n", "x".repeat(50_000));
    let lines = if job.small { 10 } else { 1_000 };
    for caller in 0..job.concurrency {
        let mut file = File::create(folder.path().join(format!("big-{caller}.jsonl")))?;
        (0..lines).try_for_each(|_| file.write_all(filler.as_bytes()))?;
    }
    let bridge = EnhancedTokenDatabaseBridge::builder(store(job).await?).sources([folder.path()]).build();
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await?;
    each_caller(job, SYNCS, move |caller, round| {
        let (bridge, folder) = (bridge.clone(), Arc::clone(&folder));
        async move {
            let name = format!("big-{caller}");
            append(&folder.path().join(format!("{name}.jsonl")), caller, round)
                .map_err(|error| error.to_string())?;
            let session = SessionId::new(name).expect("a short name");
            let watch = Stopwatch::start();
            let result = bridge
                .sync_session_tokens(&session, SyncMode::Incremental)
                .await
                .map_err(|error| error.to_string())?;
            let took = watch.elapsed();
            // Another caller's synchronization may have stored the line already.
            let known = u64::try_from(round + 1).expect("few rounds") * 32;
            match result.status {
                SyncStatus::Changed | SyncStatus::Unchanged if result.tokens_after == known => Ok(took),
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

pub(crate) async fn backfill(job: &Job) -> Outcome<Measured> {
    let mut measured = Measured::default();
    for round in 0..job.rounds(5) {
        let place = Job { name: format!("backfill{round}"), ..job.clone() };
        let store = store(&place).await?;
        let bridge = EnhancedTokenDatabaseBridge::builder(store).sources([&job.history]).build();
        let watch = Stopwatch::start();
        let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
        measured.times.push(watch.elapsed());
        let shown = bridge.dashboard().get_dashboard_token_metrics(TimeRange::ALL).await?.total_tokens;
        let (tokens, megabytes) = (result.total_tokens_stored, result.analysis.bytes / 1_000_000);
        if shown != tokens {
            return Err(format!("the dashboard shows {shown} tokens of {tokens}").into());
        }
        measured.detail = format!("{} files, {megabytes} MB, {tokens} tokens", result.total_files_processed);
    }
    Ok(measured)
}

/// On an engine that is started for it: what somebody waits for who has nothing yet but the engine's file.
pub(crate) async fn cold(job: &Job) -> Outcome<Measured> {
    let mut measured = Measured::default();
    for _ in 0..job.rounds(5) {
        let watch = Stopwatch::start();
        let engine = tokio::task::spawn_blocking(|| Engine::start(&EngineOptions::ephemeral())).await??;
        let place = Job { endpoint: engine.endpoint().clone(), ..job.clone() };
        let store = store(&place).await?;
        let bridge = EnhancedTokenDatabaseBridge::builder(store).sources([&job.history]).build();
        let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
        measured.times.push(watch.elapsed());
    }
    Ok(measured)
}
