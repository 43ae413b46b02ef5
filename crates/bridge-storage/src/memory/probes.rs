//! The health of a store that needs nothing.

use async_trait::async_trait;
use bridge_core::{BridgeError, HostName, Timestamp};

use super::InMemoryStore;
use crate::capabilities::{DiskSpace, HealthProbes, NewestSource};
use crate::stats::StoreStats;

#[async_trait]
impl HealthProbes for InMemoryStore {
    async fn probe_connection(&self) -> Result<(), BridgeError> {
        Ok(())
    }

    async fn probe_write(&self) -> Result<(), BridgeError> {
        Ok(())
    }

    async fn newest_source(
        &self,
        host: &HostName,
        until: Timestamp,
    ) -> Result<Option<NewestSource>, BridgeError> {
        let content = self.content();
        let records = content.tables.sources.values().filter(|record| record.host == *host);
        let states = records.map(|record| (record.cursor.modified, record.read_at));
        let states = states.filter(|(modified, _)| *modified <= until);
        let newest = states.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)));
        Ok(newest.map(|(modified, read_at)| NewestSource { modified, read_at }))
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    async fn disks(&self) -> Result<Vec<DiskSpace>, BridgeError> {
        Ok(Vec::new())
    }
}
