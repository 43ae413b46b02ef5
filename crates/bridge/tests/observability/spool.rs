//! Records that wait for the store in the spool outlive the database's outages, the bridge and the process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::storage::{InMemoryStore, TokenStore};
use bridge::{
    AuditFilter, AuditOptions, AuditOutcome, AuditRecord, EnhancedTokenDatabaseBridge, OperationName,
    StoreOptions, SummaryQuery,
};
use bridge_testkit::proxy::Fault;

use crate::observability::{analysis, behind_proxy, bridge, forced, on_demand};

/// A bridge with its spool in this folder.
fn spooling(store: &Arc<impl TokenStore + 'static>, folder: &Path) -> EnhancedTokenDatabaseBridge {
    with(store, on_demand().with_spool_dir(folder))
}

fn with(store: &Arc<impl TokenStore + 'static>, audit: AuditOptions) -> EnhancedTokenDatabaseBridge {
    let store: Arc<dyn TokenStore> = store.clone();
    bridge(store, "none".as_ref()).audit(audit).build()
}

/// Operations in the store's audit, oldest first.
async fn written(store: &dyn TokenStore) -> Vec<AuditRecord> {
    let filter = AuditFilter::default().with_limit(u32::MAX);
    let mut records = store.audit().unwrap().audit_records(&filter).await.unwrap();
    records.reverse();
    records
}

async fn names(store: &dyn TokenStore) -> Vec<String> {
    written(store).await.iter().map(|record| record.operation.to_string()).collect()
}

/// Of several bridges, whose clocks stand still.
async fn sorted_names(store: &dyn TokenStore) -> Vec<String> {
    let mut names = names(store).await;
    names.sort_unstable();
    names
}

/// Has the bridge store an analysis, and record an operation of this name.
async fn record(bridge: &EnhancedTokenDatabaseBridge, name: &str) {
    let analysis = analysis("s", 1, 1);
    let result = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap();
    bridge.log_bridge_operation(&OperationName::new(name).unwrap(), None, &result);
}

/// The files with records.
fn files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "records")).collect()
}

const STORE: &str = "store_enhanced_analysis";

#[tokio::test]
async fn an_operation_is_in_the_spool_before_it_returns_and_then_in_the_store() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemoryStore::default()));
    let bridge = spooling(&store, folder.path());
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 5), StoreOptions::default()).await.unwrap();
    let spool = fs::read_to_string(&files(folder.path())[0]).unwrap();
    let outcomes: Vec<_> = spool
        .lines()
        .map(|line| (line.contains(r#""incomplete""#), line.contains(r#""succeeded""#)))
        .collect();
    assert_eq!(outcomes, [(true, false), (false, true)], "the announcement is followed by the final record");
    assert_eq!((written(&*store).await.len(), bridge.stats().audit.buffered), (0, 1));

    // Reading the audit writes it first.
    let audit = bridge.audit_log(&AuditFilter::default()).await.unwrap();
    assert_eq!((audit.len(), audit[0].outcome, audit[0].tokens_written), (1, AuditOutcome::Succeeded, 5));
    let stats = bridge.stats().audit;
    assert_eq!((stats.buffered, stats.written, stats.spool_bytes), (0, 1, 0));
    assert_eq!(files(folder.path()).len(), 0);
}

#[tokio::test]
async fn forced_updates_are_in_the_store_before_they_return() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemoryStore::default()));
    let bridge = spooling(&store, folder.path());
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 5), forced()).await.unwrap();
    assert!(written(&*store).await[0].forced);
}

#[tokio::test]
async fn an_outage_longer_than_the_memory_and_the_bridge_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (proxy, database) = behind_proxy(|options| options).await;
    let bridge = |audit: AuditOptions| bridge(Arc::clone(&database), "none".as_ref()).audit(audit).build();
    let audit = on_demand().with_buffer_records_max(2).with_spool_dir(folder.path());
    proxy.set(Fault::Closed);
    let first = bridge(audit.clone());
    for key in 1..=30 {
        first.store_enhanced_analysis(&analysis("s", key, 1), StoreOptions::default()).await.unwrap_err();
    }
    assert!(first.shutdown().await.is_err());
    assert_eq!((first.stats().audit.buffered, first.stats().audit.dropped), (30, 0));
    drop(first);
    proxy.set(Fault::None);
    bridge(audit).shutdown().await.unwrap();
    let records = written(&*database).await;
    let ids: Vec<_> = records.iter().map(|record| record.correlation_id.0).collect();
    assert_eq!(ids, (1..=30).collect::<Vec<_>>());
    assert!(records.iter().all(|record| record.outcome == AuditOutcome::Failed));
}

/// The database stores the records but its answer is lost.
#[tokio::test]
async fn records_that_are_written_again_are_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let (proxy, database) = behind_proxy(|options| options).await;
    let bridge = bridge(Arc::clone(&database), "none".as_ref())
        .audit(on_demand().with_spool_dir(folder.path()))
        .build();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 5), StoreOptions::default()).await.unwrap();
    proxy.set(Fault::CutAnswer);
    assert!(bridge.shutdown().await.is_err());
    assert_eq!(files(folder.path()).len(), 1);
    proxy.set(Fault::None);
    bridge.shutdown().await.unwrap();
    assert_eq!(names(&*database).await, [STORE]);
    assert_eq!(files(folder.path()).len(), 0);
}

#[tokio::test]
async fn records_beyond_the_limit_are_dropped_and_the_gap_is_audited() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemoryStore::default()));
    let bridge = with(&store, on_demand().with_spool_dir(folder.path()).with_spool_bytes_max(4000));
    for _ in 0..20 {
        let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    }
    let stats = bridge.stats().audit;
    assert_eq!(stats.buffered + stats.dropped, 20);
    assert!(stats.buffered > 0 && stats.dropped > 0 && stats.spool_bytes <= 4000, "{stats:?}");
    bridge.shutdown().await.unwrap();
    let records = written(&*store).await;
    assert_eq!(records.len() as u64, stats.buffered + 1);
    let gap = records.last().unwrap();
    assert_eq!((gap.operation.as_str(), gap.counts["dropped_records"]), ("audit_gap", stats.dropped));
}

#[tokio::test]
async fn a_damaged_end_is_skipped_and_counted() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemoryStore::default()));
    let first = spooling(&store, folder.path());
    for name in ["one", "two", "three"] {
        record(&first, name).await;
    }
    drop(first);
    let file = files(folder.path()).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    // What a power failure leaves: a cut line, and zeros.
    fs::write(&file, [&bytes[..bytes.len() - 10], &[0; 100]].concat()).unwrap();

    let next = spooling(&store, folder.path());
    next.shutdown().await.unwrap();
    assert_eq!(sorted_names(&*store).await, ["audit_gap", "one", STORE, STORE, STORE, "two"]);
    assert_eq!(next.stats().audit.damaged, 1);
    let records = written(&*store).await;
    let gap = records.iter().find(|record| record.operation.as_str() == "audit_gap").unwrap();
    assert_eq!(gap.counts["damaged_lines"], 1);
    assert_eq!(files(folder.path()).len(), 0);
}

#[tokio::test]
async fn the_spool_of_a_living_bridge_is_left_to_it() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemoryStore::default()));
    let (living, other) = (spooling(&store, folder.path()), spooling(&store, folder.path()));
    record(&living, "living").await;
    record(&other, "other").await;
    other.shutdown().await.unwrap();
    assert_eq!(sorted_names(&*store).await, ["other", STORE]);
    record(&living, "still living").await;
    living.shutdown().await.unwrap();
    let wanted = ["living", "other", "still living", STORE, STORE, STORE];
    assert_eq!(sorted_names(&*store).await, wanted);
}

#[tokio::test]
async fn without_a_folder_that_can_be_written_to_operations_are_announced() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemoryStore::default()));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let bridge = spooling(&store, &file.join("spool"));
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 5), StoreOptions::default()).await.unwrap();
    assert_eq!(written(&*store).await[0].tokens_written, 5);
}

#[tokio::test]
async fn a_spool_that_cannot_take_a_record_for_a_while_fails_no_operation() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemoryStore::default()));
    let spool = folder.path().join("spool");
    let bridge = spooling(&store, &spool);
    fs::remove_dir_all(&spool).unwrap();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, 5), StoreOptions::default()).await.unwrap();
    assert_eq!(names(&*store).await, [STORE], "the record only waits in memory");
    fs::create_dir(&spool).unwrap();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 2, 5), StoreOptions::default()).await.unwrap();
    assert_eq!((names(&*store).await.len(), files(&spool).len()), (1, 1));
    bridge.shutdown().await.unwrap();
    assert_eq!(names(&*store).await, [STORE, STORE]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_user_may_read_the_spool() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemoryStore::default()));
    let spool = folder.path().join("a/spool");
    record(&spooling(&store, &spool), "mine").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&spool), mode(&files(&spool)[0])), (0o700, 0o600));
}
