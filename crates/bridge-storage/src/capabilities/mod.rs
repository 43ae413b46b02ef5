//! Optional capabilities of a store.

mod audit;
mod backup;
mod checkpoint;
mod hosts;
mod integrity;
mod prices;
mod probes;
mod projects;

use bridge_core::{BridgeError, StorageKind, StoreState};

pub use audit::AuditStore;
pub use backup::{
    BACKUP_TABLES, BackupFormat, BackupStore, ExportSummary, ServerPlace, TableExport, TablePart, TableRows,
};
pub use checkpoint::CheckpointStore;
pub(crate) use checkpoint::{DIFFERENCES_MAX, RESERVED, TAKEN, UNKNOWN, rolled_back, unusable};
pub use hosts::{HostActivity, HostStore, SourcesDigest};
pub use integrity::{IntegrityStore, StoredResponse, StoredScope};
pub use prices::PriceStore;
pub use probes::{DiskSpace, HealthProbes, NewestSource};
pub use projects::ProjectStore;

use crate::stats::StoreStats;
use crate::store::TokenStore;

/// Names the capabilities that a store has besides [`TokenStore`]; `None` for each that it lacks.
///
/// A decorator returns the inner store's capability if it has nothing to add, and itself if it does:
/// `self.inner.checkpoints().map(|_| self as &dyn CheckpointStore)`.
pub trait StoreCapabilities {
    /// Returns the store's audit.
    fn audit(&self) -> Option<&dyn AuditStore>;

    /// Returns the store's checkpoints.
    fn checkpoints(&self) -> Option<&dyn CheckpointStore>;

    /// Returns the store's export and import.
    fn backup(&self) -> Option<&dyn BackupStore>;

    /// Returns the store's health probes and statistics.
    fn probes(&self) -> Option<&dyn HealthProbes>;

    /// Returns the summaries of what is stored of each host.
    fn hosts(&self) -> Option<&dyn HostStore>;

    /// Returns the access to single stored versions that integrity checks need.
    fn integrity(&self) -> Option<&dyn IntegrityStore>;

    /// Returns the store's price lists.
    fn prices(&self) -> Option<&dyn PriceStore>;

    /// Returns the records of projects: current names, groups and worktrees.
    fn projects(&self) -> Option<&dyn ProjectStore>;
}

/// Returns the capability, or an error if the store lacks it.
///
/// # Errors
///
/// [`StorageKind::Unsupported`] if it is `None`.
pub fn require<'a, C: ?Sized>(
    capability: Option<&'a C>,
    operation: &'static str,
) -> Result<&'a C, BridgeError> {
    capability
        .ok_or_else(|| BridgeError::storage(StorageKind::Unsupported, operation, "it lacks the capability"))
}

impl dyn TokenStore + '_ {
    /// Returns the epoch and mode of the store. One without checkpoints was never rolled back.
    ///
    /// # Errors
    ///
    /// Those of [`CheckpointStore::state`].
    pub async fn state(&self) -> Result<StoreState, BridgeError> {
        match self.checkpoints() {
            Some(checkpoints) => checkpoints.state().await,
            None => Ok(StoreState::first()),
        }
    }

    /// Returns the store's own statistics; a store without probes has none.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.probes().map(HealthProbes::stats).unwrap_or_default()
    }
}
