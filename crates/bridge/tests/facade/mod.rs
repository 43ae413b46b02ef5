//! The facade on the in-memory store, and on a mock for failures that a real store cannot be made to produce.

mod backfill;
mod caching;
mod checkpoint;
mod costs;
mod dashboard;
mod fallback;
mod integrity;
mod json;
mod lookup;
mod observers;
mod processor;
mod projects;
mod sessions;
mod shutdown;
mod store;
mod streams;
mod sums;
mod sync;
mod threads;

use std::path::Path;
use std::sync::Arc;

use bridge::storage::{InMemoryStore, TokenStore};
use bridge::{EnhancedTokenDatabaseBridge, ManualClock};
use bridge_testkit::fixtures::{analysis, now, response};

fn bridge(store: Arc<dyn TokenStore>, sources: &[&Path]) -> EnhancedTokenDatabaseBridge {
    crate::builder(store, sources).clock(Arc::new(ManualClock::new(now()))).build()
}

fn in_memory() -> (Arc<InMemoryStore>, EnhancedTokenDatabaseBridge) {
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), &[]);
    (store, bridge)
}
