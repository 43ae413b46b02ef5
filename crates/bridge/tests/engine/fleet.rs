//! Three hosts with services of their own share one database.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::analysis::AnalyzerOptions;
use bridge::storage::{ResponseFilter, TokenStore};
use bridge::{
    EnhancedTokenDatabaseBridge, HealthState, HostName, ManualClock, MonitoringOptions, Probe, SyncTask,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::fixtures::{line, now};
use tokio::time::timeout;

use crate::engine::{history, store};

const DEADLINE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

struct Host {
    bridge: EnhancedTokenDatabaseBridge,
    clock: Arc<ManualClock>,
    syncing: SyncTask,
}

fn start(database: &TestDatabase, name: &str, sources: &Path) -> Host {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.host = Some(HostName::new(name).unwrap());
    let clock = Arc::new(ManualClock::new(now()));
    let mut monitoring = MonitoringOptions::default();
    monitoring.limits = monitoring.limits.with_host_silent_max(3 * DAY);
    let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(store(&database.writer_url())))
        .sources([sources])
        .analyzer(analyzer)
        .clock(clock.clone())
        .monitoring(monitoring)
        .build();
    let syncing = bridge.keep_in_sync(Duration::from_millis(20), |_| {});
    Host { bridge, clock, syncing }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Overlapping copies: each host has all of the history, and a session of its own. So the total is that of one
/// analysis.
#[tokio::test]
async fn hosts_with_overlapping_copies_store_the_total_of_a_single_analysis_and_a_silent_one_is_reported() {
    let database = TestDatabase::of_this_test();
    let shared: Arc<dyn TokenStore> = Arc::new(store(&database.writer_url()));
    shared.migrate().await.unwrap();
    let (truth, first) = history(73);
    let folders = [first, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    folders[1..].iter().for_each(|folder| copy(folders[0].path(), folder.path()));
    let names = ["laptop", "server", "workstation"];
    for (number, (name, folder)) in names.iter().zip(&folders).enumerate() {
        let own = folder.path().join(format!("projects/-own/{name}.jsonl"));
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::write(own, line(name, 900 + number as u64, 1000)).unwrap();
    }
    let hosts: Vec<_> =
        names.iter().zip(&folders).map(|(name, folder)| start(&database, name, folder.path())).collect();
    let expected = (truth.truth.responses + 3, truth.truth.total() + 3000);
    let waiting = async {
        loop {
            let totals = shared.totals(&ResponseFilter::default()).await.unwrap();
            let known = hosts[0].bridge.dashboard().hosts().await.unwrap();
            if (totals.responses, totals.counts.total()) == expected && known.len() == 3 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, waiting).await.expect("all hosts store the same total");
    let known = hosts[1].bridge.dashboard().hosts().await.unwrap();
    assert_eq!(known.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), names);
    assert!(known.iter().all(|host| host.sources > 1 && !host.is_silent(DAY)), "{known:?}");

    // One of them ends. The others have nothing to do, and go on being seen.
    let [laptop, server, workstation] = <[Host; 3]>::try_from(hosts).ok().unwrap();
    timeout(DEADLINE, workstation.syncing.stop()).await.unwrap();
    for host in [&laptop, &server] {
        host.clock.set(now().saturating_add(4 * DAY));
    }
    let waiting = async {
        loop {
            let known = laptop.bridge.dashboard().hosts().await.unwrap();
            let silent: Vec<_> = known.iter().filter(|host| host.is_silent(3 * DAY)).collect();
            if let [only] = &*silent {
                return only.host.to_string();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(timeout(DEADLINE, waiting).await.expect("the others are seen"), "workstation");
    let health = server.bridge.health_check().await;
    let probe = health.probe(Probe::Hosts).unwrap();
    assert!(probe.state == HealthState::Degraded && probe.detail.contains("workstation"), "{probe}");
    // What it has not stored for a month its client has deleted.
    laptop.clock.set(now().saturating_add(40 * DAY));
    let known = laptop.bridge.dashboard().hosts().await.unwrap();
    assert!(
        known.iter().any(|host| host.host.as_str() == "workstation" && !host.is_silent(DAY)),
        "{known:?}"
    );
    for host in [laptop, server] {
        timeout(DEADLINE, host.syncing.stop()).await.unwrap();
    }
}
