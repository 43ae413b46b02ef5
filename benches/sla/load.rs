//! The specification's load: every operation as often at once as its service levels say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bridge::storage::{ResponseFilter, TokenStore};
use bridge::{BackfillOptions, BatchOptions, EnhancedTokenDatabaseBridge, StoreOptions, SyncMode};
use bridge::{EnhancedTokenAnalysis, SessionId, SyncStatus};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::measured::{Job, Measured};
use crate::ours::{analysis, append, store};

/// Callers that store, that store batches, and that synchronize; one more backfills.
const STORING: usize = 10;
const BATCHING: usize = 5;
const SYNCHRONIZING: usize = 10;

/// Operations of each caller.
const STORES: usize = 100;
const BATCHES: usize = 20;
const SYNCS: usize = 20;
const BACKFILLS: usize = 5;

/// How the operations of all callers ended.
#[derive(Default)]
struct Tally {
    operations: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    fn count(&self, succeeded: bool) {
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
    }
}

/// Measures how many operations fail while all are made at once. What succeeded must be stored.
pub(crate) async fn load(job: &Job) -> Outcome<Measured> {
    let store = store(job).await?;
    let folder = Arc::new(tempfile::tempdir()?);
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone())
        .sources([job.history.as_path(), folder.path()])
        .build();
    let tally = Arc::new(Tally::default());
    let mut callers = JoinSet::new();
    for caller in 0..STORING {
        callers.spawn(store_each(job.clone(), bridge.clone(), Arc::clone(&tally), caller));
    }
    for caller in STORING..STORING + BATCHING {
        callers.spawn(store_batches(job.clone(), bridge.clone(), Arc::clone(&tally), caller));
    }
    for caller in 0..SYNCHRONIZING {
        let folder = Arc::clone(&folder);
        callers.spawn(synchronize(job.clone(), bridge.clone(), Arc::clone(&tally), folder, caller));
    }
    callers.spawn(backfill(job.clone(), bridge.clone(), Arc::clone(&tally)));
    while let Some(ended) = callers.join_next().await {
        ended?;
    }
    let all = tally.operations.load(Ordering::Relaxed);
    let failures = tally.failures.load(Ordering::Relaxed);
    let written = (job.rounds(STORES) * STORING + job.rounds(BATCHES) * BATCHING * 1_000) as u64;
    let session = ResponseFilter::of_sessions(sessions_of_callers(job));
    let stored = store.totals(&session).await?.responses;
    if failures == 0 && stored != written {
        return Err(format!("{stored} responses are stored of {written} that were acknowledged").into());
    }
    let detail = format!(
        "{STORING} storing, {BATCHING} storing batches, {SYNCHRONIZING} synchronizing and a backfill at once"
    );
    Ok(Measured { operations: all, failures, detail, ..Measured::default() })
}

/// The analyses of a caller's round bear its place in their session's name, as [`analysis`] gives it.
fn place(caller: usize, round: usize) -> u128 {
    ((caller << 32) + round * 1_000) as u128
}

fn sessions_of_callers(job: &Job) -> Vec<SessionId> {
    let singles =
        (0..STORING).flat_map(|caller| (0..job.rounds(STORES)).map(move |round| place(caller, round)));
    let batches = (STORING..STORING + BATCHING).flat_map(|caller| {
        (0..job.rounds(BATCHES))
            .flat_map(move |round| (0..100).map(move |part| place(caller, round) + 10 * part))
    });
    let name = |place: u128| SessionId::new(format!("analysis-{place}")).expect("a short name");
    singles.chain(batches).map(name).collect()
}

async fn store_each(job: Job, bridge: EnhancedTokenDatabaseBridge, tally: Arc<Tally>, caller: usize) {
    for round in 0..job.rounds(STORES) {
        let analysis = analysis(place(caller, round), 1);
        let stored = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await;
        tally.count(stored.is_ok_and(|result| result.success));
    }
}

async fn store_batches(job: Job, bridge: EnhancedTokenDatabaseBridge, tally: Arc<Tally>, caller: usize) {
    for round in 0..job.rounds(BATCHES) {
        let first = place(caller, round);
        let analyses: Vec<EnhancedTokenAnalysis> =
            (0..100).map(|part| analysis(first + 10 * part, 10)).collect();
        for result in bridge.batch_store_analyses(&analyses, BatchOptions::default()).await {
            tally.count(result.success);
        }
    }
}

async fn synchronize(
    job: Job,
    bridge: EnhancedTokenDatabaseBridge,
    tally: Arc<Tally>,
    folder: Arc<TempDir>,
    caller: usize,
) {
    let name = format!("load-{caller}");
    let path = folder.path().join(format!("{name}.jsonl"));
    if std::fs::write(&path, "").is_err() {
        return tally.count(false);
    }
    let session = SessionId::new(name).expect("a short name");
    for round in 0..job.rounds(SYNCS) {
        // The keys of other callers begin elsewhere.
        let appended = append(&path, 1_000 + caller, round).is_ok();
        let result = bridge.sync_session_tokens(&session, SyncMode::Incremental).await;
        let synchronized = result.is_ok_and(|result| result.status != SyncStatus::Failed);
        tally.count(appended && synchronized);
    }
}

async fn backfill(job: Job, bridge: EnhancedTokenDatabaseBridge, tally: Arc<Tally>) {
    for _ in 0..job.rounds(BACKFILLS) {
        let result = bridge.backfill_historical_data(BackfillOptions::default()).await;
        tally.count(result.is_ok_and(|result| result.success));
    }
}
