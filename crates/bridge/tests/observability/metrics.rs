//! Each metric is documented, described and updated.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, Budgets};
use bridge::storage::{CircuitPolicy, InMemoryStore, RetryPolicy};
use bridge::{
    AuditOptions, BackfillOptions, EnhancedTokenDatabaseBridge, IntegrityOptions, IntegrityResult, Operation,
    Repair, SessionId, StoreOptions, SummaryQuery, SyncOptions,
    metrics::{METRICS, MetricKind},
};
use bridge_testkit::fixtures::line;
use bridge_testkit::proxy::{Fault, FaultProxy};
use tempfile::TempDir;

use crate::observability::recorder::Escaped;
use crate::observability::{analysis, behind_proxy, bridge, forced, on_demand};

/// The expected rows of the metrics page.
fn documented() -> Vec<String> {
    let row = |metric: &bridge::metrics::Metric| {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            _ => "histogram",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let unit = metric.unit.as_str();
        format!("| `{}` | {kind} | {unit} | {} | {} |", metric.name, labels.join(", "), metric.meaning)
    };
    METRICS.iter().map(row).collect()
}

#[test]
fn the_metrics_page_matches_the_code() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `bridge_")).collect();
    assert_eq!(rows, documented(), "the rows should be\n{}", documented().join("\n"));
    for operation in Operation::ALL {
        assert!(page.contains(&format!("`{operation}`")), "{operation} is not documented");
    }
}

#[test]
fn metric_names_follow_conventions_and_have_descriptions() {
    for metric in METRICS {
        assert!(metric.name.starts_with("bridge_"), "{}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
        let named_unit =
            ["_seconds", "_bytes", "_bytes_total", "_ratio"].iter().any(|end| metric.name.ends_with(end));
        assert_eq!(metric.unit == metrics::Unit::Count, !named_unit, "{}", metric.name);
    }
    let shown = Arc::new(Escaped::default());
    let _bridge = metrics::with_local_recorder(&shown, || {
        bridge(Arc::new(InMemoryStore::default()), "none".as_ref()).build()
    });
    let described = shown.described.lock().unwrap();
    let wanted: BTreeMap<_, _> = METRICS
        .iter()
        .map(|metric| (metric.name.to_owned(), (Some(metric.unit), metric.meaning.to_owned())))
        .collect();
    assert_eq!(*described, wanted);
}

/// A histogram has buckets that the page lists; nothing else has any.
#[test]
fn buckets_are_ascending_and_documented() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
    for metric in METRICS {
        assert_eq!(metric.kind == MetricKind::Histogram, !metric.buckets.is_empty(), "{}", metric.name);
        assert!(metric.buckets.is_sorted_by(|a, b| a < b), "{}: {:?}", metric.name, metric.buckets);
        if !metric.buckets.is_empty() {
            let bounds: Vec<_> = metric.buckets.iter().map(ToString::to_string).collect();
            let row = format!("| `{}` | {} |", metric.name.trim_start_matches("bridge_"), bounds.join(", "));
            assert!(page.contains(&row), "the page lacks\n{row}");
        }
    }
}

/// The metrics with a changed series.
fn updated(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> BTreeSet<String> {
    let is_same =
        |series: &String, value: &f64| before.get(series).is_some_and(|was| was.to_bits() == value.to_bits());
    let changed = after.iter().filter(|(series, value)| !is_same(series, value));
    changed.map(|(series, _)| series.split('{').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_metric_is_updated() {
    let mut observed = Observed::new().await;
    observed.backfills().await;
    observed.synchronizes_and_stores().await;
    observed.lists_expiring_transcripts().await;
    observed.checks_budgets_and_hosts().await;
    observed.finds_unpriced_tokens().await;
    observed.waits_for_a_silent_database().await;
    observed.fails_without_the_database().await;
    observed.spools_the_audit().await;
    observed.answers_a_request().await;

    observed.note_updates();
    let still: Vec<_> = METRICS.iter().filter(|metric| !observed.updated.contains(metric.name)).collect();
    assert!(still.is_empty(), "{still:?}");
    assert_labels_are_bounded(&observed.shown);
    observed.shuts_down().await;
}

/// A bridge over a database behind a proxy, and the recorder of its metrics.
struct Observed {
    proxy: FaultProxy,
    folder: TempDir,
    bridge: EnhancedTokenDatabaseBridge,
    shown: Arc<Escaped>,
    before: BTreeMap<String, f64>,
    /// The metrics that changed since then.
    updated: BTreeSet<String>,
}

impl Observed {
    async fn new() -> Self {
        let retry =
            RetryPolicy { max_retries: 1, min_delay: Duration::from_millis(1), ..RetryPolicy::default() };
        let circuit = CircuitPolicy::default();
        let (proxy, store) =
            behind_proxy(|options| options.with_pool_size(1).with_retry(retry).with_circuit(circuit)).await;
        let folder = tempfile::tempdir().unwrap();
        let shown = Arc::new(Escaped::default());
        let audit =
            AuditOptions::default().with_buffer_records_max(2).with_write_within(Duration::from_hours(1));
        let bridge = metrics::with_local_recorder(&shown, || {
            bridge(store, folder.path()).audit(audit).budgets(budgets()).build()
        });
        let before = shown.all();
        Self { proxy, folder, bridge, shown, before, updated: BTreeSet::new() }
    }

    fn value(&self, series: &str) -> f64 {
        self.shown.value(series)
    }

    fn note_updates(&mut self) {
        self.updated.append(&mut updated(&self.before, &self.shown.all()));
    }

    async fn backfills(&self) {
        let transcript = line("s", 1, 40) + "broken\n" + &line("s", 2, 2);
        fs::write(self.folder.path().join("s.jsonl"), &transcript).unwrap();
        assert_eq!(self.value("bridge_data_freshness_seconds"), f64::INFINITY);
        let progress = |_: &bridge::BackfillProgress| panic!("an observer's panic");
        let options = BackfillOptions::default().with_progress(progress);
        let _ = self.bridge.backfill_historical_data(options).await.unwrap();
        assert_eq!(self.value("bridge_observer_panics_total{observer=progress}"), 1.0);
        self.bridge.export_metrics();
        assert_eq!(self.value("bridge_tokens_stored_total"), 42.0);
        assert_eq!(self.value("bridge_rows_written_total{change=new}"), 2.0);
        assert_eq!(self.value("bridge_read_bytes_total"), transcript.len() as f64);
        assert_eq!(self.value("bridge_read_lines_total"), 3.0);
        assert_eq!(self.value("bridge_damaged_lines_total{kind=bad_line}"), 1.0);
        assert_eq!(self.value("bridge_backfill_progress_ratio"), 1.0);
        assert_eq!(self.value("bridge_data_freshness_seconds"), 0.0);
        assert_eq!(self.value("bridge_audit_written_total"), 1.0);
        assert_eq!(self.value("bridge_pool_connections{state=idle}"), 1.0);
        assert_eq!(self.value("bridge_storage_operation_duration_seconds{call=upsert}"), 1.0);
    }

    async fn synchronizes_and_stores(&self) {
        let one = SyncOptions::default().with_parallel_limit(1);
        let _ = self.bridge.sync_all_sessions(one).await.unwrap();
        assert_eq!(self.value("bridge_sessions_synchronized_total{status=unchanged}"), 1.0);
        for (tokens, options) in [(7, StoreOptions::default()), (5, forced())] {
            let _ = self.bridge.store_enhanced_analysis(&analysis("s", 9, tokens), options).await.unwrap();
        }
        assert_eq!(self.value("bridge_forced_rows_total"), 1.0);
        assert_eq!(self.value("bridge_tokens_stored_total"), 49.0, "the counter decreased");
        for _ in 0..2 {
            let days = SummaryQuery::last_days(100_000);
            let _ = self.bridge.get_stored_token_summaries(days).await.unwrap();
        }
    }

    async fn lists_expiring_transcripts(&self) {
        let project = self.folder.path().join("projects/-p");
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join("late.jsonl"), line("late", 3, 1)).unwrap();
        let within = Duration::from_hours(24 * 36_500);
        let soon = self.bridge.sessions().expiring_transcripts(within).await.unwrap();
        assert_eq!((soon.unstored.len(), self.value("bridge_expiring_transcripts")), (1, 1.0));
        fs::remove_dir_all(&project).unwrap();
    }

    async fn checks_budgets_and_hosts(&self) {
        assert!(self.value("bridge_budget_spent_ratio{budget=all}").is_nan(), "nothing is known yet");
        let status = self.bridge.dashboard().budgets().await.unwrap().remove(0);
        assert_eq!(self.value("bridge_budget_spent_ratio{budget=all}"), status.share.unwrap());
        assert_eq!(self.value("bridge_budget_state{budget=all}"), 0.0);

        assert!(self.value("bridge_host_silent_seconds{host=host}").is_nan(), "nothing is known yet");
        let _ = self.bridge.health_check().await;
        let checked = self.value("bridge_host_silent_seconds{host=host}");
        assert!(checked >= 0.0, "{checked} after a health check without a limit of silence");
        let hosts = self.bridge.dashboard().hosts().await.unwrap();
        let silent = hosts[0].silent_for.as_secs_f64();
        assert_eq!(self.value("bridge_host_silent_seconds{host=host}"), silent);
    }

    async fn finds_unpriced_tokens(&self) {
        let _ = self.bridge.dashboard().use_prices(bridge::pricing::Catalog::shipped()).await.unwrap();
        let unnamed = bridge_testkit::fixtures::response("s", 20, 3);
        let _ = self.bridge.token_store().upsert(&[unnamed], &Default::default()).await.unwrap();
        {
            // Models are not known when the bridge is built.
            let _recorder = metrics::set_default_local_recorder(&self.shown);
            let _ = self.bridge.health_check().await;
        }
        assert!(self.value("bridge_unpriced_tokens{model=other}") >= 3.0);
        assert_eq!(self.value("bridge_priced_tokens{model=other}"), 0.0);
    }

    /// One call holds the connection and the next one waits for it.
    async fn waits_for_a_silent_database(&mut self) {
        self.proxy.set(Fault::Silent);
        let verifies = || {
            let bridge = self.bridge.clone();
            let options = IntegrityOptions::default().with_session(SessionId::new("s").unwrap());
            tokio::spawn(async move { bridge.verify_data_integrity(options).await })
        };
        let waiting = [verifies(), verifies()];
        let stuck = async {
            while self.value("bridge_pool_waiting_calls") < 1.0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let (summaries, ()) = (self.bridge.clone(), self.bridge.export_metrics());
                tokio::spawn(async move {
                    drop(summaries.get_stored_token_summaries(SummaryQuery::last_days(3)).await)
                });
            }
        };
        tokio::time::timeout(Duration::from_secs(20), stuck).await.unwrap();
        assert_eq!(self.value("bridge_pool_connections{state=in_use}"), 1.0);
        self.note_updates();
        self.proxy.set(Fault::None);
        for task in waiting {
            let _: IntegrityResult = task.await.unwrap().unwrap();
        }
    }

    async fn fails_without_the_database(&self) {
        self.proxy.set(Fault::Closed);
        let store = async || {
            let analysis = analysis("s", 10, 1);
            self.bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await
        };
        assert_eq!(store().await.unwrap_err().kind(), "unreachable");
        for _ in 0..3 {
            let _ = store().await;
        }
        self.bridge.export_metrics();
        let errors = |kind| self.value(&format!("bridge_errors_total{{kind={kind}}}"));
        assert_eq!(errors("unreachable") + errors("circuit_open"), 4.0);
        let failed = "bridge_operations_total{operation=store_enhanced_analysis,outcome=failed}";
        assert_eq!(self.value(failed), 4.0);
        assert!(self.value("bridge_store_retries_total") >= 1.0);
        assert_read_back(&self.bridge, &self.shown);
        assert_eq!(self.value("bridge_store_circuit_open"), 1.0);
        let _ = self.bridge.health_check().await;
        assert_eq!(self.value("bridge_health_state"), 2.0);
        assert_eq!(self.value("bridge_audit_buffered_records"), 2.0);
        assert!(self.value("bridge_audit_dropped_total") >= 2.0);
    }

    async fn spools_the_audit(&self) {
        let spool = self.folder.path().join("spool");
        let spooling = metrics::with_local_recorder(&self.shown, || spooling(&spool));
        let _ = spooling.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
        spooling.export_metrics();
        let bytes = spooling.stats().audit.spool_bytes as f64;
        assert_eq!(self.value("bridge_audit_spool_bytes"), bytes);
    }

    async fn answers_a_request(&self) {
        let router = bridge::web::router(self.bridge.clone(), bridge::web::WebOptions::default());
        let request = axum::http::Request::get("/health/live").body(axum::body::Body::empty()).unwrap();
        assert_eq!(tower::ServiceExt::oneshot(router, request).await.unwrap().status(), 200);
    }

    async fn shuts_down(&self) {
        self.proxy.set(Fault::None);
        let _ = self.bridge.health_check().await;
        self.bridge.shutdown().await.unwrap();
    }
}

/// A bridge whose audit has a spool.
fn spooling(spool: &Path) -> EnhancedTokenDatabaseBridge {
    let store = Arc::new(InMemoryStore::default());
    bridge(store, "none".as_ref()).audit(on_demand().with_spool_dir(spool)).build()
}

/// Asserts that the specification's six metrics agree with the recorded ones.
fn assert_read_back(bridge: &EnhancedTokenDatabaseBridge, shown: &Escaped) {
    let metrics = bridge.stats().metrics;
    let sum = |name: &str| {
        let of_name = |series: &&String| series.split('{').next() == Some(name);
        let all = shown.all();
        all.keys().filter(of_name).map(|series| all[series]).sum::<f64>()
    };
    let durations = metrics.storage_operation_duration;
    assert_eq!(durations.count as f64, sum("bridge_storage_operation_duration_seconds"));
    assert!(durations.max >= durations.mean() && durations.mean() > Duration::ZERO, "{durations:?}");
    assert_eq!(metrics.backfill_progress_gauge, sum("bridge_backfill_progress_ratio"));
    assert_eq!(metrics.error_rate_counter as f64, sum("bridge_errors_total"));
    assert_eq!(metrics.tokens_stored_total as f64, sum("bridge_tokens_stored_total"));
    assert_eq!(metrics.sessions_synchronized as f64, sum("bridge_sessions_synchronized_total"));
    assert_eq!(metrics.data_freshness_gauge, Some(Duration::ZERO));
}

fn budgets() -> Budgets {
    let budget = Budget::new("all", BudgetAmount::Tokens(1000), BudgetPeriod::Rolling { days: 30 }).unwrap();
    Budgets::new([budget]).unwrap()
}

/// Asserts that every series belongs to a documented metric and has its labels, with identifiers as values.
fn assert_labels_are_bounded(shown: &Escaped) {
    for series in shown.all().keys() {
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let metric = METRICS.iter().find(|metric| metric.name == name).expect(series);
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        let (keys, values): (Vec<_>, Vec<_>) = labels.map(|label| label.split_once('=').unwrap()).unzip();
        assert_eq!(keys, metric.labels, "{series}");
        let is_word = |value: &&str| {
            value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        assert!(values.iter().all(is_word), "{series}");
    }
}

#[tokio::test]
async fn bridges_in_one_process_can_share_a_recorder_or_not() {
    let (own, shared) = (Arc::new(Escaped::default()), Arc::new(Escaped::default()));
    let store = || Arc::new(InMemoryStore::default());
    let recorders = [&own, &shared, &shared];
    for (recorder, key) in recorders.into_iter().zip(1..) {
        let bridge = metrics::with_local_recorder(recorder, || bridge(store(), "none".as_ref()).build());
        let _ =
            bridge.store_enhanced_analysis(&analysis("s", key, 10), StoreOptions::default()).await.unwrap();
        for _ in 0..2 {
            let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
            bridge.export_metrics();
        }
        let repair = IntegrityOptions::default().with_repair(Repair::Off);
        let _ = bridge.verify_data_integrity(repair).await.unwrap();
        bridge.shutdown().await.unwrap();
    }
    assert_eq!(own.value("bridge_tokens_stored_total"), 10.0);
    assert_eq!(shared.value("bridge_tokens_stored_total"), 20.0);
    assert_eq!(own.value("bridge_cache_requests_total{cache=summaries,answer=hit}"), 1.0);
    assert_eq!(shared.value("bridge_cache_requests_total{cache=summaries,answer=hit}"), 2.0);
    // Writing operations are audited twice: when announced, and when finished.
    assert_eq!(shared.value("bridge_audit_written_total"), 10.0);
}
