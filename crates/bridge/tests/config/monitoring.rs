//! The section `monitoring`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bridge::budgets::BudgetState;
use bridge::storage::{InMemoryStore, ResponseFilter, UpsertOptions};
use bridge::{
    Clock, EnhancedTokenDatabaseBridge, HealthState, HealthStatus, Observation, Probe, ResponseKey,
    ResponseUsage, SessionId, SummaryQuery, SystemClock,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};
use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::config::{given, in_memory, on_engine, on_server, transcript};

fn state(status: &HealthStatus, probe: Probe) -> HealthState {
    status.probe(probe).unwrap().state
}

/// A bridge after a successful and a failed read.
async fn after_a_failure(keys: &[(&str, &str)]) -> (FaultProxy, EnhancedTokenDatabaseBridge) {
    let proxy = FaultProxy::before(TestDatabase::of_this_test().host()).await.unwrap();
    let mut all = vec![("clickhouse.retry_attempts", "0"), ("caching.ttl_seconds", "0")];
    all.extend(keys);
    let bridge = on_server(&format!("http://{}", proxy.host()), &all).build().await.unwrap();
    let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    proxy.set(Fault::Closed);
    bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap_err();
    (proxy, bridge)
}

/// The number of health and stats observations within half a second.
async fn observations(keys: &[(&str, &str)]) -> (u32, u32) {
    let bridge = in_memory(keys);
    let counts = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let seen = Arc::clone(&counts);
    let monitor = bridge.monitor(move |observation| match observation {
        Observation::Health(status) => {
            assert_eq!(state(&status, Probe::Connectivity), HealthState::Healthy);
            seen.0.fetch_add(1, Ordering::SeqCst);
        }
        Observation::Stats(_) => drop(seen.1.fetch_add(1, Ordering::SeqCst)),
        _ => {}
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(monitor);
    let now = || (counts.0.load(Ordering::SeqCst), counts.1.load(Ordering::SeqCst));
    let at_end = now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(now(), at_end, "a dropped monitor still reports");
    at_end
}

#[tokio::test]
async fn monitoring_health_check_interval() {
    let (health, stats) = observations(&[("monitoring.health_check_interval", "20ms")]).await;
    assert!(health > 5 && stats == 1, "{health} {stats}");
}

#[tokio::test]
async fn monitoring_metrics_export_interval() {
    let (health, stats) = observations(&[("monitoring.metrics_export_interval", "20ms")]).await;
    assert!(stats > 5 && health == 1, "{health} {stats}");
}

/// The number of updates of one metric for each periodic task.
#[derive(Debug, Default)]
struct Sets {
    health: Arc<SetCount>,
    stats: Arc<SetCount>,
}

#[derive(Debug, Default)]
struct SetCount(AtomicU32);

impl GaugeFn for SetCount {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, _: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder for Sets {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match key.name() {
            "bridge_health_state" => Gauge::from_arc(Arc::clone(&self.health)),
            "bridge_audit_buffered_records" => Gauge::from_arc(Arc::clone(&self.stats)),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn periodic_tasks_run_from_build_until_drop() {
    let sets = Arc::new(Sets::default());
    let now = || [&sets.health, &sets.stats].map(|count| count.0.load(Ordering::SeqCst));
    let keys = [("monitoring.health_check_interval", "2m"), ("monitoring.metrics_export_interval", "20s")];
    let builder = given(&keys).builder_with(Arc::new(InMemoryStore::default())).unwrap().sources(["none"]);
    let bridge = metrics::with_local_recorder(&sets, || builder.build());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(now(), [0, 0], "the first run is after an interval");
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(now(), [5, 30]);
    drop(bridge);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(now(), [5, 30], "the tasks still run without a bridge");
}

#[tokio::test]
async fn monitoring_probe_timeout() {
    let (proxy, bridge) = after_a_failure(&[("monitoring.probe_timeout", "200ms")]).await;
    proxy.set(Fault::Silent);
    let status = bridge.health_check().await;
    let probe = status.probe(Probe::Connectivity).unwrap();
    assert!(probe.detail.starts_with("no answer within 200ms"), "{probe}");
    assert!((200..2000).contains(&probe.duration.as_millis()), "{probe:?}");
}

#[tokio::test]
async fn monitoring_sync_lag_max() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.jsonl");
    transcript(&file, "");
    let written = std::fs::File::options().append(true).open(&file).unwrap();
    let hour_ago = written.metadata().unwrap().modified().unwrap() - Duration::from_hours(1);
    written.set_modified(hour_ago).unwrap();
    let paths = format!("[{}]", folder.path().display());
    let sync_lag = async |age| {
        let bridge = in_memory(&[("sources.paths", &paths), ("monitoring.sync_lag_max", age)]);
        state(&bridge.health_check().await, Probe::SyncLag)
    };
    assert_eq!(sync_lag("30m").await, HealthState::Degraded);
    assert_eq!(sync_lag("2h").await, HealthState::Healthy);
}

#[tokio::test]
async fn monitoring_host_silent_max() {
    assert!(in_memory(&[]).health_check().await.probe(Probe::Hosts).is_none());
    let bridge = in_memory(&[("monitoring.host_silent_max", "3d")]);
    assert_eq!(state(&bridge.health_check().await, Probe::Hosts), HealthState::Healthy);
}

#[tokio::test]
async fn monitoring_unpriced_share_max() {
    let prices = async |max: &[(&str, &str)]| {
        let bridge = in_memory(max);
        let _ = bridge.dashboard().use_prices(bridge::pricing::Catalog::shipped()).await.unwrap();
        let mut response =
            ResponseUsage::new(ResponseKey(1), SessionId::new("s").unwrap(), SystemClock.now());
        response.counts.output = 51;
        bridge.token_store().upsert(&[response], &UpsertOptions::default()).await.unwrap();
        bridge.health_check().await.probe(Probe::Prices).map(|probe| probe.state)
    };
    assert_eq!(prices(&[]).await, None);
    assert_eq!(prices(&[("monitoring.unpriced_share_max", "99%")]).await, Some(HealthState::Degraded));
    assert_eq!(prices(&[("monitoring.unpriced_share_max", "100%")]).await, Some(HealthState::Healthy));
}

#[tokio::test]
async fn monitoring_error_rate_max() {
    let errors = async |max| {
        let (_proxy, bridge) = after_a_failure(&[("monitoring.error_rate_max", max)]).await;
        state(&bridge.health_check().await, Probe::ErrorRate)
    };
    assert_eq!(errors("10%").await, HealthState::Degraded);
    assert_eq!(errors("50%").await, HealthState::Healthy);
}

#[tokio::test]
async fn monitoring_error_rate_window() {
    let errors = async |window| {
        let (_proxy, bridge) = after_a_failure(&[("monitoring.error_rate_window", window)]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        state(&bridge.health_check().await, Probe::ErrorRate)
    };
    assert_eq!(errors("10m").await, HealthState::Degraded);
    assert_eq!(errors("100ms").await, HealthState::Healthy);
}

#[tokio::test]
async fn monitoring_disk_free_min() {
    let disk = async |min| {
        let bridge = on_engine(&[("monitoring.disk_free_min", min)]).build().await.unwrap();
        bridge.token_store().totals(&ResponseFilter::default()).await.unwrap();
        state(&bridge.health_check().await, Probe::Disk)
    };
    assert_eq!(disk("0%").await, HealthState::Healthy);
    assert_ne!(disk("100%").await, HealthState::Healthy);
}

#[tokio::test]
async fn monitoring_budgets() {
    let budgets = "[{name: small, tokens: 50, period: month}, {name: other, tokens: 50, period: day, where: {project: none}}]";
    let bridge = in_memory(&[("monitoring.budgets", budgets)]);
    let mut response = ResponseUsage::new(ResponseKey(1), SessionId::new("s").unwrap(), SystemClock.now());
    response.counts.output = 51;
    bridge.token_store().upsert(&[response], &UpsertOptions::default()).await.unwrap();

    let found = bridge.dashboard().budgets().await.unwrap();
    let states: Vec<_> = found.iter().map(|status| (status.name.as_str(), status.state)).collect();
    assert_eq!(states, [("small", BudgetState::Exceeded), ("other", BudgetState::Ok)]);
    let health = bridge.health_check().await;
    assert_eq!(state(&health, Probe::Budgets), HealthState::Degraded);
    let detail = &health.probe(Probe::Budgets).unwrap().detail;
    assert!(
        detail.starts_with("small: exceeded, at least 51 tokens of 50 tokens (102 %) this month"),
        "{detail}"
    );
    assert!(in_memory(&[]).health_check().await.probe(Probe::Budgets).is_none(), "there are none");
}
