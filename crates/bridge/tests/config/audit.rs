//! The section `audit`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bridge::{AuditFilter, AuditRecord, EnhancedTokenDatabaseBridge, SummaryQuery};

use crate::config::{in_memory, on_engine, store_one};

/// The number of stored audit records after a write and a read.
async fn records(keys: &[(&str, &str)]) -> usize {
    let bridge = in_memory(keys);
    store_one(&bridge).await;
    let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    bridge.shutdown().await.unwrap();
    bridge.token_store().audit().unwrap().audit_records(&AuditFilter::default()).await.unwrap().len()
}

#[tokio::test]
async fn audit_operations() {
    assert_eq!(records(&[("audit.operations", "all")]).await, 2);
    assert_eq!(records(&[("audit.operations", "changes")]).await, 1);
    assert_eq!(records(&[("audit.operations", "nothing")]).await, 0);
}

#[tokio::test]
async fn audit_buffer_records() {
    let dropped = async |room| {
        let bridge = in_memory(&[("audit.buffer_records", room), ("audit.write_within", "1h")]);
        // Neither call awaits anything, so the background task cannot write in between.
        read_one(&bridge).await;
        read_one(&bridge).await;
        bridge.stats().audit.dropped
    };
    assert_eq!(dropped("1").await, 1);
    assert_eq!(dropped("2").await, 0);
}

async fn read_one(bridge: &EnhancedTokenDatabaseBridge) {
    let _ = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
}

async fn is_written_soon(bridge: &EnhancedTokenDatabaseBridge) -> bool {
    // A read, because writes are audited at once.
    read_one(bridge).await;
    let written = async {
        while bridge.stats().audit.written == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn audit_write_within() {
    assert!(is_written_soon(&in_memory(&[("audit.write_within", "10s")])).await);
    assert!(!is_written_soon(&in_memory(&[("audit.write_within", "1h")])).await);
}

async fn audited(bridge: &EnhancedTokenDatabaseBridge) -> Vec<AuditRecord> {
    bridge.token_store().audit().unwrap().audit_records(&AuditFilter::default()).await.unwrap()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn audit_spool_dir() {
    let folder = tempfile::tempdir().unwrap();
    let spools = folder.path().join("spools");
    let keys = [("audit.spool_dir", spools.to_str().unwrap()), ("audit.write_within", "1h")];
    let bridge = on_engine(&keys).build().await.unwrap();
    store_one(&bridge).await;
    assert_eq!((audited(&bridge).await, bridge.stats().audit.buffered), (Vec::new(), 1));
    // The records of another database's bridge go to a spool of their own.
    let of_others = on_engine(&[keys[0], keys[1], ("clickhouse.table_prefix", "others_")]);
    let others = of_others.build().await.unwrap();
    assert_eq!(files_in(&spools).len(), 2);
    drop(bridge);
    others.shutdown().await.unwrap();
    assert_eq!(audited(&others).await, []);

    let bridge = on_engine(&keys).build().await.unwrap();
    bridge.shutdown().await.unwrap();
    assert_eq!(audited(&bridge).await[0].operation.as_str(), "store_enhanced_analysis");
}

#[tokio::test]
async fn audit_spool_mb() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let in_spool = |size| {
        let path = spool.to_str().unwrap();
        in_memory(&[("audit.spool_dir", path), ("audit.spool_mb", size), ("audit.write_within", "1h")])
    };
    read_one(&in_spool("0")).await;
    assert!(!spool.exists());
    let bridge = in_spool("1");
    // No call awaits anything, so the background task cannot write in between.
    while bridge.stats().audit.dropped == 0 {
        read_one(&bridge).await;
    }
    assert!((1_000_000..=1 << 20).contains(&bridge.stats().audit.spool_bytes), "{:?}", bridge.stats().audit);
}
