//! Invalidates the cache at each write of a store.

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
        if call == StoreCall::Read {
            return work.await;
        }
        // Before: once the write is visible, no summary of the old state is served. After: neither is one that was read
        // during the write. After an error, too: the write may have happened.
        cache.invalidate();
        let result = work.await;
        match call {
            StoreCall::RollBack => cache.forget(),
            _ => cache.invalidate(),
        }
        result
    }
}
