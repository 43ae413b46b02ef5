//! Caches that the embedder decides on.

use std::sync::Arc;

use bridge::cache::BridgeCache;
use bridge::storage::InMemoryStore;
use bridge::{CacheOptions, EnhancedTokenDatabaseBridge, StoreOptions, SummaryQuery, TokenStore};
use bridge_testkit::fixtures::analysis;

async fn summaries(bridge: &EnhancedTokenDatabaseBridge) -> usize {
    bridge.get_stored_token_summaries(SummaryQuery::last_days(36_500)).await.unwrap().len()
}

async fn store_session(bridge: &EnhancedTokenDatabaseBridge, session: &str, first_key: u128) {
    let stored =
        bridge.store_enhanced_analysis(&analysis(session, first_key, &[5]), StoreOptions::default()).await;
    assert!(stored.unwrap().success);
}

#[tokio::test]
async fn a_write_of_one_bridge_makes_stale_what_the_other_has_cached() {
    let store: Arc<dyn TokenStore> = Arc::new(InMemoryStore::default());
    let cache = Arc::new(BridgeCache::new(CacheOptions::default()));
    let bridge = || EnhancedTokenDatabaseBridge::builder(store.clone()).shared_cache(cache.clone()).build();
    let (writer, reader) = (bridge(), bridge());
    store_session(&writer, "a", 1).await;
    assert_eq!((summaries(&reader).await, summaries(&writer).await), (1, 1));
    assert_eq!(cache.stats().hits, 1, "the second bridge is answered from the cache");
    store_session(&writer, "b", 2).await;
    assert_eq!(summaries(&reader).await, 2);
}

#[tokio::test]
async fn without_a_cache_every_read_asks_the_store() {
    let store = Arc::new(InMemoryStore::default());
    let bridge = EnhancedTokenDatabaseBridge::builder(store).without_cache().build();
    assert_eq!((summaries(&bridge).await, summaries(&bridge).await), (0, 0));
    assert_eq!(bridge.stats().summaries.hits, 0);
}
