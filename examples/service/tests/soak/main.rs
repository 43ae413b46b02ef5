//! A history that grows under the service, while the engine is killed twice and the network is cut and goes silent. At
//! the end the database equals a fresh analysis, and the service's memory did not grow.
//!
//! 20 seconds by default; `SOAK_SECONDS=600 cargo test --release -p service --test soak -- --nocapture` for ten
//! minutes.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod growth;
mod process;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bridge::analysis::AnalyzerOptions;
use bridge::embedded::{Engine, EngineOptions};
use bridge::storage::{ClickHouseOptions, ClickHouseStore, InMemoryStore, ResponseFilter, TokenStore};
use bridge::{EnhancedTokenDatabaseBridge, ResponseKey, Stopwatch, SyncOptions};
use bridge_testkit::proxy::{Fault, FaultProxy};

use growth::Growth;
use process::Service;

/// Time within which the database catches up after the last write.
const CATCH_UP: Duration = Duration::from_mins(2);
/// Pause between two writes.
const PAUSE: Duration = Duration::from_millis(20);
/// A service that has been running for minutes may have this much more memory at the end than in the middle.
const GROWTH_MIB_MAX: f64 = 16.0;
/// The upper limit of any run.
const MIB_MAX: f64 = 200.0;

/// What happens to the database, at which share of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    KillEngine,
    Network(Fault),
}

const EVENTS: [(f64, Event); 6] = [
    (0.2, Event::KillEngine),
    (0.4, Event::Network(Fault::Closed)),
    (0.5, Event::Network(Fault::None)),
    (0.6, Event::KillEngine),
    (0.75, Event::Network(Fault::Silent)),
    (0.8, Event::Network(Fault::None)),
];

fn duration() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}

#[test]
fn a_growing_history_is_stored_exactly_through_outages_in_flat_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
    let endpoint = engine.endpoint().clone();
    let upstream = endpoint.url.strip_prefix("http://").unwrap().to_owned();
    let proxy = runtime.block_on(FaultProxy::before(&upstream)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let projects = folder.path().join("projects");
    let mut growth = Growth::new(&projects);
    (0..50).for_each(|_| growth.step());
    let mut service = Service::start(folder.path(), proxy.host(), &endpoint);

    let (duration, began) = (duration(), Stopwatch::start());
    let mut events = EVENTS.into_iter().peekable();
    let mut memory = Vec::new();
    while began.elapsed() < duration {
        growth.step();
        if let Some((_, event)) = events.next_if(|(share, _)| began.elapsed() >= duration.mul_f64(*share)) {
            match event {
                Event::KillEngine => process::kill(engine.engine_pid().unwrap()),
                Event::Network(fault) => proxy.set(fault),
            }
        }
        if began.elapsed() >= Duration::from_secs(memory.len() as u64) {
            memory.push(service.resident_mib());
        }
        assert!(service.is_running(), "the service ended");
        thread::sleep(PAUSE);
    }
    growth.finish();

    let store = store(&endpoint);
    let fresh = runtime.block_on(fresh(&projects));
    let expected: u64 = fresh.values().map(|counted| counted.1).sum();
    let caught_up = Stopwatch::start();
    loop {
        let totals = runtime.block_on(store.totals(&ResponseFilter::default())).unwrap();
        if totals.counts.total() == expected && totals.responses == fresh.len() as u64 {
            break;
        }
        let total = totals.counts.total();
        assert!(
            caught_up.elapsed() < CATCH_UP,
            "{total} tokens in the database, {expected} in the transcripts"
        );
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(runtime.block_on(counted(&*store)), fresh);

    let metrics = service.metrics();
    println!("{} seconds, {}", duration.as_secs(), growth.figures());
    println!(
        "{} responses, {expected} tokens; caught up after {:.1} s",
        fresh.len(),
        caught_up.elapsed().as_secs_f64()
    );
    for name in [
        "bridge_read_bytes_total",
        "bridge_rows_written_total",
        "bridge_store_retries_total",
        "bridge_errors_total",
    ] {
        println!("{name} {}", metrics.get(name).copied().unwrap_or_default());
    }
    print_memory(&memory);
    assert!(memory.iter().all(|mib| *mib < MIB_MAX), "{memory:?}");
    if duration >= Duration::from_mins(2) {
        let quarter = memory.len() / 4;
        let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
        let (middle, end) = (most(&memory[quarter..2 * quarter]), most(&memory[3 * quarter..]));
        assert!(end < middle + GROWTH_MIB_MAX, "{middle:.0} MiB in the middle, {end:.0} MiB at the end");
    }
    service.end();
}

fn print_memory(memory: &[f64]) {
    let at = |share: usize| memory[(memory.len() - 1) * share / 4];
    println!(
        "memory of the service: {:.0}, {:.0}, {:.0}, {:.0}, {:.0} MiB at the quarters, {:.0} MiB at most",
        at(0),
        at(1),
        at(2),
        at(3),
        at(4),
        memory.iter().copied().fold(0.0, f64::max)
    );
}

/// The counted responses: session and tokens of each.
type Counted = BTreeMap<ResponseKey, (String, u64)>;

async fn counted(store: &dyn TokenStore) -> Counted {
    let responses = store.responses(&ResponseFilter::default()).await.unwrap();
    let counted = responses.into_iter().filter(|response| response.origin.is_counted());
    counted.map(|row| (row.key, (row.session.to_string(), row.counts.total()))).collect()
}

/// What a new analysis of all transcripts counts.
async fn fresh(projects: &Path) -> Counted {
    let store = Arc::new(InMemoryStore::default());
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone())
        .sources([projects])
        .analyzer(AnalyzerOptions::default())
        .build();
    let results = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    assert!(results.iter().all(|result| result.errors.is_empty()));
    counted(&*store).await
}

fn store(endpoint: &bridge::embedded::Endpoint) -> Arc<ClickHouseStore> {
    let options = ClickHouseOptions::from_url(&endpoint.url)
        .unwrap()
        .with_database(&endpoint.database)
        .with_user(&endpoint.writer.user, &endpoint.writer.password);
    Arc::new(ClickHouseStore::new(options).unwrap())
}
