//! Invalidates the cache on each write of a store.

use std::sync::Arc;

use bridge_cache::BridgeCache;
use bridge_core::BridgeError;

use crate::layered_store::{Layer, StoreCall};

/// Makes cached summaries stale before and after each write; after a rollback, drops cached analyses too.
#[derive(Debug)]
pub(crate) struct Invalidating(pub(crate) Arc<BridgeCache>);

impl Layer for Invalidating {
    async fn around<T: Send>(
        &self,
        call: StoreCall,
        work: impl Future<Output = Result<T, BridgeError>> + Send,
    ) -> Result<T, BridgeError> {
        let Self(cache) = self;
        if call == StoreCall::KeepsRows {
            return work.await;
        }
        // Before: once the write is visible, no summary of the old state is served. After: nor is one that was read
        // during the write. Also after an error or a cancellation, because the write may have happened.
        cache.invalidate();
        let _after = AfterWrite { cache, call };
        work.await
    }
}

struct AfterWrite<'a> {
    cache: &'a BridgeCache,
    call: StoreCall,
}

impl Drop for AfterWrite<'_> {
    fn drop(&mut self) {
        match self.call {
            StoreCall::RollBack => self.cache.forget(),
            _ => self.cache.invalidate(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bridge_cache::{CacheOptions, SummaryQuery};

    use super::*;

    #[tokio::test]
    async fn a_cancelled_write_invalidates_summaries_read_during_it() {
        let cache = Arc::new(BridgeCache::new(CacheOptions::default()));
        let layer = Invalidating(Arc::clone(&cache));
        let endless = std::future::pending::<Result<(), BridgeError>>();
        let mut write = Box::pin(layer.around(StoreCall::Upsert, endless));
        assert!(tokio::time::timeout(Duration::ZERO, &mut write).await.is_err());

        let key = cache.key(SummaryQuery::last_days(7));
        cache.put(key.clone(), Vec::new()).await;
        assert!(cache.get(&key).await.is_some());
        drop(write);
        assert!(cache.get(&cache.key(SummaryQuery::last_days(7))).await.is_none());
    }
}
