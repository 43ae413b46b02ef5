//! A panic in the embedder's code ends no work unseen.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bridge::storage::InMemoryStore;
use bridge::{
    BackfillOptions, BackfillProgress, CorrelationId, EnhancedTokenDatabaseBridge, HealthState,
    MonitoringOptions, Observation, Probe,
};
use tokio::sync::mpsc;

use crate::facade::bridge;

const DEADLINE: Duration = Duration::from_secs(20);

fn write_transcript(folder: &Path, name: &str) {
    let line = format!(
        r#"{{"type":"assistant","sessionId":"{name}","message":{{"id":"msg_01{name:A>22}","usage":{{"output_tokens":21}}}}}}"#
    );
    fs::write(folder.join(format!("{name}.jsonl")), format!("{line}\n")).unwrap();
}

async fn observers_state(bridge: &EnhancedTokenDatabaseBridge) -> HealthState {
    bridge.health_check().await.probe(Probe::Observers).unwrap().state
}

#[tokio::test]
async fn a_panicking_observer_does_not_end_the_syncing() {
    let folder = tempfile::tempdir().unwrap();
    write_transcript(folder.path(), "a");
    let bridge = bridge(Arc::new(InMemoryStore::default()), &[folder.path()]);
    assert_eq!(observers_state(&bridge).await, HealthState::Healthy);
    let (tell, mut told) = mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(Duration::from_millis(5), move |outcome| {
        if let Some(session) = outcome.unwrap().first() {
            tell.send(session.tokens_after).unwrap();
            panic!("the embedder's own fault");
        }
    });
    let mut next = async || tokio::time::timeout(DEADLINE, told.recv()).await.expect("it goes on").unwrap();
    assert_eq!(next().await, 21);
    write_transcript(folder.path(), "b");
    assert_eq!(next().await, 21);
    syncing.stop().await;
    let health = bridge.health_check().await;
    let probe = health.probe(Probe::Observers).unwrap();
    assert_eq!(probe.state, HealthState::Degraded);
    assert!(probe.detail.contains("2 times") && !probe.detail.contains("own fault"), "{probe}");
}

/// What gives the operations their correlation ids is the embedder's, too.
#[tokio::test]
async fn a_synchronization_that_panics_is_an_error_and_the_next_one_follows() {
    let rounds = AtomicU32::new(0);
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
        .sources([tempfile::tempdir().unwrap().path()])
        .correlation_ids(move || {
            assert!(rounds.fetch_add(1, Ordering::SeqCst) > 0, "the embedder's own fault");
            CorrelationId(1)
        })
        .build();
    let (tell, mut told) = mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(Duration::from_millis(5), move |outcome| drop(tell.send(outcome)));
    let mut next = async || tokio::time::timeout(DEADLINE, told.recv()).await.expect("it goes on").unwrap();
    let error = next().await.unwrap_err().to_string();
    assert!(error.contains("panicked") && !error.contains("own fault"), "{error}");
    assert!(next().await.is_ok());
    syncing.stop().await;
    let health = bridge.health_check().await;
    assert_eq!(health.probe(Probe::ErrorRate).unwrap().state, HealthState::Degraded);
}

#[tokio::test]
async fn a_panicking_progress_callback_is_called_once_and_the_backfill_completes() {
    let folder = tempfile::tempdir().unwrap();
    write_transcript(folder.path(), "a");
    let bridge = bridge(Arc::new(InMemoryStore::default()), &[folder.path()]);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let progress = move |_: &BackfillProgress| {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("the embedder's own fault");
    };
    let options = BackfillOptions::default().with_progress(progress);
    let result = bridge.backfill_historical_data(options.clone()).await.unwrap();
    assert_eq!((result.success, result.total_tokens_stored), (true, 21));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let history = bridge.analyze_historical_data(options).await.unwrap();
    assert_eq!((history.responses().count(), calls.load(Ordering::SeqCst)), (1, 2));
    assert_eq!(observers_state(&bridge).await, HealthState::Degraded);
}

#[tokio::test]
async fn a_panicking_observer_does_not_end_the_monitoring() {
    let interval = Duration::from_millis(5);
    let monitoring = MonitoringOptions::default()
        .with_health_check_interval(interval)
        .with_metrics_export_interval(interval);
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
        .sources(["none"])
        .monitoring(monitoring)
        .build();
    let (tell, mut told) = mpsc::unbounded_channel();
    let monitor = bridge.monitor(move |observation| {
        let _ = tell.send(matches!(observation, Observation::Health(_)));
        panic!("the embedder's own fault");
    });
    let both = async {
        let mut seen = [0, 0];
        while seen.iter().any(|times| *times < 3) {
            seen[usize::from(told.recv().await.unwrap())] += 1;
        }
    };
    tokio::time::timeout(DEADLINE, both).await.expect("both go on");
    drop(monitor);
    assert_eq!(observers_state(&bridge).await, HealthState::Degraded);
}
