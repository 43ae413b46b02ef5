//! A service whose stored usage is read by another bridge.

use std::sync::Arc;

use axum::Router;
use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, Budgets};
use bridge::storage::InMemoryStore;
use bridge::web::{PageOptions, router};
use bridge::{ManualClock, SyncOptions};
use bridge_testkit::fixtures::{line, now};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tempfile::TempDir;

use crate::web::{fresh, get, stored};

/// A healthy bridge whose store has 40 tokens of session `w`, with a reader whose store has 47, and which is unhealthy: its
/// sources are missing. Both have the recorder of their process.
async fn with_reader() -> (Router, PrometheusHandle, TempDir) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.jsonl"), line("w", 1, 40)).unwrap();
    let budget = Budget::new("all", BudgetAmount::Tokens(100), BudgetPeriod::Month).unwrap();
    let bridge = metrics::with_local_recorder(&recorder, || {
        crate::builder(Arc::new(InMemoryStore::default()), &[folder.path()])
            .clock(Arc::new(ManualClock::new(now())))
            .budgets(Budgets::new([budget]).unwrap())
            .build()
    });
    let _ = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    // Registered last, as a service opens its reader after the bridge that writes.
    let guard = metrics::set_default_local_recorder(&recorder);
    let reader = stored().await;
    drop(guard);
    let options = fresh().with_reader(reader).with_page(PageOptions::default());
    (router(bridge, options), rendered, folder)
}

#[tokio::test]
async fn health_is_that_of_the_bridge_that_writes_on_every_page_in_the_api_and_in_the_metrics() {
    let (service, rendered, _folder) = with_reader().await;
    // The first has the check begun, the second waits for it, and the third knows its result.
    for page in ["/?range=all", "/status", "/?range=all", "/sessions?range=all"] {
        let answer = get(&service, page).await;
        assert!(answer.text.contains(r#"<p id="health"></p>"#), "{page}: {}", answer.text);
    }
    assert!(get(&service, "/status").await.text.contains(r#"<span class="badge good">healthy</span></h1>"#));
    assert_eq!(get(&service, "/api/v1/health").await.of("Health", 200)["overall"], "healthy");
    let metrics = rendered.render();
    assert!(metrics.lines().any(|line| line == "bridge_health_state 0"), "{metrics}");
}

#[tokio::test]
async fn usage_is_read_by_the_reader_and_the_service_is_asked_about_itself() {
    let (service, ..) = with_reader().await;
    let overview = get(&service, "/?range=all").await.text;
    assert!(overview.contains(r#"<span class="total">47</span>"#), "{overview}");
    assert!(overview.contains(r#"title="47">47</span> tokens of"#), "the budget is spent: {overview}");
    assert_eq!(get(&service, "/sessions/a").await.status, 200);
    let totals = get(&service, "/api/v1/totals").await.of("Totals", 200);
    assert_eq!(totals["totals"]["tokens"]["total"], "47");
    let budgets = get(&service, "/api/v1/budgets").await.of("Budgets", 200);
    assert_eq!(budgets["budgets"][0]["spent"]["tokens"], "47");
    let sessions = [("a", 200), ("w", 404)];
    for (session, status) in sessions {
        assert_eq!(get(&service, &format!("/api/v1/sessions/{session}")).await.status, status, "{session}");
    }
    // Its host, its audit.
    let hosts = get(&service, "/api/v1/hosts").await.of("Hosts", 200);
    assert_eq!(hosts["hosts"].as_array().map(Vec::len), Some(1), "{hosts}");
    let audit = get(&service, "/api/v1/audit").await.of("AuditPage", 200);
    let operations: Vec<_> =
        audit["records"].as_array().unwrap().iter().map(|record| &record["operation"]).collect();
    assert_eq!(operations, ["hosts", "sync_all_sessions"]);
}
