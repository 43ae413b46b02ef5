//! The section `caching`.

use std::time::Duration;

use bridge::{EnhancedTokenDatabaseBridge, SummaryQuery};

use crate::config::in_memory;

/// Requests the summaries of this many days.
async fn query_summaries(bridge: &EnhancedTokenDatabaseBridge, days: u32) {
    bridge.get_stored_token_summaries(SummaryQuery::last_days(days)).await.unwrap();
}

#[tokio::test]
async fn caching_ttl_seconds() {
    let hits = async |ttl: &str, pause: Duration| {
        let bridge = in_memory(&[("caching.ttl_seconds", ttl)]);
        query_summaries(&bridge, 7).await;
        tokio::time::sleep(pause).await;
        query_summaries(&bridge, 7).await;
        bridge.stats().summaries.hits
    };
    assert_eq!(hits("600", Duration::ZERO).await, 1);
    assert_eq!(hits("0", Duration::ZERO).await, 0);
    assert_eq!(hits("1", Duration::from_millis(1100)).await, 0);
}

#[tokio::test]
async fn caching_max_entries() {
    let hits = async |entries: &str| {
        let bridge = in_memory(&[("caching.max_entries", entries)]);
        for days in (1..1001).chain(1..1001) {
            query_summaries(&bridge, days).await;
        }
        bridge.stats().summaries.hits
    };
    assert_eq!(hits("100000").await, 1000);
    // The cache evicts periodically, so some excess entries may remain.
    let few = hits("1").await;
    assert!(few < 800, "{few}");
}
