//! Storing analyses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bridge::storage::{
    AuditStore, InMemoryStore, MockTokenStore, ResponseFilter, StoreStats, TokenStore, UpsertOutcome,
};
use bridge::{
    AnalysisId, AuditFilter, BatchOptions, BridgeError, DashboardQuery, EnhancedTokenDatabaseBridge,
    HealthState, ManualClock, OperationName, Probe, SessionId, StorageKind, StoreOptions, StoreState,
    TimeRange, Timestamp, ValidatorOptions,
};

use crate::facade::fallback::now_or_never;
use crate::facade::{analysis, bridge, in_memory, now};

async fn output(bridge: &EnhancedTokenDatabaseBridge) -> u64 {
    bridge.token_store().totals(&ResponseFilter::default()).await.unwrap().counts.output
}

fn disk_full() -> BridgeError {
    BridgeError::Storage {
        operation: "store responses",
        kind: StorageKind::DiskFull,
        message: "no space".to_owned(),
        context: Box::default(),
        source: None,
    }
}

#[tokio::test]
async fn the_result_counts_the_rows_written() {
    let (_, bridge) = in_memory();
    let first =
        bridge.store_enhanced_analysis(&analysis("s", 1, &[5, 6]), StoreOptions::default()).await.unwrap();
    assert_eq!(
        (first.success, first.records_stored, first.new_responses, first.total_tokens),
        (true, 2, 2, 11)
    );
    assert_eq!(first.session_id, SessionId::new("s").ok());
    let again =
        bridge.store_enhanced_analysis(&analysis("s", 1, &[5, 6]), StoreOptions::default()).await.unwrap();
    assert_eq!((again.success, again.records_stored, again.total_tokens), (true, 0, 11));
    let grown =
        bridge.store_enhanced_analysis(&analysis("s", 1, &[5, 9]), StoreOptions::default()).await.unwrap();
    assert_eq!((grown.records_stored, grown.new_responses), (1, 0));
    assert_eq!(output(&bridge).await, 14);
}

#[tokio::test]
async fn only_force_lowers_a_total() {
    let (_, bridge) = in_memory();
    let store = |output, force_update| {
        let (bridge, analysis) = (bridge.clone(), analysis("s", 1, &[output]));
        async move {
            let mut options = StoreOptions::default();
            options.force_update = force_update;
            bridge.store_enhanced_analysis(&analysis, options).await.unwrap().records_stored
        }
    };
    assert_eq!(store(900, false).await, 1);
    assert_eq!((store(9, false).await, output(&bridge).await), (0, 900));
    assert_eq!((store(9, true).await, output(&bridge).await), (1, 9));
    assert_eq!((store(900, false).await, output(&bridge).await), (0, 9));
}

#[tokio::test]
async fn an_analysis_of_sums_only_is_one_response() {
    let (_, bridge) = in_memory();
    let mut sums = analysis("s", 1, &[40, 2]);
    sums.responses.clear();
    for _ in 0..2 {
        let _ = bridge.store_enhanced_analysis(&sums, StoreOptions::default()).await.unwrap();
    }
    assert_eq!(output(&bridge).await, 42);
    sums.analysis_id = AnalysisId::new("another").unwrap();
    let _ = bridge.store_enhanced_analysis(&sums, StoreOptions::default()).await.unwrap();
    assert_eq!(output(&bridge).await, 42);
}

#[tokio::test]
async fn a_rejected_analysis_lists_all_violations_and_stores_nothing() {
    let (_, bridge) = in_memory();
    let mut wrong = analysis("s", 1, &[5]);
    wrong.calculated_total_tokens += 1;
    wrong.accuracy_ratio = 7.0;
    let options = StoreOptions::default().with_session(SessionId::new("t").unwrap());
    let error = bridge.store_enhanced_analysis(&wrong, options).await.unwrap_err();
    let BridgeError::Validation { result, .. } = &error else { panic!("{error}") };
    let fields: Vec<_> = result.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["accuracy_ratio", "calculated_total_tokens", "session_id"]);
    assert_eq!(output(&bridge).await, 0);
}

#[tokio::test]
async fn a_rejected_analysis_does_not_block_its_batch() {
    let (_, bridge) = in_memory();
    let mut wrong = analysis("b", 10, &[5]);
    wrong.accuracy_ratio = f64::NAN;
    let results = bridge
        .batch_store_analyses(
            &[analysis("a", 1, &[1, 2]), wrong, analysis("c", 20, &[4])],
            BatchOptions::default().with_batch_size(2),
        )
        .await;
    let outcomes: Vec<_> = results.iter().map(|result| (result.success, result.records_stored)).collect();
    assert_eq!(outcomes, [(true, 2), (false, 0), (true, 1)]);
    assert!(results[1].errors[0].contains("accuracy_ratio"), "{:?}", results[1].errors);
    assert_eq!(output(&bridge).await, 7);
}

/// Rejections are visible in the health check, and not only to the caller.
#[tokio::test]
async fn rejections_count_toward_the_error_rate() {
    let (_, bridge) = in_memory();
    let mut wrong = analysis("b", 10, &[5]);
    wrong.accuracy_ratio = f64::NAN;
    let error_rate = async || {
        let status = bridge.health_check().await;
        let probe = status.probe(Probe::ErrorRate).unwrap();
        (probe.state, probe.detail.split(" of ").next().unwrap().to_owned())
    };
    let _ = bridge.batch_store_analyses(&[analysis("a", 1, &[1])], BatchOptions::default()).await;
    assert_eq!(error_rate().await, (HealthState::Healthy, "0".to_owned()));
    let _ =
        bridge.batch_store_analyses(&[wrong.clone(), analysis("c", 20, &[4])], BatchOptions::default()).await;
    let _ = bridge.store_enhanced_analysis(&wrong, StoreOptions::default()).await.unwrap_err();
    assert_eq!(error_rate().await, (HealthState::Degraded, "2".to_owned()));
}

#[tokio::test]
async fn validator_options_take_effect() {
    let mut options = ValidatorOptions::default();
    options.earliest = now();
    let strict = |options| {
        EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
            .clock(Arc::new(ManualClock::new(now())))
            .validator_options(options)
            .build()
    };
    let early = analysis("s", 1, &[5]);
    let store = async |bridge: EnhancedTokenDatabaseBridge| {
        bridge.store_enhanced_analysis(&early, StoreOptions::default()).await
    };
    let _ = store(strict(options.clone())).await.unwrap();
    options.earliest = Timestamp::from_millis(now().as_millis() + 1).unwrap();
    let error = store(strict(options)).await.unwrap_err();
    assert!(matches!(error, BridgeError::Validation { .. }), "{error}");
}

#[tokio::test]
async fn batches_are_inserted_in_chunks_that_fail_independently() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let mut store = MockTokenStore::new();
    store.expect_put_audit().returning(|_| Ok(()));
    store.expect_upsert().returning(move |rows, _| {
        assert_eq!(rows.iter().filter(|row| row.origin.is_counted()).count(), 3);
        match seen.fetch_add(1, Ordering::Relaxed) {
            1 => Err(disk_full()),
            _ => Ok(vec![UpsertOutcome::New; rows.len()]),
        }
    });
    let store: Arc<dyn TokenStore> = Arc::new(store);
    let bridge = bridge(store, &[]);
    let analyses: Vec<_> =
        (0..6).map(|n: u128| analysis("s", n * 10, &[1, 2, 3][..1 + (n % 2) as usize])).collect();
    let results = bridge.batch_store_analyses(&analyses, BatchOptions::default().with_batch_size(3)).await;
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let successes: Vec<_> = results.iter().map(|result| result.success).collect();
    assert_eq!(successes, [true, true, false, false, true, true]);
    assert!(results[3].errors[0].contains("disk is full"), "{:?}", results[3].errors);
}

/// The rows and tokens in the only audit record of this operation.
async fn audited(bridge: &EnhancedTokenDatabaseBridge, operation: &str) -> (u64, u64) {
    let filter = AuditFilter::default().with_operation(OperationName::new(operation).unwrap());
    let records = bridge.audit_log(&filter).await.unwrap();
    assert_eq!(records.len(), 1);
    (records[0].records_stored, records[0].tokens_written)
}

#[tokio::test]
async fn rows_stored_before_a_failure_are_audited() {
    let real = Arc::new(InMemoryStore::default());
    let (mut store, audit) = (MockTokenStore::new(), Arc::clone(&real));
    let mut calls = 0;
    store.expect_state().returning(|| Ok(StoreState::first()));
    store.expect_upsert().times(2).returning(move |rows, _| {
        calls += 1;
        if calls == 1 { Ok(vec![UpsertOutcome::New; rows.len()]) } else { Err(disk_full()) }
    });
    store.expect_put_audit().returning(move |records| now_or_never(audit.put_audit(records)));
    store.expect_audit_records().returning(move |filter| now_or_never(real.audit_records(filter)));
    let bridge = bridge(Arc::new(store), &[]);
    let analysis = analysis("s", 1, &vec![1; 100_001]);
    let error = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert_eq!(audited(&bridge, "store_enhanced_analysis").await, (100_000, 100_000));
}

#[tokio::test]
async fn every_store_failure_counts_toward_the_error_rate() {
    let mut store = MockTokenStore::new();
    store.expect_list_checkpoints().returning(|| Err(disk_full()));
    store.expect_state().returning(|| Ok(StoreState::first()));
    store.expect_stats().returning(StoreStats::default);
    store.expect_probe_connection().returning(|| Err(disk_full()));
    store.expect_probe_write().returning(|| Err(disk_full()));
    store.expect_newest_source().returning(|_, _| Ok(None));
    store.expect_disks().returning(|| Ok(Vec::new()));
    store.expect_host_activity().returning(|_| Ok(Vec::new()));
    store.expect_prices_in_use().returning(|| Ok(None));
    store.expect_put_audit().returning(|_| Ok(()));
    let bridge = bridge(Arc::new(store), &[]);
    let _ = bridge.checkpoints().list().await.unwrap_err();
    let status = bridge.health_check().await;
    assert!(status.probe(Probe::ErrorRate).unwrap().detail.starts_with("1 of 1 storage operations failed"));
}

/// A counter beyond the maximum is refused with its value. Even without validation no total wraps.
#[tokio::test]
async fn oversize_counters_are_refused_and_totals_never_wrap() {
    let (store, strict) = in_memory();
    let fine = analysis("s", 1, &[10]);
    let _ = strict.store_enhanced_analysis(&fine, StoreOptions::default()).await.unwrap();
    for output in [bridge_core::COUNTER_MAX + 1, u64::MAX] {
        let error = strict
            .store_enhanced_analysis(&analysis("t", 2, &[output]), StoreOptions::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&output.to_string()), "{error}");
    }
    let lenient = EnhancedTokenDatabaseBridge::builder(store).without_validation().build();
    for key in [2, 3] {
        let large = analysis("t", key, &[u64::MAX]);
        let _ = lenient.store_enhanced_analysis(&large, StoreOptions::default()).await.unwrap();
    }
    let results = lenient
        .batch_store_analyses(
            &[analysis("u", 4, &[u64::MAX]), analysis("v", 5, &[1])],
            BatchOptions::default().with_batch_size(10),
        )
        .await;
    assert!(results.iter().all(|result| result.success));
    let shown =
        lenient.dashboard().get_dashboard_token_metrics(DashboardQuery::new(TimeRange::ALL)).await.unwrap();
    assert_eq!((shown.totals.responses, shown.total_tokens), (5, u64::MAX));
}
