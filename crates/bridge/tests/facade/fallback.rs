//! The source and the age of an analysis.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bridge::storage::{
    InMemoryStore, IntegrityStore, MockTokenStore, ResponseFilter, StoreStats, SummaryFilter, TokenStore,
    UpsertOptions,
};
use bridge::{
    AnalysisSource, BackfillOptions, BridgeError, ConnectionKind, EnhancedTokenDatabaseBridge, ManualClock,
    SessionId, StoreOptions, StoreState,
};
use bridge_testkit::history::{GeneratedHistory, HistoryPlan};
use tempfile::TempDir;

use crate::facade::{analysis, now};

fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

fn unavailable() -> BridgeError {
    BridgeError::Connection {
        operation: "read responses",
        host: "db:8123".to_owned(),
        kind: ConnectionKind::Unreachable,
        context: Box::default(),
        source: None,
    }
}

/// A store that fails while the switch is on, and the in-memory store behind it.
fn switched(is_unavailable: &Arc<AtomicBool>) -> (Arc<InMemoryStore>, Arc<dyn TokenStore>) {
    let real = Arc::new(InMemoryStore::default());
    let mut mock = MockTokenStore::new();
    mock.expect_put_audit().returning(|_| Ok(()));
    mock.expect_state().returning(|| Ok(StoreState::first()));
    mock.expect_stats().returning(StoreStats::default);
    let (store, switch) = (Arc::clone(&real), Arc::clone(is_unavailable));
    mock.expect_responses().returning(move |filter: &ResponseFilter| {
        if switch.load(Ordering::Relaxed) {
            Err(unavailable())
        } else {
            now_or_never(store.responses(filter))
        }
    });
    let store = Arc::clone(&real);
    mock.expect_summaries().returning(move |filter: &SummaryFilter| now_or_never(store.summaries(filter)));
    let store = Arc::clone(&real);
    mock.expect_stored().returning(move |scope| now_or_never(store.stored(scope)));
    let store = Arc::clone(&real);
    mock.expect_upsert().returning(move |rows, options| now_or_never(store.upsert(rows, options)));
    (real, Arc::new(mock))
}

/// Completes a future of the in-memory store, which never waits.
pub(crate) fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the in-memory store waits"),
    }
}

struct Setup {
    clock: Arc<ManualClock>,
    is_unavailable: Arc<AtomicBool>,
    bridge: EnhancedTokenDatabaseBridge,
    _real: Arc<InMemoryStore>,
}

fn setup(source: &Path) -> Setup {
    let (clock, is_unavailable) = (Arc::new(ManualClock::new(now())), Arc::new(AtomicBool::new(false)));
    let (real, store) = switched(&is_unavailable);
    let bridge = EnhancedTokenDatabaseBridge::builder(store).sources([source]).clock(clock.clone()).build();
    Setup { clock, is_unavailable, bridge, _real: real }
}

impl Setup {
    fn pass(&self, minutes: u64) {
        let later = now().as_millis() + i64::try_from(minutes).unwrap() * 60_000;
        self.clock.set(bridge::Timestamp::from_millis(later).unwrap());
    }

    async fn store(&self, first_key: u128, output: u64) {
        let analysis = analysis("s", first_key, &[output]);
        let _ = self.bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap();
    }

    async fn ask(&self) -> Result<(AnalysisSource, u64, Duration), BridgeError> {
        let answer = self.bridge.get_analysis_with_fallback(&session("s")).await?;
        Ok((answer.source, answer.analysis.calculated_total_tokens, answer.age))
    }
}

#[tokio::test]
async fn the_cache_is_the_last_resort_and_reports_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(folder.path());
    setup.store(1, 42).await;
    assert_eq!(setup.ask().await.unwrap(), (AnalysisSource::Stored, 42, Duration::ZERO));
    setup.is_unavailable.store(true, Ordering::Relaxed);
    setup.pass(3);
    assert_eq!(setup.ask().await.unwrap(), (AnalysisSource::Cached, 42, Duration::from_mins(3)));
    // Later writes of this program make the cached analysis outdated but not unusable.
    setup.store(2, 8).await;
    assert_eq!(setup.ask().await.unwrap(), (AnalysisSource::Cached, 42, Duration::from_mins(3)));
    setup.is_unavailable.store(false, Ordering::Relaxed);
    // The age is that of the stored analysis.
    assert_eq!(setup.ask().await.unwrap(), (AnalysisSource::Stored, 50, Duration::from_mins(3)));
    setup.is_unavailable.store(true, Ordering::Relaxed);
    assert_eq!(setup.ask().await.unwrap(), (AnalysisSource::Cached, 50, Duration::from_mins(3)));
    setup.pass(3 + 10);
    let error = setup.ask().await.unwrap_err();
    assert!(matches!(error, BridgeError::Connection { .. }), "{error}");
    assert_eq!(setup.bridge.stats().analyses.hits, 3);
    assert_eq!(setup.bridge.stats().analyses.misses, 1);
}

#[tokio::test]
async fn sources_take_precedence_over_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":7}}}"#;
    std::fs::write(folder.path().join("s.jsonl"), line).unwrap();
    let setup = setup(folder.path());
    setup.store(1, 42).await;
    assert_eq!(setup.ask().await.unwrap().0, AnalysisSource::Stored);
    setup.is_unavailable.store(true, Ordering::Relaxed);
    let answer = setup.bridge.get_analysis_with_fallback(&session("s")).await.unwrap();
    assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Live, 7));
    assert_eq!(answer.fallback_reasons, ["read responses: the database cannot be reached at db:8123"]);
    assert_eq!(setup.bridge.stats().analyses.hits, 0);
}

#[test]
fn slow_sources_are_skipped_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let is_unavailable = Arc::new(AtomicBool::new(false));
    let (real, store) = switched(&is_unavailable);
    let bridge = EnhancedTokenDatabaseBridge::builder(store)
        .sources([folder.path()])
        .live_deadline(Duration::from_millis(20))
        .build();
    // The only blocking thread is occupied.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        tokio::task::spawn_blocking(move || released.recv());
        real.upsert(&analysis("s", 1, &[42]).rows(), &UpsertOptions::default()).await.unwrap();
        let stored = bridge.get_analysis_with_fallback(&session("s")).await.unwrap();
        assert_eq!(stored.source, AnalysisSource::Stored);
        is_unavailable.store(true, Ordering::Relaxed);
        let answer = bridge.get_analysis_with_fallback(&session("s")).await.unwrap();
        assert_eq!((answer.source, answer.fallback_reasons.len()), (AnalysisSource::Cached, 2));
        let path = folder.path().display();
        assert_eq!(answer.fallback_reasons[1], format!("{path} cannot be read: not read within 20ms"));
    });
    drop(release);
}

#[tokio::test]
async fn unknown_sessions_and_outages_are_different_errors() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(folder.path());
    let error = setup.ask().await.unwrap_err();
    assert!(matches!(error, BridgeError::UnknownSession { .. }), "{error}");
    assert!(error.to_string().starts_with("session s is known neither to the store"), "{error}");
    setup.is_unavailable.store(true, Ordering::Relaxed);
    let error = setup.ask().await.unwrap_err();
    assert!(matches!(error, BridgeError::Connection { .. }), "not the outage: {error}");
}

#[tokio::test]
async fn an_unreadable_source_qualifies_the_unknown_session_error() {
    let folder = tempfile::tempdir().unwrap();
    let setup = setup(&folder.path().join("missing"));
    let error = setup.ask().await.unwrap_err();
    assert!(error.to_string().contains("any readable source"), "{error}");
    setup.store(1, 42).await;
    let answer = setup.bridge.get_analysis_with_fallback(&session("s")).await.unwrap();
    assert_eq!(answer.source, AnalysisSource::Stored);
}

struct Stored {
    history: GeneratedHistory,
    bridge: EnhancedTokenDatabaseBridge,
    empty: EnhancedTokenDatabaseBridge,
    clock: Arc<ManualClock>,
    _folder: TempDir,
}

async fn stored() -> Stored {
    let history = HistoryPlan { seed: 50, ..HistoryPlan::default() }.generate();
    let folder = tempfile::tempdir().unwrap();
    history.write_below(&folder.path().join("projects")).unwrap();
    let clock = Arc::new(ManualClock::new(now()));
    let mut options = bridge::analysis::AnalyzerOptions::default();
    options.categories = true;
    let make = || {
        EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
            .sources([folder.path()])
            .analyzer(options.clone())
            .clock(clock.clone())
            .build()
    };
    let (bridge, empty) = (make(), make());
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    Stored { history, bridge, empty, clock, _folder: folder }
}

#[tokio::test]
async fn stored_and_live_analyses_agree() {
    let Stored { bridge, empty, _folder, .. } = stored().await;
    let sessions = bridge.token_store().summaries(&SummaryFilter::default()).await.unwrap();
    assert!(sessions.len() > 3);
    for name in sessions.iter().map(|summary| summary.session_id.as_str()) {
        let stored = bridge.get_analysis_with_fallback(&session(name)).await.unwrap();
        let live = empty.get_analysis_with_fallback(&session(name)).await.unwrap();
        assert_eq!((stored.source, live.source), (AnalysisSource::Stored, AnalysisSource::Live));
        let (mut stored, live) = (stored.analysis, live.analysis);
        stored.responses.iter_mut().for_each(|row| row.host.clone_from(&live.responses[0].host));
        assert_eq!(stored.responses, live.responses);
        assert_eq!(stored.reported(), live.reported());
        assert_eq!(stored.undercount_percentage, live.undercount_percentage);
        assert_eq!(stored.content_categories, live.content_categories);
        assert_eq!(stored.files_processed, live.files_processed, "{name}");
        assert_eq!(stored.analysis_version, live.analysis_version);
        // The store assigns copied snapshots to their own session, a live analysis to that of the counted response.
        assert!(stored.accuracy_ratio > 0.0 && stored.accuracy_ratio <= 1.0, "{name}");
    }
}

#[tokio::test]
async fn the_accuracy_ratio_reflects_repeated_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":7}}}"#;
    std::fs::write(folder.path().join("s.jsonl"), format!("{line}\n{line}\n")).unwrap();
    let bridge = crate::facade::bridge(Arc::new(InMemoryStore::default()), &[folder.path()]);
    for source in [AnalysisSource::Live, AnalysisSource::Stored] {
        let answer = bridge.get_analysis_with_fallback(&session("s")).await.unwrap();
        assert_eq!((answer.source, answer.analysis.accuracy_ratio), (source, 0.5));
        let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_stored_analysis_ages_from_the_last_read_of_its_files() {
    let Stored { history, bridge, clock, _folder, .. } = stored().await;
    let later = now().as_millis() + 90_000;
    clock.set(bridge::Timestamp::from_millis(later).unwrap());
    let name =
        history.truth.sessions.keys().find(|name| !history.truth.open_sessions.contains(*name)).unwrap();
    let answer = bridge.get_analysis_with_fallback(&session(name)).await.unwrap();
    assert_eq!((answer.age, answer.analysis.timestamp), (Duration::from_secs(90), now()));
    // Storing the returned analysis changes nothing.
    let result = bridge.store_enhanced_analysis(&answer.analysis, StoreOptions::default()).await.unwrap();
    assert_eq!(result.records_stored, 0);
}
