//! Programs that receive SIGTERM or SIGINT: they exit soon and lose nothing.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bridge::EnhancedTokenDatabaseBridge;
use bridge::storage::{ClickHouseOptions, ClickHouseStore};
use bridge_core::{AuditFilter, AuditOutcome, Stopwatch};
use bridge_embedded::{Engine, EngineOptions};
use bridge_testkit::history::HistoryPlan;
use bridge_tests::program::{backfill, example};

use crate::test_run::TestRun;

const LIMIT: Duration = Duration::from_secs(60);

fn wait_for(path: &Path) {
    let watch = Stopwatch::start();
    while !path.exists() {
        assert!(watch.elapsed() < LIMIT, "{} does not appear", path.display());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the audited operations of a data folder's store, with their outcomes.
fn outcomes(data: &Path) -> Vec<(String, AuditOutcome)> {
    let engine = Engine::start(&EngineOptions::at(data)).unwrap();
    let endpoint = engine.endpoint();
    let options = ClickHouseOptions::from_url(&endpoint.url)
        .unwrap()
        .with_database(&endpoint.database)
        .with_user(&endpoint.writer.user, &endpoint.writer.password);
    let bridge =
        EnhancedTokenDatabaseBridge::builder(Arc::new(ClickHouseStore::new(options).unwrap())).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let records = runtime.block_on(bridge.audit_log(&AuditFilter::default())).unwrap();
    records.into_iter().map(|record| (record.operation.as_str().to_owned(), record.outcome)).collect()
}

#[test]
fn a_terminated_backfill_reports_it_is_audited_and_completed_by_the_next_run() {
    let test_run = TestRun::of(HistoryPlan { seed: 57, projects: 5, sessions: 30, ..HistoryPlan::default() });
    let mut terminated = 0;
    for (pause, signal, code) in [(0, "TERM", 143), (300, "TERM", 143), (500, "INT", 130)] {
        let run = test_run.run_into("data").spawn();
        wait_for(&test_run.data("data/endpoint.json"));
        thread::sleep(Duration::from_millis(pause));
        run.signal(signal);
        let watch = Stopwatch::start();
        let done = run.finish();
        assert!(watch.elapsed() < Duration::from_secs(20), "{:?}", watch.elapsed());
        if done.code != Some(0) {
            terminated += 1;
            assert_eq!((done.code, done.stdout.as_str()), (Some(code), ""), "{done:?}");
            assert!(done.stderr.contains("a second run completes it"), "{done:?}");
        }
        test_run.wait_for_engine_exit("data");
    }
    assert!(terminated > 0, "every run finished before its signal");
    test_run.assert_exact(&test_run.run_into("data").run());
    test_run.wait_for_engine_exit("data");
    let outcomes = outcomes(&test_run.data("data"));
    assert!(
        outcomes.contains(&("backfill_historical_data".to_owned(), AuditOutcome::Succeeded)),
        "{outcomes:?}"
    );
}

/// The database accepts the connection but never responds.
#[test]
fn sigterm_ends_a_run_whose_database_is_silent() {
    let test_run = TestRun::new(58);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut run = backfill(["--json", "--url", &url]);
    for project in test_run.projects() {
        run = run.arg("--source").arg(project);
    }
    let run = run.spawn();
    let _open = silent.accept().unwrap();
    run.signal("TERM");
    let watch = Stopwatch::start();
    let done = run.finish();
    assert_eq!(done.code, Some(143), "{done:?}");
    assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
}

#[test]
fn a_backup_terminated_during_engine_start_leaves_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let run = example("backup", ["export"]).arg(&backup).arg("--data-dir").arg(&data).spawn();
    wait_for(&data);
    run.signal("TERM");
    let done = run.finish();
    assert_eq!((done.code, done.stdout.as_str()), (Some(143), ""), "{done:?}");
    assert!(done.stderr.contains("terminated"), "{done:?}");
    assert_eq!(names_in(folder.path()), ["data"]);
}

#[test]
fn a_terminated_tour_stops_its_engine_and_removes_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = example("tour", [""; 0]).env("TMPDIR", folder.path()).spawn();
    let watch = Stopwatch::start();
    while !names_in(folder.path())
        .iter()
        .any(|name| folder.path().join(name).join("data/endpoint.json").exists())
    {
        assert!(watch.elapsed() < LIMIT, "the engine does not start");
        thread::sleep(Duration::from_millis(5));
    }
    run.signal("TERM");
    let done = run.finish();
    assert_eq!(done.code, Some(143), "{done:?}");
    assert!(names_in(folder.path()).is_empty(), "{:?}", names_in(folder.path()));
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
