//! Reads stored rows with their versions, and removes those that the bridge did not write.

use std::fmt::Write;

use async_trait::async_trait;
use bridge_core::{BridgeError, ResponseKey, ResponseVersion, Timestamp};

use super::rows::{StoredUsage, USAGE_COLUMNS};
use super::write::{PACKED, packed_keys};
use crate::capabilities::{IntegrityStore, StoredResponse, StoredScope};
use crate::clickhouse::ClickHouseStore;
use crate::clickhouse::schema::retention;

/// The maximum number of rows removed by one statement.
const REMOVED_ROWS_MAX: usize = 1000;

#[async_trait]
impl IntegrityStore for ClickHouseStore {
    async fn stored(&self, scope: &StoredScope) -> Result<Vec<StoredResponse>, BridgeError> {
        let condition = match scope {
            StoredScope::Keys(_) => "key BETWEEN toUInt128(?) AND toUInt128(?)".to_owned(),
            StoredScope::Session { .. } => format!("session_id = ? OR key IN {PACKED}"),
        };
        let query = &format!("SELECT {USAGE_COLUMNS} FROM token_usage FINAL WHERE {condition} ORDER BY key");
        let rows: Vec<StoredUsage> = self
            .call("read stored rows", |tables| async move {
                let query = tables.query(query);
                let query = match scope {
                    StoredScope::Keys(range) => {
                        query.bind(range.start().0.to_string()).bind(range.end().0.to_string())
                    }
                    StoredScope::Session { session, keys } => {
                        query.bind(session.as_str()).bind(packed_keys(keys.iter().copied()))
                    }
                };
                query.fetch_all().await
            })
            .await?;
        Ok(rows.into_iter().map(StoredUsage::into_stored).collect())
    }

    async fn remove(&self, versions: &[(ResponseKey, ResponseVersion)]) -> Result<(), BridgeError> {
        if !versions.is_empty() {
            // No fence stops a deletion, so the cached state is not enough.
            self.read_state().await?;
            self.admit("remove rows", None).await?;
        }
        for versions in versions.chunks(REMOVED_ROWS_MAX) {
            let mut rows = String::new();
            for (key, version) in versions {
                let comma = if rows.is_empty() { "" } else { ", " };
                let hex: String = version.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                write!(rows, "{comma}(toUInt128('{}'), reinterpretAsUInt256(unhex('{hex}')))", key.0)
                    .expect("a string takes every text");
            }
            let topology = &self.options.topology;
            let table = format!("{}{}", topology.local_name("token_usage"), topology.on_cluster());
            let statement = &format!("DELETE FROM {table} WHERE (key, version) IN ({rows})");
            self.call("remove rows", |tables| async move {
                // Waits until it is done everywhere: what is stored next must not be mistaken for what is removed.
                let query = tables.query_raw(statement).with_setting("lightweight_deletes_sync", "2");
                query.execute().await
            })
            .await?;
        }
        Ok(())
    }

    async fn retention_cutoff(&self, now: Timestamp) -> Result<Option<Timestamp>, BridgeError> {
        let topology = &self.options.topology;
        self.call("read the retention", |tables| async move {
            retention::retention_cutoff(&tables, topology, "token_usage", now).await
        })
        .await
    }
}
