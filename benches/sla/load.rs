//! Runs all operations concurrently, each at the concurrency of its service level in the specification.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bridge::storage::ResponseFilter;
use bridge::{BackfillOptions, BatchOptions, EnhancedTokenDatabaseBridge, StoreOptions, SyncMode};
use bridge::{EnhancedTokenAnalysis, SessionId, SyncStatus};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::job::{Job, Measurement};
use crate::operations::{analysis, append, builder};

/// Number of callers that store single analyses, store batches, and synchronize; one more runs backfills.
const STORING: usize = 10;
const BATCHING: usize = 5;
const SYNCHRONIZING: usize = 10;

/// Number of operations per caller.
const STORES: usize = 100;
const BATCHES: usize = 20;
const SYNCS: usize = 20;
const BACKFILLS: usize = 5;

/// Counts the operations of all callers and their failures.
#[derive(Default)]
struct OperationCounters {
    operations: AtomicU64,
    failures: AtomicU64,
}

impl OperationCounters {
    fn record(&self, succeeded: bool) {
        self.operations.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
    }
}

/// Counts failures while all operations run concurrently. Everything that was acknowledged must be stored.
pub(crate) async fn load(job: &Job) -> Outcome<Measurement> {
    let folder = Arc::new(tempfile::tempdir()?);
    let bridge = builder(job).await?.sources([job.history.as_path(), folder.path()]).build();
    let counters = Arc::new(OperationCounters::default());
    let mut callers = JoinSet::new();
    for caller in 0..STORING {
        callers.spawn(store_each(job.clone(), bridge.clone(), Arc::clone(&counters), caller));
    }
    for caller in STORING..STORING + BATCHING {
        callers.spawn(store_batches(job.clone(), bridge.clone(), Arc::clone(&counters), caller));
    }
    for caller in 0..SYNCHRONIZING {
        let folder = Arc::clone(&folder);
        callers.spawn(synchronize(job.clone(), bridge.clone(), Arc::clone(&counters), folder, caller));
    }
    callers.spawn(backfill(job.clone(), bridge.clone(), Arc::clone(&counters)));
    while let Some(ended) = callers.join_next().await {
        ended?;
    }
    let operations = counters.operations.load(Ordering::Relaxed);
    let failures = counters.failures.load(Ordering::Relaxed);
    let written = (job.rounds(STORES) * STORING + job.rounds(BATCHES) * BATCHING * 1_000) as u64;
    let session = ResponseFilter::of_sessions(sessions_of_callers(job));
    let stored = bridge.token_store().totals(&session).await?.responses;
    if failures == 0 && stored != written {
        return Err(format!("only {stored} of {written} acknowledged responses are stored").into());
    }
    let detail =
        format!("{STORING} stores, {BATCHING} batches, {SYNCHRONIZING} syncs and a backfill concurrently");
    Ok(Measurement { operations, failures, detail, ..Measurement::default() })
}

/// Returns the first key of a caller's round. The names of its sessions contain the key; see [`analysis`].
fn first_key(caller: usize, round: usize) -> u128 {
    ((caller << 32) + round * 1_000) as u128
}

fn sessions_of_callers(job: &Job) -> Vec<SessionId> {
    let singles =
        (0..STORING).flat_map(|caller| (0..job.rounds(STORES)).map(move |round| first_key(caller, round)));
    let batches = (STORING..STORING + BATCHING).flat_map(|caller| {
        (0..job.rounds(BATCHES))
            .flat_map(move |round| (0..100).map(move |part| first_key(caller, round) + 10 * part))
    });
    let name = |key: u128| SessionId::new(format!("analysis-{key}")).expect("the name is short");
    singles.chain(batches).map(name).collect()
}

async fn store_each(
    job: Job,
    bridge: EnhancedTokenDatabaseBridge,
    counters: Arc<OperationCounters>,
    caller: usize,
) {
    for round in 0..job.rounds(STORES) {
        let analysis = analysis(first_key(caller, round), 1);
        let stored = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await;
        counters.record(stored.is_ok_and(|result| result.success));
    }
}

async fn store_batches(
    job: Job,
    bridge: EnhancedTokenDatabaseBridge,
    counters: Arc<OperationCounters>,
    caller: usize,
) {
    for round in 0..job.rounds(BATCHES) {
        let first = first_key(caller, round);
        let analyses: Vec<EnhancedTokenAnalysis> =
            (0..100).map(|part| analysis(first + 10 * part, 10)).collect();
        for result in bridge.batch_store_analyses(&analyses, BatchOptions::default()).await {
            counters.record(result.success);
        }
    }
}

async fn synchronize(
    job: Job,
    bridge: EnhancedTokenDatabaseBridge,
    counters: Arc<OperationCounters>,
    folder: Arc<TempDir>,
    caller: usize,
) {
    let name = format!("load-{caller}");
    let path = folder.path().join(format!("{name}.jsonl"));
    if std::fs::write(&path, "").is_err() {
        return counters.record(false);
    }
    let session = SessionId::new(name).expect("the name is short");
    for round in 0..job.rounds(SYNCS) {
        // The offset separates these keys from those of the `sync` measurement.
        let appended = append(&path, 1_000 + caller, round).is_ok();
        let result = bridge.sync_session_tokens(&session, SyncMode::Incremental).await;
        let synchronized = result.is_ok_and(|result| result.status != SyncStatus::Failed);
        counters.record(appended && synchronized);
    }
}

async fn backfill(job: Job, bridge: EnhancedTokenDatabaseBridge, counters: Arc<OperationCounters>) {
    for _ in 0..job.rounds(BACKFILLS) {
        let result = bridge.backfill_historical_data(BackfillOptions::default()).await;
        counters.record(result.is_ok_and(|result| result.success));
    }
}
