//! The conformance suite for the in-memory store.

use bridge_storage::InMemoryStore;

async fn fresh() -> InMemoryStore {
    InMemoryStore::default()
}

bridge_storage::conformance_tests!(fresh: audit, checkpoints, hosts, integrity, prices, probes, projects);
