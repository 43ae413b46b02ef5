//! Stored versions in memory.

use async_trait::async_trait;
use bridge_core::{BridgeError, ResponseKey, ResponseUsage, ResponseVersion, Timestamp};

use super::{InMemoryStore, Versioned};
use crate::capabilities::{IntegrityStore, StoredResponse, StoredScope};

impl InMemoryStore {
    /// Stores a row under any version, even one that does not verify it, as a program with access to a database could.
    /// For tests of the bridge's reaction.
    #[doc(hidden)]
    pub fn forge(&self, row: ResponseUsage, version: ResponseVersion) {
        self.content().tables.insert(row, version);
    }
}

#[async_trait]
impl IntegrityStore for InMemoryStore {
    async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError> {
        let admitted = |row: &ResponseUsage| match scope {
            StoredScope::Keys(range) => range.contains(&row.key),
            StoredScope::Session { session, keys } => row.session == *session || keys.contains(&row.key),
        };
        let content = self.content();
        let tables = &content.tables;
        let rows = tables.usage.values().filter(|stored| admitted(&stored.row));
        let stored = |Versioned { row, version }: &Versioned| StoredResponse {
            key: row.key,
            version: *version,
            usage: Some(row.clone()),
        };
        Ok(rows.map(stored).collect())
    }

    async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError> {
        let mut content = self.content();
        if !versions.is_empty() {
            content.checkpoints.admit("remove rows", None)?;
        }
        let tables = &mut content.tables;
        for (key, version) in versions {
            if tables.usage.get(key).is_some_and(|stored| stored.version == *version) {
                tables.usage.remove(key);
            }
        }
        Ok(())
    }

    async fn retention_cutoff(&self, _now: Timestamp) -> Result<Option<Timestamp>, BridgeError> {
        Ok(None)
    }
}
