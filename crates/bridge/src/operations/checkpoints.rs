//! Checkpoints of the store, and rollback to one.

use std::sync::Arc;

use bridge_core::{
    BridgeError, Checkpoint, CheckpointComparison, CheckpointName, RollbackResult, Stopwatch, StoreMode,
    StoreState,
};
use bridge_storage::require;

use crate::ingest::Ingest;
use crate::telemetry::log::with_cause;
use crate::telemetry::operation::Operation;
use crate::telemetry::run::OperationRunner;

/// Mode of a rollback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RollbackMode {
    /// Performs the rollback.
    #[default]
    Perform,
    /// Only returns what the rollback would change.
    DryRun,
}

/// The checkpoints of a store; see [`checkpoints`](crate::EnhancedTokenDatabaseBridge::checkpoints).
#[derive(Debug, Clone)]
pub struct Checkpoints {
    ingest: Arc<Ingest>,
    runner: OperationRunner,
}

impl Checkpoints {
    pub(crate) fn new(ingest: Arc<Ingest>, runner: OperationRunner) -> Self {
        Self { ingest, runner }
    }

    /// Saves the present state of the store under this name, to roll back to. Takes some milliseconds, and no space on
    /// the database's disk until what is stored changes. Others may read and write meanwhile.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::CheckpointName;
    ///
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let name = CheckpointName::new("before_the_import")?;
    /// let checkpoint = bridge.checkpoints().create(&name).await?;
    /// assert_eq!(checkpoint.totals.tokens, 0);
    /// assert_eq!(bridge.checkpoints().list().await?, [checkpoint]);
    ///
    /// bridge.checkpoints().remove(&name).await?;
    /// assert!(bridge.checkpoints().list().await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`](bridge_core::StorageKind::Checkpoint) if the name is taken or reserved for
    /// rollbacks; any error of the store.
    pub async fn create(&self, name: &CheckpointName) -> Result<Checkpoint, BridgeError> {
        let now = self.ingest.clock.now();
        let work = async {
            require(self.ingest.store.checkpoints(), "create a checkpoint")?
                .create_checkpoint(name, now)
                .await
        };
        self.runner.run(Operation::CreateCheckpoint, None, work).await
    }

    /// Returns all checkpoints with their totals, by time and name; see [`create`](Self::create).
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn list(&self) -> Result<Vec<Checkpoint>, BridgeError> {
        let work =
            async { require(self.ingest.store.checkpoints(), "list checkpoints")?.list_checkpoints().await };
        self.runner.run(Operation::ListCheckpoints, None, work).await
    }

    /// Removes a checkpoint; see [`create`](Self::create). One that a rollback made of the state that it replaced
    /// (`before_rollback_…`) also stays until it is removed.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`](bridge_core::StorageKind::Checkpoint) if there is none of this name; any error of
    /// the store.
    pub async fn remove(&self, name: &CheckpointName) -> Result<(), BridgeError> {
        let work = async {
            require(self.ingest.store.checkpoints(), "drop a checkpoint")?.drop_checkpoint(name).await
        };
        self.runner.run(Operation::DropCheckpoint, None, work).await
    }

    /// Ends direct mode: the store accepts writes again. If nothing was rolled back, it changes nothing.
    /// The next backfill or synchronization reads all transcripts from their beginning.
    ///
    /// See [`rollback_bridge_integration`](crate::EnhancedTokenDatabaseBridge::rollback_bridge_integration).
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn resume(&self) -> Result<StoreState, BridgeError> {
        let work = async { require(self.ingest.store.checkpoints(), "resume")?.resume().await };
        self.runner.run(Operation::Resume, None, work).await
    }
}

/// Rolls back to a checkpoint, or returns the changes that it would make.
pub(crate) async fn roll_back(
    ingest: &Ingest,
    name: &CheckpointName,
    mode: RollbackMode,
) -> Result<RollbackResult, BridgeError> {
    match mode {
        RollbackMode::DryRun => plan(ingest, name).await,
        RollbackMode::Perform => perform(ingest, name).await,
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
    // The rollback has happened, whether or not the counting succeeds.
    let kept = store.list_checkpoints().await.unwrap_or_else(|error| {
        tracing::warn!(error = with_cause(&error), "rolled back, but the replaced state cannot be counted");
        Vec::new()
    });
    let totals = |name: &CheckpointName| {
        kept.iter().find(|checkpoint| checkpoint.name == *name).map(|kept| kept.totals)
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
        "the store was rolled back; nothing is stored until it is resumed"
    );
    Ok(result)
}
