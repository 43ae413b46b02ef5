//! Health checks: a healthy bridge, and the failure of each probe.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{CircuitPolicy, ClickHouseOptions, ClickHouseStore, RetryPolicy, TokenStore};
use bridge::{
    BridgeBuilder, EnhancedTokenDatabaseBridge, HealthLimits, HealthState, HealthStatus, ManualClock,
    MonitoringOptions, Probe, SyncOptions, Timestamp,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};

use HealthState::{Degraded, Healthy, Unhealthy};

/// Limits under which a healthy store passes on every test machine.
fn limits() -> HealthLimits {
    HealthLimits::default().with_disk_free_min(0.0)
}

fn builder(store: ClickHouseStore, sources: &Path, limits: HealthLimits) -> BridgeBuilder {
    crate::engine::bridge(Arc::new(store), sources)
        .monitoring(MonitoringOptions::default().with_limits(limits))
}

fn options(url: &str) -> ClickHouseOptions {
    let circuit = CircuitPolicy { failures: 3, open_for: Duration::from_mins(1), ..CircuitPolicy::default() };
    ClickHouseOptions::from_url(url).unwrap().with_retry(RetryPolicy::once()).with_circuit(circuit)
}

/// A bridge behind a fault-injecting proxy, migrated, with its transcripts stored.
async fn behind_proxy(sources: &Path, limits: HealthLimits) -> (FaultProxy, EnhancedTokenDatabaseBridge) {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let store = ClickHouseStore::new(options(&database.writer_url_by(proxy.host()))).unwrap();
    store.migrate().await.unwrap();
    let bridge = builder(store, sources, limits).build();
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    (proxy, bridge)
}

fn state(status: &HealthStatus, probe: Probe) -> HealthState {
    status.probe(probe).unwrap().state
}

fn assert_probe(status: &HealthStatus, probe: Probe, state: HealthState, word: &str) {
    let result = status.probe(probe).unwrap();
    assert!(result.state == state && result.detail.contains(word), "{result}");
    assert!(status.overall >= state && status.reasons().iter().any(|reason| reason.contains(word)));
}

#[tokio::test]
async fn a_healthy_bridge_passes_every_probe() {
    let (_, folder) = crate::engine::history(51);
    let (_proxy, bridge) = behind_proxy(folder.path(), limits()).await;
    let status = bridge.health_check().await;
    assert_eq!((status.overall, status.reasons()), (Healthy, Vec::new()));
    let probes: Vec<_> = status.probes.iter().map(|result| result.probe).collect();
    use Probe::{Circuit, Connectivity, Disk, ErrorRate, Mode, Observers, Pool, Sources, SyncLag, Write};
    let expected = [Connectivity, Write, Mode, Sources, SyncLag, ErrorRate, Pool, Circuit, Disk, Observers];
    assert_eq!(probes, expected);
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<HealthStatus>(&json).unwrap(), status);
    assert!(json.contains(r#""probe":"error_rate","state":"healthy""#), "{json}");
}

#[tokio::test]
async fn probes_report_an_outage_and_the_recovery() {
    let (_, folder) = crate::engine::history(52);
    let (proxy, bridge) = behind_proxy(folder.path(), limits()).await;
    proxy.set(Fault::Closed);
    for _ in 0..3 {
        let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap_err();
    }
    let status = bridge.health_check().await;
    assert_probe(&status, Probe::Connectivity, Unhealthy, "check that the database is running");
    assert_probe(&status, Probe::Circuit, Unhealthy, "next probe in");
    assert_probe(&status, Probe::ErrorRate, Degraded, "storage operations failed in 10 min");
    assert_probe(&status, Probe::Disk, Unhealthy, "cannot be reached");
    assert_eq!(state(&status, Probe::Sources), Healthy);
    assert!(status.duration < Duration::from_secs(5), "{:?}", status.duration);
    // After the recovery the health check itself closes the circuit, long before the next probe is due.
    proxy.set(Fault::None);
    let status = bridge.health_check().await;
    assert_eq!((state(&status, Probe::Connectivity), state(&status, Probe::Circuit)), (Healthy, Healthy));
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
}

#[tokio::test]
async fn a_hanging_probe_delays_no_other() {
    let (_, folder) = crate::engine::history(53);
    let probe_timeout = Duration::from_millis(300);
    let (proxy, bridge) = behind_proxy(folder.path(), limits().with_probe_timeout(probe_timeout)).await;
    proxy.set(Fault::Silent);
    let status = bridge.health_check().await;
    for probe in [Probe::Connectivity, Probe::Write, Probe::SyncLag, Probe::Disk] {
        assert_probe(&status, probe, Unhealthy, "no answer within 300ms");
    }
    let sources = status.probe(Probe::Sources).unwrap();
    assert!(sources.state == Healthy && sources.duration < probe_timeout, "{sources:?}");
    assert!(
        status.duration < 2 * probe_timeout,
        "the probes did not run concurrently: {:?}",
        status.duration
    );
}

#[tokio::test]
async fn a_read_only_user_degrades_the_write_probe() {
    let (_, folder) = crate::engine::history(54);
    let (_proxy, _bridge) = behind_proxy(folder.path(), limits()).await;
    let reader = ClickHouseStore::new(options(&TestDatabase::of_this_test().reader_url())).unwrap();
    let status = builder(reader, folder.path(), limits()).build().health_check().await;
    assert_probe(&status, Probe::Write, Degraded, "may read but not write");
    assert_eq!(state(&status, Probe::Connectivity), Healthy);
    assert_eq!((status.overall, state(&status, Probe::SyncLag)), (Degraded, Healthy));
}

/// Creates a transcript that no user can read.
fn broken_below(folder: &Path) -> std::path::PathBuf {
    let broken = folder.join("projects/broken.jsonl");
    std::os::unix::fs::symlink("/nonexistent/broken.jsonl", &broken).unwrap();
    broken
}

#[tokio::test]
async fn unreadable_transcripts_degrade_the_sources_probe() {
    let (_, folder) = crate::engine::history(55);
    let (_proxy, bridge) = behind_proxy(folder.path(), limits()).await;
    let broken = broken_below(folder.path());
    let status = bridge.health_check().await;
    assert_probe(&status, Probe::Sources, Degraded, &broken.display().to_string());
    assert_eq!(state(&status, Probe::Connectivity), Healthy);
    drop(folder);
    let status = bridge.health_check().await;
    assert_probe(&status, Probe::Sources, Unhealthy, "check that sources.paths exist");
}

#[tokio::test]
async fn unstored_changes_degrade_sync_lag() {
    let (_, folder) = crate::engine::history(56);
    let (_proxy, bridge) = behind_proxy(folder.path(), limits()).await;
    // An empty file has nothing to store.
    std::fs::write(folder.path().join("projects/empty.jsonl"), "").unwrap();
    assert_eq!(state(&bridge.health_check().await, Probe::SyncLag), Healthy);

    let file = folder.path().join("projects/new.jsonl");
    let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    std::fs::write(&file, line).unwrap();
    let written = Timestamp::from_system(std::fs::metadata(&file).unwrap().modified().unwrap());
    let clock = Arc::new(ManualClock::new(written));
    let store = ClickHouseStore::new(options(&TestDatabase::of_this_test().writer_url())).unwrap();
    let bridge = builder(store, folder.path(), limits()).clock(clock.clone()).build();
    let after = |minutes: i64| Timestamp::from_millis(written.as_millis() + minutes * 60_000).unwrap();
    clock.set(after(14));
    assert_eq!(state(&bridge.health_check().await, Probe::SyncLag), Healthy);
    clock.set(after(16));
    assert_probe(&bridge.health_check().await, Probe::SyncLag, Degraded, "waiting to be stored for 16 min");
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    assert_eq!(state(&bridge.health_check().await, Probe::SyncLag), Healthy);
}

#[tokio::test]
async fn sources_skipped_by_the_last_sync_degrade_sync_lag() {
    let (_, folder) = crate::engine::history(57);
    let (_proxy, bridge) = behind_proxy(folder.path(), limits()).await;
    let broken = broken_below(folder.path());
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    let status = bridge.health_check().await;
    assert_probe(
        &status,
        Probe::SyncLag,
        Degraded,
        "skipped 1 unreadable source and 0 invalid sessions, including",
    );
    std::fs::remove_file(&broken).unwrap();
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    assert_eq!(state(&bridge.health_check().await, Probe::SyncLag), Healthy);
}

#[tokio::test]
async fn an_exhausted_pool_degrades_the_pool_probe() {
    let (_, folder) = crate::engine::history(57);
    let database = TestDatabase::of_this_test();
    let store = ClickHouseStore::new(options(&database.writer_url()).with_pool_size(2)).unwrap();
    store.migrate().await.unwrap();
    let held =
        (store.pool().acquire_connection().await.unwrap(), store.pool().acquire_connection().await.unwrap());
    let bridge = builder(store, folder.path(), limits()).build();
    let status = bridge.health_check().await;
    assert_probe(&status, Probe::Pool, Degraded, "2 of 2 connections are in use");
    assert_eq!((state(&status, Probe::Connectivity), state(&status, Probe::Write)), (Healthy, Healthy));
    drop(held);
    assert_eq!(state(&bridge.health_check().await, Probe::Pool), Healthy);
}

#[tokio::test]
async fn low_disk_space_degrades_the_disk_probe() {
    let (_, folder) = crate::engine::history(58);
    let (_proxy, bridge) = behind_proxy(folder.path(), limits().with_disk_free_min(1.0)).await;
    let status = bridge.health_check().await;
    assert!(state(&status, Probe::Disk) >= Degraded, "{:?}", status.probe(Probe::Disk));
    assert!(status.reasons()[0].contains("free space or enlarge it"), "{:?}", status.reasons());
}
