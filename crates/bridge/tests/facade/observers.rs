//! Panics in the embedder's code are contained and reported.

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
async fn a_panicking_observer_does_not_stop_the_sync() {
    let folder = tempfile::tempdir().unwrap();
    write_transcript(folder.path(), "a");
    let bridge = bridge(Arc::new(InMemoryStore::default()), &[folder.path()]);
    assert_eq!(observers_state(&bridge).await, HealthState::Healthy);
    let (sender, mut received) = mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(Duration::from_millis(5), move |outcome| {
        if let Some(session) = outcome.unwrap().first() {
            sender.send(session.tokens_after).unwrap();
            panic!("an embedder's panic");
        }
    });
    let mut next =
        async || tokio::time::timeout(DEADLINE, received.recv()).await.expect("the sync continues").unwrap();
    assert_eq!(next().await, 21);
    write_transcript(folder.path(), "b");
    assert_eq!(next().await, 21);
    syncing.stop().await;
    let health = bridge.health_check().await;
    let probe = health.probe(Probe::Observers).unwrap();
    assert_eq!(probe.state, HealthState::Degraded);
    assert!(probe.detail.contains("2 times") && !probe.detail.contains("embedder's panic"), "{probe}");
}

/// The generator of correlation ids is the embedder's code, too.
#[tokio::test]
async fn a_panicking_sync_is_an_error_and_the_next_one_runs() {
    let rounds = AtomicU32::new(0);
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
        .sources([tempfile::tempdir().unwrap().path()])
        .correlation_ids(move || {
            assert!(rounds.fetch_add(1, Ordering::SeqCst) > 0, "an embedder's panic");
            CorrelationId(1)
        })
        .build();
    let (sender, mut received) = mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(Duration::from_millis(5), move |outcome| drop(sender.send(outcome)));
    let mut next =
        async || tokio::time::timeout(DEADLINE, received.recv()).await.expect("the sync continues").unwrap();
    let error = next().await.unwrap_err().to_string();
    assert!(error.contains("panicked") && !error.contains("embedder's panic"), "{error}");
    assert!(next().await.is_ok());
    syncing.stop().await;
    let health = bridge.health_check().await;
    assert_eq!(health.probe(Probe::ErrorRate).unwrap().state, HealthState::Degraded);
}

#[tokio::test]
async fn a_panicking_progress_callback_does_not_stop_the_backfill() {
    let folder = tempfile::tempdir().unwrap();
    write_transcript(folder.path(), "a");
    let bridge = bridge(Arc::new(InMemoryStore::default()), &[folder.path()]);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let progress = move |_: &BackfillProgress| {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("an embedder's panic");
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
async fn a_panicking_observer_does_not_stop_the_monitor() {
    let interval = Duration::from_millis(5);
    let monitoring = MonitoringOptions::default()
        .with_health_check_interval(interval)
        .with_metrics_export_interval(interval);
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
        .sources(["none"])
        .monitoring(monitoring)
        .build();
    let (sender, mut received) = mpsc::unbounded_channel();
    let monitor = bridge.monitor(move |observation| {
        let _ = sender.send(matches!(observation, Observation::Health(_)));
        panic!("an embedder's panic");
    });
    let both = async {
        let mut seen = [0, 0];
        while seen.iter().any(|times| *times < 3) {
            seen[usize::from(received.recv().await.unwrap())] += 1;
        }
    };
    tokio::time::timeout(DEADLINE, both).await.expect("both reports continue");
    drop(monitor);
    assert_eq!(observers_state(&bridge).await, HealthState::Degraded);
}
