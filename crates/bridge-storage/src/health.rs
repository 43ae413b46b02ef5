//! What a store tells of its health.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{BridgeError, HostName, Timestamp};
use serde::{Deserialize, Serialize};

/// Lets a health check look at a store. The looks are single attempts, past the pool, the retries and the circuit:
/// they tell how things are, as soon as it is known. Whoever asks sets the deadline.
#[async_trait]
pub trait HealthProbes: Send + Sync + fmt::Debug {
    /// Whether the database answers. If it does, an open circuit closes.
    async fn probe_connection(&self) -> Result<(), BridgeError>;

    /// Whether this store's user may write, shown by a write of nothing.
    async fn probe_write(&self) -> Result<(), BridgeError>;

    /// The newest state of a source file on this machine that is recorded, of those that were modified until then: a
    /// file that bears a time in the future says nothing of the others. `None` where none is.
    async fn newest_source(
        &self,
        host: &HostName,
        until: Timestamp,
    ) -> Result<Option<NewestSource>, BridgeError>;

    /// The database's disks; none where it has none.
    async fn disks(&self) -> Result<Vec<DiskSpace>, BridgeError>;
}

/// The newest of the recorded states of source files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestSource {
    /// The latest time of modification that a file had when it was read.
    pub modified: Timestamp,
    /// When a file was read last.
    pub read_at: Timestamp,
}

/// The space on a disk of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Its name in the database.
    pub name: String,
    /// Bytes that can be written yet.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// Bytes below which the store defines no tables: no checkpoints, rollbacks and migrations.
    pub reserve: u64,
}

impl DiskSpace {
    /// How much of it is free, from 0 to 1. A disk without a size is not full.
    #[must_use]
    pub fn free_share(&self) -> f64 {
        if self.total == 0 { 1.0 } else { self.free as f64 / self.total as f64 }
    }
}
