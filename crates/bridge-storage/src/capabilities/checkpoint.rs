//! Checkpoints and rollback.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{
    BridgeError, Checkpoint, CheckpointComparison, CheckpointName, StorageKind, StoreState, Timestamp,
};

/// The maximum number of sessions that a comparison names.
pub(crate) const DIFFERENCES_MAX: usize = 100;

/// Saves states of a store and restores them exactly.
///
/// A rollback begins a new [`Epoch`](bridge_core::Epoch). Writes of operations that began in an older one, cursors
/// included, are refused from then on. So the store holds the checkpoint's state and nothing else until
/// [`resume`](Self::resume), and afterwards only what is added in the new epoch.
#[async_trait]
pub trait CheckpointStore: Send + Sync + fmt::Debug {
    /// Returns the store's epoch and mode.
    async fn state(&self) -> Result<StoreState, BridgeError>;

    /// Saves the present state under this name. Writers need not stop: what they write meanwhile may or may not be in
    /// it, but it has no cursor of rows that it lacks.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] if the name is taken, or reserved for rollbacks.
    async fn create_checkpoint(
        &self,
        name: &CheckpointName,
        now: Timestamp,
    ) -> Result<Checkpoint, BridgeError>;

    /// Returns all checkpoints, by time and name.
    async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, BridgeError>;

    /// Drops a checkpoint.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] if there is none of this name.
    async fn drop_checkpoint(&self, name: &CheckpointName) -> Result<(), BridgeError>;

    /// Returns what a rollback to this checkpoint would change. It names at most 100 of the sessions.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] if there is none of this name.
    async fn compare_with_checkpoint(
        &self,
        name: &CheckpointName,
    ) -> Result<CheckpointComparison, BridgeError>;

    /// Restores the checkpoint's state, and begins a new epoch in
    /// [`StoreMode::Direct`](bridge_core::StoreMode::Direct). The replaced state becomes a checkpoint itself, whose
    /// name is returned. An interrupted rollback has either changed nothing or is completed by the next
    /// [`migrate`](crate::TokenStore::migrate).
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] if there is none of this name; [`StorageKind::RolledBack`] if another
    /// rollback was faster.
    async fn roll_back(&self, name: &CheckpointName, now: Timestamp) -> Result<CheckpointName, BridgeError>;

    /// Accepts writes again. If nothing was rolled back, it changes nothing.
    async fn resume(&self) -> Result<StoreState, BridgeError>;
}

pub(crate) fn rolled_back(operation: &'static str, message: String) -> BridgeError {
    BridgeError::storage(StorageKind::RolledBack, operation, message)
}

/// Returns the error for a name that cannot be used.
pub(crate) fn unusable(operation: &'static str, name: &CheckpointName, why: &str) -> BridgeError {
    BridgeError::storage(StorageKind::Checkpoint, operation, format!("{name} {why}"))
}

pub(crate) const UNKNOWN: &str = "is not among the checkpoints";
pub(crate) const TAKEN: &str = "is taken";
pub(crate) const RESERVED: &str = "is reserved for rollbacks";
