//! Checkpoints of the store, and rollback to one.

use bridge_core::{
    BridgeError, Checkpoint, CheckpointComparison, CheckpointName, RollbackResult, Stopwatch, StoreMode,
    StoreState,
};
use bridge_storage::require;

use crate::ingest::Ingest;

/// What a rollback does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RollbackOptions {
    /// It happens.
    #[default]
    Perform,
    /// It only says what it would change.
    DryRun,
}

pub(crate) async fn create(ingest: &Ingest, name: &CheckpointName) -> Result<Checkpoint, BridgeError> {
    let store = require(ingest.store.checkpoints(), "create a checkpoint")?;
    store.create_checkpoint(name, ingest.clock.now()).await
}

pub(crate) async fn list(ingest: &Ingest) -> Result<Vec<Checkpoint>, BridgeError> {
    require(ingest.store.checkpoints(), "list checkpoints")?.list_checkpoints().await
}

pub(crate) async fn drop(ingest: &Ingest, name: &CheckpointName) -> Result<(), BridgeError> {
    require(ingest.store.checkpoints(), "drop a checkpoint")?.drop_checkpoint(name).await
}

pub(crate) async fn resume(ingest: &Ingest) -> Result<StoreState, BridgeError> {
    require(ingest.store.checkpoints(), "resume")?.resume().await
}

/// Rolls back to a checkpoint, or returns the changes that it would make.
pub(crate) async fn roll_back(
    ingest: &Ingest,
    name: &CheckpointName,
    options: RollbackOptions,
) -> Result<RollbackResult, BridgeError> {
    match options {
        RollbackOptions::DryRun => plan(ingest, name).await,
        RollbackOptions::Perform => perform(ingest, name).await,
    }
}

async fn plan(ingest: &Ingest, name: &CheckpointName) -> Result<RollbackResult, BridgeError> {
    let watch = Stopwatch::start();
    let store = require(ingest.store.checkpoints(), "compare with a checkpoint")?;
    let comparison = store.compare_with_checkpoint(name).await?;
    let CheckpointComparison { now, then, differing_sessions, differences } = comparison;
    Ok(RollbackResult {
        checkpoint: name.clone(),
        before: Some(now),
        after: Some(then),
        replaced_state: None,
        differing_sessions: Some(differing_sessions),
        differences,
        state: store.state().await?,
        duration: watch.elapsed(),
    })
}

async fn perform(ingest: &Ingest, name: &CheckpointName) -> Result<RollbackResult, BridgeError> {
    let watch = Stopwatch::start();
    let store = require(ingest.store.checkpoints(), "roll back")?;
    let replaced = store.roll_back(name, ingest.clock.now()).await?;
    let duration = watch.elapsed();
    // It has happened, whatever comes of the counting.
    let kept = store.list_checkpoints().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "rolled back, but what was replaced cannot be counted");
        Vec::new()
    });
    let totals = |name: &CheckpointName| {
        kept.iter().find(|checkpoint| checkpoint.name == *name).map(|kept| kept.figures)
    };
    let epoch = replaced.epoch_begun().unwrap_or_default();
    let state = StoreState { epoch, mode: StoreMode::Direct { checkpoint: name.clone() } };
    let result = RollbackResult {
        checkpoint: name.clone(),
        before: totals(&replaced),
        after: totals(name),
        replaced_state: Some(replaced),
        differing_sessions: None,
        differences: Vec::new(),
        state,
        duration,
    };
    tracing::warn!(
        operation = "rollback_bridge_integration",
        checkpoint = %name,
        tokens_before = result.before.map(|totals| totals.tokens),
        tokens_after = result.after.map(|totals| totals.tokens),
        "the store was rolled back and takes nothing until it is resumed"
    );
    Ok(result)
}
