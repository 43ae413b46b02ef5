//! A process that is killed has audited the rows it stored, in the database or in the spool.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bridge::storage::{
    AuditStore, ClickHouseOptions, ClickHouseStore, InMemoryStore, MockTokenStore, ResponseFilter, TokenStore,
};
use bridge::{
    AuditFilter, AuditOutcome, AuditRecord, BatchOptions, BatchProcessingResult, EnhancedTokenDatabaseBridge,
    JsonlProcessorBridge, SessionId, StoreOptions, SyncMode, SyncOptions,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::fixtures::line;

use crate::observability::{analysis, bridge, on_demand};

const URL: &str = "BRIDGE_TEST_KILLED_URL";
const FOLDER: &str = "BRIDGE_TEST_KILLED_FOLDER";
const LAST: &str = "BRIDGE_TEST_KILLED_LAST";
const SPOOL: &str = "BRIDGE_TEST_KILLED_SPOOL";

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

/// Runs the operations until it is killed by a signal.
#[tokio::test]
#[ignore = "not a test: the entry point of the program that the tests kill"]
async fn subprocess_storing() {
    let (Ok(url), Some(folder)) = (std::env::var(URL), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    let audit = match std::env::var_os(SPOOL) {
        Some(spool) => on_demand().with_spool_dir(spool),
        None => on_demand(),
    };
    let bridge = bridge(store_at(&url), folder).audit(audit).build();
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

/// This test binary as a program that runs one of the entry points.
fn program(entry: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", &format!("observability::killed::{entry}"), "--ignored"]);
    program
}

/// Starts the child process and waits until this operation has returned.
fn run_until(operation: &str, url: &str, folder: &Path) -> Child {
    let mut program = program("subprocess_storing");
    started(program.env(URL, url).env(FOLDER, folder).env(LAST, operation), &format!("returned {operation}"))
}

/// Starts the child process and waits for a line of its output.
fn started(program: &mut Command, wanted: &str) -> Child {
    let mut program = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.into_iter().any(|line| line == wanted), "the child process ended before {wanted}");
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

/// A bridge with the spool of a child process.
fn next_bridge(store: Arc<dyn TokenStore>, spool: &Path) -> EnhancedTokenDatabaseBridge {
    bridge(store, "none".as_ref()).audit(on_demand().with_spool_dir(spool)).build()
}

#[tokio::test]
async fn what_a_killed_process_spooled_is_written_by_the_next() {
    let database = TestDatabase::of_this_test();
    let (store, folder) = (store_at(&database.writer_url()), tempfile::tempdir().unwrap());
    let (transcripts, spool) = (folder.path().join("transcripts"), folder.path().join("spool"));
    std::fs::create_dir(&transcripts).unwrap();
    store.migrate().await.unwrap();
    let (last, _) = OPERATIONS[OPERATIONS.len() - 1];
    let mut program = program("subprocess_storing");
    program.env(URL, database.writer_url()).env(FOLDER, &transcripts).env(LAST, last).env(SPOOL, &spool);
    let running = started(&mut program, &format!("returned {last}"));

    // The spool of the living process is its own.
    next_bridge(Arc::clone(&store), &spool).shutdown().await.unwrap();
    let records = store.audit().unwrap().audit_records(&AuditFilter::default()).await.unwrap();
    assert_eq!(records, []);

    end(running, "-KILL");
    next_bridge(Arc::clone(&store), &spool).shutdown().await.unwrap();
    assert_audited(&*store, OPERATIONS.len()).await;
}

/// Is killed while its rows are on their way to the store.
#[tokio::test]
#[ignore = "not a test: the entry point of the program that the test below kills"]
async fn subprocess_interrupted() {
    let Some(spool) = std::env::var_os(SPOOL) else { return };
    if std::env::var_os(URL).is_some() {
        return;
    }
    let mut store = MockTokenStore::new();
    store.expect_upsert().returning(|_, _| {
        writeln!(std::io::stdout(), "\nstoring").unwrap();
        loop {
            std::thread::park();
        }
    });
    let bridge = next_bridge(Arc::new(store), spool.as_ref());
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 5), StoreOptions::default()).await;
}

#[tokio::test]
async fn an_operation_that_is_killed_before_its_end_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    end(started(program("subprocess_interrupted").env(SPOOL, folder.path()), "storing"), "-KILL");
    let store = Arc::new(InMemoryStore::default());
    next_bridge(store.clone(), folder.path()).shutdown().await.unwrap();
    let records = store.audit_records(&AuditFilter::default()).await.unwrap();
    let of = |record: &AuditRecord| (record.operation.to_string(), record.outcome, record.tokens_written);
    let wanted = ("store_enhanced_analysis".to_owned(), AuditOutcome::Incomplete, 5);
    assert_eq!(records.iter().map(of).collect::<Vec<_>>(), [wanted]);
    assert!(records[0].error.contains("outcome is unknown"), "{records:?}");
}
