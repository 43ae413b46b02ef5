//! The section `audit`.

use std::time::Duration;

use bridge::{AuditFilter, EnhancedTokenDatabaseBridge, SummaryQuery};

use crate::config::{in_memory, store_one};

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
