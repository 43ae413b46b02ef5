//! The store in memory keeps every promise of the trait.

use bridge_storage::InMemoryStore;

async fn fresh() -> InMemoryStore {
    InMemoryStore::default()
}

bridge_storage::conformance_tests!(fresh: audit, checkpoints, integrity, probes);
