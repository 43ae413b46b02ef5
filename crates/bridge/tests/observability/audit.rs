//! Every operation is audited, even during an outage of the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bridge::storage::{AuditStore, InMemoryStore, MockTokenStore, TokenStore, UpsertOutcome};
use bridge::{
    AuditFilter, AuditOptions, AuditOutcome, AuditRecord, AuditedOperations, BackfillOptions, BatchOptions,
    BridgeError, BridgeResult, CorrelationId, EnhancedTokenDatabaseBridge, IntegrityOptions, OperationName,
    SessionId, StorageKind, StoreOptions, SummaryQuery, SyncMode, SyncOptions,
};
use bridge_testkit::proxy::Fault;

use crate::observability::{analysis, behind_proxy, bridge, forced};

/// The stored audit records, oldest first.
async fn written(store: &dyn TokenStore) -> Vec<AuditRecord> {
    let mut records =
        store.audit().unwrap().audit_records(&AuditFilter::default().with_limit(u32::MAX)).await.unwrap();
    records.reverse();
    records
}

fn entries(records: &[AuditRecord]) -> Vec<(u128, &str, AuditOutcome)> {
    records
        .iter()
        .map(|record| (record.correlation_id.0, record.operation.as_str(), record.outcome))
        .collect()
}

async fn store(bridge: &EnhancedTokenDatabaseBridge, key: u128) -> bool {
    bridge.store_enhanced_analysis(&analysis("s", key, 1), StoreOptions::default()).await.is_ok()
}

#[tokio::test]
async fn operations_in_an_outage_are_audited_once_and_in_order() {
    let (proxy, database) = behind_proxy(|options| options).await;
    let bridge = bridge(database.clone(), "none".as_ref()).build();
    assert!(store(&bridge, 1).await);
    proxy.set(Fault::Closed);
    for key in 2..30 {
        assert!(!store(&bridge, key).await);
    }
    assert!(bridge.shutdown().await.is_err());
    assert!(bridge.audit_log(&AuditFilter::default()).await.is_err());
    assert_eq!((bridge.stats().audit.buffered, bridge.stats().audit.dropped), (29, 0));

    // The database stores the records but its answer is lost; writing them again makes no duplicates.
    proxy.set(Fault::CutAnswer);
    assert!(bridge.shutdown().await.is_err());
    proxy.set(Fault::None);
    assert!(store(&bridge, 30).await);
    // The buffered records were written with the last operation's announcement; its final record is still pending.
    let before = bridge.stats().audit.written;
    bridge.shutdown().await.unwrap();
    assert_eq!(bridge.stats().audit.written, before + 1);
    let records = written(&*database).await;
    let operation = "store_enhanced_analysis";
    let mut wanted = vec![(1, operation, AuditOutcome::Succeeded)];
    wanted.extend((2..30).map(|id| (id, operation, AuditOutcome::Failed)));
    // Id 30 belongs to the failed `audit_log` call, which is not audited.
    wanted.push((31, operation, AuditOutcome::Succeeded));
    assert_eq!(entries(&records), wanted);
    assert!(
        records[1..29].iter().all(|record| record.error_kind == "unreachable" && !record.error.is_empty())
    );
}

#[tokio::test]
async fn forced_updates_audit_both_totals_before_returning() {
    let (_proxy, database) = behind_proxy(|options| options).await;
    let bridge = bridge(database.clone(), "none".as_ref()).build();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 900), StoreOptions::default()).await.unwrap();
    let announced = written(&*database).await;
    assert_eq!(entries(&announced), [(1, "store_enhanced_analysis", AuditOutcome::Incomplete)]);
    assert_eq!((announced[0].records_stored, announced[0].tokens_written), (1, 900));
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 90), forced()).await.unwrap();
    let records = written(&*database).await;
    let of = |record: &AuditRecord| (record.forced, record.tokens_replaced, record.tokens_written);
    assert_eq!(records.iter().map(of).collect::<Vec<_>>(), [(false, 0, 900), (true, 900, 90)]);
    let last = &records[1];
    assert_eq!((last.records_stored, last.new_responses, last.tokens), (1, 0, 90));
    assert_eq!(last.session, Some(SessionId::new("s").unwrap()));
    assert_eq!(last.host.as_ref().map(ToString::to_string).as_deref(), Some("host"));
    assert_eq!((last.time, last.version.as_str()), (crate::observability::now(), env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_wrong_announcement_is_corrected_before_the_call_returns() {
    let (_proxy, database) = behind_proxy(|options| options).await;
    let bridge = bridge(database.clone(), "none".as_ref()).build();
    // A new response, the same again, and a later snapshot.
    for (output, stored, before) in [(5, 1, 0), (5, 0, 0), (9, 1, 5)] {
        let _ =
            bridge.store_enhanced_analysis(&analysis("s", 1, output), StoreOptions::default()).await.unwrap();
        let last = written(&*database).await.pop().unwrap();
        assert_eq!((last.records_stored, last.tokens_replaced), (stored, before), "{last:?}");
    }
    bridge.shutdown().await.unwrap();
    let outcomes: Vec<_> = written(&*database).await.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [AuditOutcome::Succeeded; 3]);
}

#[tokio::test]
async fn a_refused_audit_delays_no_operation() {
    let attempts = Arc::new(AtomicU32::new(0));
    let store = Arc::new(refusing(Arc::clone(&attempts)));
    let bridge = bridge(store, "none".as_ref()).build();
    for _ in 0..5 {
        let _ = bridge.batch_store_analyses(&[analysis("s", 1, 1)], BatchOptions::default()).await;
    }
    assert_eq!(attempts.load(Ordering::Relaxed), 1, "an operation retried the refused audit");
    assert_eq!(bridge.stats().audit.buffered, 5);
}

#[tokio::test]
async fn dropped_records_are_counted_and_the_gap_is_audited() {
    let (proxy, database) = behind_proxy(|options| options).await;
    let audit = AuditOptions::default().with_buffer_records_max(4).with_write_within(Duration::from_hours(1));
    let bridge = bridge(database.clone(), "none".as_ref()).audit(audit).build();
    proxy.set(Fault::Closed);
    for key in 1..=10 {
        assert!(!store(&bridge, key).await);
    }
    assert_eq!((bridge.stats().audit.buffered, bridge.stats().audit.dropped), (4, 6));
    proxy.set(Fault::None);
    bridge.shutdown().await.unwrap();
    let records = written(&*database).await;
    let ids: Vec<_> = records[..4].iter().map(|record| record.correlation_id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4], "the oldest records are not kept");
    assert_eq!(records[4].operation.as_str(), "audit_gap");
    assert_eq!(records[4].counts["dropped_records"], 6);
    assert_eq!(records.len(), 5);
}

#[tokio::test]
async fn a_cancelled_operation_is_audited() {
    let (proxy, database) = behind_proxy(|options| options).await;
    let bridge = bridge(database.clone(), "none".as_ref()).build();
    proxy.set(Fault::Silent);
    let soon = Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, store(&bridge, 1)).await.is_err());
    proxy.set(Fault::None);
    bridge.shutdown().await.unwrap();
    assert_eq!(
        entries(&written(&*database).await),
        [(1, "store_enhanced_analysis", AuditOutcome::Cancelled)]
    );
}

/// Waits for the background task.
async fn until_written(bridge: &EnhancedTokenDatabaseBridge, records: u64) {
    let written = async {
        while bridge.stats().audit.written < records {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written)
        .await
        .expect("the background task writes the records");
}

#[tokio::test]
async fn records_are_flushed_in_time_or_at_a_half_full_buffer() {
    let soon = AuditOptions::default().with_write_within(Duration::ZERO);
    let half_full =
        AuditOptions::default().with_write_within(Duration::from_hours(1)).with_buffer_records_max(4);
    for (options, records) in [(soon, 1), (half_full, 2)] {
        let bridge = bridge(Arc::new(InMemoryStore::default()), "none".as_ref()).audit(options).build();
        for round in 1..3 {
            for key in 0..records {
                assert!(store(&bridge, key.into()).await);
            }
            until_written(&bridge, records * round).await;
        }
    }
}

#[tokio::test]
async fn the_background_writer_resumes_after_an_outage() {
    let (proxy, database) = behind_proxy(|options| options).await;
    let audit = AuditOptions::default().with_write_within(Duration::from_millis(5));
    let bridge = bridge(database.clone(), "none".as_ref()).audit(audit).build();
    proxy.set(Fault::Closed);
    assert!(!store(&bridge, 1).await);
    let cuts = proxy.cuts();
    let tried = async {
        while proxy.cuts() < cuts + 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), tried).await.expect("the background task retries");
    // The operation's announcement may still be in flight when its final record is buffered; both have the same id.
    assert!((1..=2).contains(&bridge.stats().audit.buffered));
    proxy.set(Fault::None);
    until_written(&bridge, 1).await;
    assert_eq!(written(&*database).await.len(), 1);
}

#[tokio::test]
async fn every_operation_is_audited_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    std::fs::write(folder.path().join("s.jsonl"), format!("{line}\n{line}\n")).unwrap();
    let bridge = bridge(Arc::new(InMemoryStore::default()), folder.path()).build();
    let session = SessionId::new("s").unwrap();
    let _ = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let _ = bridge.sync_session_tokens(&session, SyncMode::Incremental).await.unwrap();
    let _ = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    let _ = bridge.batch_store_analyses(&[analysis("t", 5, 1)], BatchOptions::default()).await;
    let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    let _ = bridge.get_analysis_with_fallback(&session).await.unwrap();
    let _ = bridge.get_analysis_with_fallback(&SessionId::new("unknown").unwrap()).await.unwrap_err();
    let _ = bridge.verify_data_integrity(IntegrityOptions::default()).await.unwrap();
    let _ = bridge.analyze_historical_data(BackfillOptions::default()).await.unwrap();
    let _ = bridge.dashboard().get_dashboard_token_metrics(bridge::TimeRange::ALL).await.unwrap();
    let _ = bridge.dashboard().hosts().await.unwrap();
    let _ = bridge.dashboard().use_prices(bridge::pricing::Catalog::shipped()).await.unwrap();
    let stream = bridge::stream::TranscriptStream::new("s.jsonl");
    let _ = bridge.stored_stream_position(&stream).await.unwrap();
    let own = BridgeResult { success: false, ..store_result(&bridge).await };
    bridge.log_bridge_operation(&OperationName::new("mine").unwrap(), None, &own);

    let mut records = bridge.audit_log(&AuditFilter::default()).await.unwrap();
    records.reverse();
    use AuditOutcome::{Failed, Succeeded};
    let wanted = [
        (1, "backfill_historical_data", Succeeded),
        (2, "sync_session_tokens", Succeeded),
        (3, "sync_all_sessions", Succeeded),
        (4, "batch_store_analyses", Succeeded),
        (5, "get_stored_token_summaries", Succeeded),
        (6, "get_analysis_with_fallback", Succeeded),
        (7, "get_analysis_with_fallback", Failed),
        (8, "verify_data_integrity", Succeeded),
        (9, "analyze_historical_data", Succeeded),
        (10, "get_dashboard_token_metrics", Succeeded),
        (11, "hosts", Succeeded),
        (12, "use_prices", Succeeded),
        (13, "stored_stream_position", Succeeded),
        (14, "store_enhanced_analysis", Succeeded),
        (15, "mine", Failed),
    ];
    assert_eq!(entries(&records), wanted);
    let backfill = &records[0];
    assert_eq!((backfill.tokens, backfill.records_stored, backfill.new_responses), (42, 1, 1));
    let count = |name| backfill.counts[name];
    assert_eq!((count("snapshots"), count("counted_responses"), count("lines")), (2, 1, 2));
    assert_eq!(records[3].records_stored, 1, "rows written by spawned tasks are not attributed");
    assert_eq!(records[6].error_kind, "unknown_session");
    assert_eq!((records[10].counts["hosts"], records[11].counts["changed"]), (1, 1));

    let failed = AuditFilter::default().with_outcome(Failed).with_session(SessionId::new("unknown").unwrap());
    assert_eq!(bridge.audit_log(&failed).await.unwrap(), [records[6].clone()]);
    let ninth = AuditFilter::default().with_correlation_id(CorrelationId(9));
    assert_eq!(bridge.audit_log(&ninth).await.unwrap(), [records[8].clone()]);
}

async fn store_result(bridge: &EnhancedTokenDatabaseBridge) -> BridgeResult {
    bridge.store_enhanced_analysis(&analysis("u", 6, 1), StoreOptions::default()).await.unwrap()
}

#[tokio::test]
async fn auditing_changes_only_skips_reads_unless_they_fail() {
    let store = Arc::new(InMemoryStore::default());
    let audit = AuditOptions::default().with_operations(AuditedOperations::Changes);
    let bridge = bridge(store.clone(), "none".as_ref()).audit(audit).build();
    let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    let _ = bridge.get_analysis_with_fallback(&SessionId::new("unknown").unwrap()).await.unwrap_err();
    let _ = store_result(&bridge).await;
    bridge.shutdown().await.unwrap();
    let records = store.audit_records(&AuditFilter::default()).await.unwrap();
    let names: Vec<_> = records.iter().map(|record| record.operation.as_str()).collect();
    assert_eq!(names, ["store_enhanced_analysis", "get_analysis_with_fallback"]);
}

#[tokio::test]
async fn a_disabled_audit_keeps_nothing() {
    let store = Arc::new(InMemoryStore::default());
    let audit = AuditOptions::default().with_operations(AuditedOperations::Nothing);
    let bridge = bridge(store.clone(), "none".as_ref()).audit(audit).build();
    let result = store_result(&bridge).await;
    bridge.log_bridge_operation(&OperationName::new("mine").unwrap(), None, &result);
    let _ = bridge.get_analysis_with_fallback(&SessionId::new("unknown").unwrap()).await.unwrap_err();
    bridge.shutdown().await.unwrap();
    assert_eq!(written(&*store).await, []);
}

#[tokio::test]
async fn a_sync_without_changes_leaves_no_audit_record() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    std::fs::write(folder.path().join("s.jsonl"), format!("{line}\n")).unwrap();
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), folder.path()).build();
    let (sender, mut changed_sessions) = tokio::sync::mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(Duration::from_millis(1), move |outcome| {
        let _ = sender.send(outcome.unwrap().len());
    });
    let mut sessions = Vec::new();
    while sessions.len() < 10 {
        let next = tokio::time::timeout(Duration::from_secs(20), changed_sessions.recv()).await;
        sessions.push(next.expect("the next sync runs").unwrap());
    }
    syncing.stop().await;
    bridge.shutdown().await.unwrap();
    assert_eq!(sessions.iter().sum::<usize>(), 1);
    assert_eq!(entries(&written(&*store).await), [(1, "sync_all_sessions", AuditOutcome::Succeeded)]);
}

/// A store that accepts rows but refuses audit records, and counts the attempts.
fn refusing(attempts: Arc<AtomicU32>) -> MockTokenStore {
    let mut store = MockTokenStore::new();
    store.expect_stats().returning(Default::default);
    store.expect_summaries().returning(|_| Ok(Vec::new()));
    store.expect_upsert().returning(|rows, _| Ok(vec![UpsertOutcome::New; rows.len()]));
    store.expect_put_audit().returning(move |_| {
        attempts.fetch_add(1, Ordering::Relaxed);
        Err(BridgeError::Storage {
            operation: "write the audit",
            kind: StorageKind::PermissionDenied,
            message: "denied".to_owned(),
            context: Box::default(),
            source: None,
        })
    });
    store
}

#[tokio::test(start_paused = true)]
async fn audit_retries_back_off_while_the_store_refuses_records() {
    let attempts = Arc::new(AtomicU32::new(0));
    let audit = AuditOptions::default().with_write_within(Duration::from_secs(1));
    let bridge = bridge(Arc::new(refusing(attempts.clone())), "none".as_ref()).audit(audit).build();
    let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    tokio::time::sleep(Duration::from_mins(60)).await;
    // After 1, 2, 4, …, 256 seconds, then every five minutes.
    assert_eq!(attempts.load(Ordering::Relaxed), 19);
    assert_eq!(bridge.stats().audit.buffered, 1);
}

fn result() -> BridgeResult {
    BridgeResult {
        success: true,
        records_stored: 1,
        new_responses: 1,
        total_tokens: 10,
        replaced_tokens: 0,
        covered_by_tokens: None,
        processing_time: Duration::ZERO,
        errors: Vec::new(),
        session_id: None,
    }
}

/// Every write of a record causes another record.
#[tokio::test(start_paused = true)]
async fn an_operation_does_not_wait_for_later_audit_records() {
    let others = Arc::new(std::sync::OnceLock::<EnhancedTokenDatabaseBridge>::new());
    let mut store = MockTokenStore::new();
    store.expect_stats().returning(Default::default);
    let (writers, written) = (Arc::clone(&others), AtomicU32::new(0));
    store.expect_put_audit().returning(move |_| {
        assert!(written.fetch_add(1, Ordering::Relaxed) < 100, "the flush never ends");
        let bridge = writers.get().unwrap();
        let operation = OperationName::new("another").unwrap();
        bridge.log_bridge_operation(&operation, None, &result());
        Ok(())
    });
    let bridge = bridge(Arc::new(store), "none".as_ref()).build();
    others.set(bridge.clone()).unwrap();
    bridge.log_bridge_operation(&OperationName::new("first").unwrap(), None, &result());
    let before = bridge.stats().audit.written;
    bridge.shutdown().await.unwrap();
    assert_eq!(bridge.stats().audit.written, before + 1);
    assert_eq!(bridge.stats().audit.buffered, 1);
}

/// Audits an operation where it is dropped, as a cancelled operation does.
struct AuditsOnDrop(EnhancedTokenDatabaseBridge);

impl Drop for AuditsOnDrop {
    fn drop(&mut self) {
        self.0.log_bridge_operation(&OperationName::new("mine").unwrap(), None, &result());
    }
}

#[test]
fn an_operation_that_is_cancelled_by_the_end_of_its_runtime_does_not_hang() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    let (started, is_started) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let _audits = AuditsOnDrop(bridge);
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    is_started.recv_timeout(Duration::from_secs(60)).unwrap();
    let (ended, has_ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(runtime);
        ended.send(())
    });
    has_ended.recv_timeout(Duration::from_secs(60)).expect("the runtime ends");
}
