//! Health probes and statistics of a store.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{BridgeError, HostName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::stats::StoreStats;

/// Probes the health of a store. Each probe is a single attempt outside of the pool, the retries and the circuit
/// breaker, so that it reports the present state at once. The caller sets the deadline.
#[async_trait]
pub trait HealthProbes: Send + Sync + fmt::Debug {
    /// Returns an error if the database does not answer. If it does, an open circuit breaker closes.
    async fn probe_connection(&self) -> Result<(), BridgeError>;

    /// Returns an error if this store's user may not write, tested by a write of no rows.
    async fn probe_write(&self) -> Result<(), BridgeError>;

    /// Returns the newest recorded state of a source file on this machine, among those that were modified until then,
    /// because a file with a time in the future says nothing about the others. `None` if there is none.
    async fn newest_source(
        &self,
        host: &HostName,
        until: Timestamp,
    ) -> Result<Option<NewestSource>, BridgeError>;

    /// Returns the store's own statistics, without a call to the database.
    fn stats(&self) -> StoreStats;

    /// Returns the database's disks; none if it has none.
    async fn disks(&self) -> Result<Vec<DiskSpace>, BridgeError>;
}

/// The newest of the recorded states of source files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestSource {
    /// The latest modification time of a file when it was read.
    pub modified: Timestamp,
    /// When a file was last read.
    pub read_at: Timestamp,
}

/// The space on a disk of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Its name in the database.
    pub name: String,
    /// Free bytes.
    pub free: u64,
    /// Total bytes.
    pub total: u64,
    /// Bytes below which the store defines no tables: no checkpoints, rollbacks and migrations.
    pub reserve: u64,
}

impl DiskSpace {
    /// Returns the free share, from 0 to 1. A disk without a size is not full.
    #[must_use]
    pub fn free_share(&self) -> f64 {
        if self.total == 0 { 1.0 } else { self.free as f64 / self.total as f64 }
    }
}
