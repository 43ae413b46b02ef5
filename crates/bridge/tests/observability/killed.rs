//! A process killed right after a call returned has audited the rows it stored.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, ResponseFilter, TokenStore};
use bridge::{
    AuditFilter, AuditOutcome, AuditRecord, BatchOptions, BatchProcessingResult, EnhancedTokenDatabaseBridge,
    JsonlProcessorBridge, SessionId, StoreOptions, SyncMode, SyncOptions,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::fixtures::line;

use crate::observability::{analysis, bridge};

const URL: &str = "BRIDGE_TEST_KILLED_URL";
const FOLDER: &str = "BRIDGE_TEST_KILLED_FOLDER";
const LAST: &str = "BRIDGE_TEST_KILLED_LAST";

/// The operations of the child process in order, each with the tokens that it stores.
const OPERATIONS: [(&str, u64); 5] = [
    ("store_enhanced_analysis", 10),
    ("batch_store_analyses", 20),
    ("sync_session_tokens", 30),
    ("sync_all_sessions", 40),
    ("on_content_batch_processed", 50),
];

fn store_at(url: &str) -> Arc<dyn TokenStore> {
    Arc::new(ClickHouseStore::new(ClickHouseOptions::from_url(url).unwrap()).unwrap())
}

/// Not a test: the entry point of the child process, which runs this binary again and ends by a signal.
#[tokio::test]
async fn storing_program() {
    let (Ok(url), Some(folder)) = (std::env::var(URL), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    let bridge = bridge(store_at(&url), folder).build();
    for (operation, tokens) in OPERATIONS {
        run(&bridge, folder, operation, tokens).await;
        if std::env::var(LAST).unwrap() == operation {
            // Bypasses the output capture of the test harness; `run_until` waits for it.
            writeln!(std::io::stdout(), "\nreturned {operation}").unwrap();
            std::future::pending::<()>().await;
        }
    }
}

async fn run(bridge: &EnhancedTokenDatabaseBridge, folder: &Path, operation: &str, tokens: u64) {
    match operation {
        "store_enhanced_analysis" => {
            let _ = bridge
                .store_enhanced_analysis(&analysis("s", 1, tokens), StoreOptions::default())
                .await
                .unwrap();
        }
        "batch_store_analyses" => {
            let analyses = [analysis("s", 2, tokens / 2), analysis("t", 3, tokens / 2)];
            assert!(
                bridge
                    .batch_store_analyses(&analyses, BatchOptions::default())
                    .await
                    .iter()
                    .all(|result| result.success)
            );
        }
        "sync_session_tokens" => {
            std::fs::write(folder.join("t.jsonl"), line("t", 1, tokens)).unwrap();
            let _ = bridge
                .sync_session_tokens(&SessionId::new("t").unwrap(), SyncMode::Incremental)
                .await
                .unwrap();
        }
        "sync_all_sessions" => {
            std::fs::write(folder.join("u.jsonl"), line("t", 2, tokens)).unwrap();
            let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
        }
        _ => {
            let batch =
                BatchProcessingResult::new(folder.join("fed.jsonl"), 0, line("t", 3, tokens).into_bytes());
            let _ =
                JsonlProcessorBridge::new(bridge.clone()).on_content_batch_processed(batch).await.unwrap();
        }
    }
}

/// Starts the child process and waits until this operation has returned.
fn run_until(operation: &str, url: &str, folder: &Path) -> Child {
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "observability::killed::storing_program"])
        .env(URL, url)
        .env(FOLDER, folder)
        .env(LAST, operation)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines().map_while(Result::ok);
    let returned = format!("returned {operation}");
    assert!(lines.into_iter().any(|line| line == returned), "the child process ended before {operation}");
    program
}

/// Sends the signal and waits for the process to exit.
fn end(mut program: Child, signal: &str) {
    Command::new("kill").args([signal, &program.id().to_string()]).status().unwrap();
    program.wait().unwrap();
}

async fn assert_audited(store: &dyn TokenStore, operations: usize) {
    let mut records = store.audit().unwrap().audit_records(&AuditFilter::default()).await.unwrap();
    records.reverse();
    let written = |record: &AuditRecord| (record.operation.to_string(), record.tokens_written);
    let expected = OPERATIONS[..operations].iter().map(|(name, tokens)| ((*name).to_owned(), *tokens));
    assert_eq!(records.iter().map(written).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let audited: u64 = records.iter().map(|record| record.tokens_written).sum();
    let stored = store.totals(&ResponseFilter::default()).await.unwrap().counts.total();
    assert_eq!(audited, stored);
    let ends = |record: &AuditRecord| {
        record.outcome == AuditOutcome::Succeeded || record.error.contains("outcome is unknown")
    };
    assert!(records.iter().all(ends), "{records:#?}");
}

#[tokio::test]
async fn stored_rows_are_audited_even_if_the_process_is_killed() {
    for signal in ["-KILL", "-TERM"] {
        for (place, (operation, _)) in OPERATIONS.iter().enumerate() {
            let database = TestDatabase::named(&format!("killed{signal}_{operation}"));
            let (store, folder) = (store_at(&database.writer_url()), tempfile::tempdir().unwrap());
            store.migrate().await.unwrap();
            end(run_until(operation, &database.writer_url(), folder.path()), signal);
            assert_audited(&*store, place + 1).await;
        }
    }
}
