//! Checkpoints and rollback.

use std::fmt;

use async_trait::async_trait;
use bridge_core::{
    BridgeError, Checkpoint, CheckpointComparison, CheckpointName, Epoch, StorageKind, StoreMode, StoreState,
    Timestamp,
};

/// The maximum number of sessions that a comparison names.
pub(crate) const DIFFERENCES_MAX: usize = 100;

/// Keeps states of a store and brings them back, exactly.
///
/// A rollback begins a new [`Epoch`]. Whatever began to write in an older one is refused from then on, cursors
/// too, so what is stored is the checkpoint's state and nothing else until [`resume`](Self::resume); and from then
/// on what was stored in the new epoch is added.
#[async_trait]
pub trait CheckpointStore: Send + Sync + fmt::Debug {
    /// Returns the store's epoch and mode.
    async fn state(&self) -> Result<StoreState, BridgeError>;

    /// Keeps the present state under this name. Writers need not stop; what they write meanwhile is in it or not,
    /// and no cursor is in it that stands for rows that are not.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] where the name is taken, or is one that rollbacks give.
    async fn create_checkpoint(
        &self,
        name: &CheckpointName,
        now: Timestamp,
    ) -> Result<Checkpoint, BridgeError>;

    /// Returns all checkpoints, by time and name.
    async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, BridgeError>;

    /// Forgets a checkpoint.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] where there is none of this name.
    async fn drop_checkpoint(&self, name: &CheckpointName) -> Result<(), BridgeError>;

    /// Returns what a rollback to this checkpoint would change. It names no more than 100 of the sessions.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] where there is none of this name.
    async fn compare_with_checkpoint(
        &self,
        name: &CheckpointName,
    ) -> Result<CheckpointComparison, BridgeError>;

    /// Brings the checkpoint's state back, and begins a new epoch in [`StoreMode::Direct`]. What was there becomes a
    /// checkpoint itself, whose name is the answer. Stopped anywhere, it is completed by the next
    /// [`migrate`](crate::TokenStore::migrate), or has changed nothing.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] where there is none of this name; [`StorageKind::RolledBack`] where another
    /// rollback was faster.
    async fn roll_back(&self, name: &CheckpointName, now: Timestamp) -> Result<CheckpointName, BridgeError>;

    /// Takes what is stored again. Where nothing was rolled back it changes nothing.
    async fn resume(&self) -> Result<StoreState, BridgeError>;
}

/// The refusal of an operation that began in this epoch (`None`: right now), if it is to be refused.
pub(crate) fn refusal(
    operation: &'static str,
    state: &StoreState,
    begun_in: Option<Epoch>,
) -> Option<BridgeError> {
    let message = match &state.mode {
        StoreMode::Direct { checkpoint } => {
            format!("it stands at checkpoint {checkpoint} and takes nothing until it is resumed")
        }
        StoreMode::Stored if begun_in.is_some_and(|begun| begun < state.epoch) => {
            format!("this began in epoch {} and the store is in epoch {}", begun_in?, state.epoch)
        }
        StoreMode::Stored => return None,
    };
    Some(rolled_back(operation, message))
}

pub(crate) fn rolled_back(operation: &'static str, message: String) -> BridgeError {
    let (kind, context) = (StorageKind::RolledBack, Box::default());
    BridgeError::Storage { operation, kind, message, context, source: None }
}

/// The error for a name that cannot be used.
pub(crate) fn unusable(operation: &'static str, name: &CheckpointName, why: &str) -> BridgeError {
    let (kind, context) = (StorageKind::Checkpoint, Box::default());
    BridgeError::Storage { operation, kind, message: format!("{name} {why}"), context, source: None }
}

pub(crate) const UNKNOWN: &str = "is not among the checkpoints";
pub(crate) const TAKEN: &str = "is taken";
pub(crate) const RESERVED: &str = "is a name that rollbacks give";
