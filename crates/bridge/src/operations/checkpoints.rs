//! Checkpoints of the store, and rolling back to one.

use bridge_core::{
    BridgeError, Checkpoint, CheckpointComparison, CheckpointName, Epoch, RollbackResult, Stopwatch,
    StorageKind, StoreMode, StoreState,
};
use bridge_storage::require;

use crate::EnhancedTokenDatabaseBridge;
use crate::telemetry::operation::Operation;

/// What a rollback does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RollbackOptions {
    /// It happens.
    #[default]
    Perform,
    /// It only says what it would change.
    DryRun,
}

impl EnhancedTokenDatabaseBridge {
    /// Keeps the present state of the store under this name, to roll back to. Takes some milliseconds and no room on
    /// the database's disk until what is stored changes; others may read and write meanwhile.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::core::CheckpointName;
    ///
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let name = CheckpointName::new("before_the_import")?;
    /// let checkpoint = bridge.create_checkpoint(&name).await?;
    /// assert_eq!(checkpoint.figures.tokens, 0);
    /// assert_eq!(bridge.list_checkpoints().await?, [checkpoint]);
    ///
    /// bridge.drop_checkpoint(&name).await?;
    /// assert!(bridge.list_checkpoints().await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] where the name is taken, or is one that rollbacks give; any error of the store.
    pub async fn create_checkpoint(&self, name: &CheckpointName) -> Result<Checkpoint, BridgeError> {
        let now = self.inner.clock.now();
        let work = async {
            require(self.inner.store.checkpoints(), "create a checkpoint")?.create_checkpoint(name, now).await
        };
        self.run(Operation::CreateCheckpoint, None, work).await
    }

    /// All checkpoints, by time and name, with what they hold; see [`create_checkpoint`](Self::create_checkpoint).
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn list_checkpoints(&self) -> Result<Vec<Checkpoint>, BridgeError> {
        let work =
            async { require(self.inner.store.checkpoints(), "list checkpoints")?.list_checkpoints().await };
        self.run(Operation::ListCheckpoints, None, work).await
    }

    /// Forgets a checkpoint; see [`create_checkpoint`](Self::create_checkpoint). One that a rollback made of what it
    /// replaced (`before_rollback_…`) stays until it is dropped, too.
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] where there is none of this name; any error of the store.
    pub async fn drop_checkpoint(&self, name: &CheckpointName) -> Result<(), BridgeError> {
        let work = async {
            require(self.inner.store.checkpoints(), "drop a checkpoint")?.drop_checkpoint(name).await
        };
        self.run(Operation::DropCheckpoint, None, work).await
    }

    /// Brings the store back to a checkpoint, exactly, while others read and write; or says what that would change.
    ///
    /// Afterwards nothing is stored until [`resume`](Self::resume): storing, backfill and synchronization are refused,
    /// on all hosts, those that had begun too. [`get_analysis_with_fallback`](Self::get_analysis_with_fallback)
    /// answers by direct analysis of the sources; summaries and dashboards read what was restored. What was replaced
    /// becomes a checkpoint itself, so that a rollback can be rolled back.
    ///
    /// Killed at any moment, it is completed by the next start, or has changed nothing.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, RollbackOptions, storage::InMemoryStore};
    /// # use bridge::core::CheckpointName;
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let empty = CheckpointName::new("empty")?;
    /// bridge.create_checkpoint(&empty).await?;
    /// let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    ///
    /// let plan = bridge.rollback_bridge_integration(&empty, RollbackOptions::DryRun).await?;
    /// let tokens = [plan.before, plan.after].map(|figures| figures.map(|figures| figures.tokens));
    /// assert_eq!((tokens, plan.differing_sessions), ([Some(42), Some(0)], Some(1)));
    /// let done = bridge.rollback_bridge_integration(&empty, RollbackOptions::Perform).await?;
    /// assert_eq!(done.replaced_state, Some(CheckpointName::new("before_rollback_1")?));
    /// assert!(bridge.backfill_historical_data(BackfillOptions::default()).await.is_err());
    ///
    /// // Everything is read and stored again.
    /// bridge.resume().await?;
    /// let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// assert_eq!((result.total_tokens_stored, result.new_responses), (42, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`] where there is none of this name; [`StorageKind::RolledBack`] where another rollback
    /// was faster; any error of the store.
    pub async fn rollback_bridge_integration(
        &self,
        checkpoint: &CheckpointName,
        options: RollbackOptions,
    ) -> Result<RollbackResult, BridgeError> {
        self.run(Operation::RollbackBridgeIntegration, None, async {
            match options {
                RollbackOptions::DryRun => self.plan_rollback(checkpoint).await,
                RollbackOptions::Perform => self.roll_back(checkpoint).await,
            }
        })
        .await
    }

    /// Ends direct analysis: the store takes what is stored again. Where nothing was rolled back it changes nothing.
    /// The next backfill or synchronization reads all transcripts from their beginning.
    ///
    /// See [`rollback_bridge_integration`](Self::rollback_bridge_integration).
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn resume(&self) -> Result<StoreState, BridgeError> {
        let work = async { require(self.inner.store.checkpoints(), "resume")?.resume().await };
        let state = self.run(Operation::Resume, None, work).await;
        self.inner.cache.invalidate();
        state
    }

    /// Whether the store takes what is stored, or was rolled back and analyses come straight from the sources.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, RollbackOptions, storage::InMemoryStore};
    /// use bridge::core::{CheckpointName, StoreMode};
    ///
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let checkpoint = CheckpointName::new("empty")?;
    /// bridge.create_checkpoint(&checkpoint).await?;
    /// assert_eq!(bridge.mode().await?, StoreMode::Stored);
    /// let _ = bridge.rollback_bridge_integration(&checkpoint, RollbackOptions::Perform).await?;
    /// assert_eq!(bridge.mode().await?, StoreMode::Direct { checkpoint });
    /// bridge.resume().await?;
    /// assert_eq!(bridge.mode().await?, StoreMode::Stored);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn mode(&self) -> Result<StoreMode, BridgeError> {
        Ok(self.inner.store.state().await?.mode)
    }

    async fn plan_rollback(&self, name: &CheckpointName) -> Result<RollbackResult, BridgeError> {
        let watch = Stopwatch::start();
        let checkpoints = require(self.inner.store.checkpoints(), "compare with a checkpoint")?;
        let comparison = checkpoints.compare_with_checkpoint(name).await?;
        let CheckpointComparison { now, then, differing_sessions, differences } = comparison;
        Ok(RollbackResult {
            checkpoint: name.clone(),
            before: Some(now),
            after: Some(then),
            replaced_state: None,
            differing_sessions: Some(differing_sessions),
            differences,
            state: self.inner.store.state().await?,
            duration: watch.elapsed(),
        })
    }

    async fn roll_back(&self, name: &CheckpointName) -> Result<RollbackResult, BridgeError> {
        let watch = Stopwatch::start();
        let store = require(self.inner.store.checkpoints(), "roll back")?;
        let replaced = store.roll_back(name, self.inner.clock.now()).await;
        // Failed or not: it may have happened.
        self.inner.cache.forget();
        let (replaced, duration) = (replaced?, watch.elapsed());
        // It has happened, whatever comes of the counting.
        let kept = store.list_checkpoints().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "rolled back, but what was replaced cannot be counted");
            Vec::new()
        });
        let figures = |name: &CheckpointName| {
            kept.iter().find(|checkpoint| checkpoint.name == *name).map(|kept| kept.figures)
        };
        let epoch = replaced.epoch_begun().unwrap_or_default();
        let state = StoreState { epoch, mode: StoreMode::Direct { checkpoint: name.clone() } };
        let result = RollbackResult {
            checkpoint: name.clone(),
            before: figures(&replaced),
            after: figures(name),
            replaced_state: Some(replaced),
            differing_sessions: None,
            differences: Vec::new(),
            state,
            duration,
        };
        tracing::warn!(
            operation = "rollback_bridge_integration",
            checkpoint = %name,
            tokens_before = result.before.map(|figures| figures.tokens),
            tokens_after = result.after.map(|figures| figures.tokens),
            "the store was rolled back and takes nothing until it is resumed"
        );
        Ok(result)
    }

    /// The epoch in which an operation begins that will store; refused where nothing may be stored.
    pub(crate) async fn writable_epoch(&self, operation: &'static str) -> Result<Epoch, BridgeError> {
        let state = self.counted(self.inner.store.state().await)?;
        not_direct(operation, &state).map_or(Ok(state.epoch), Err)
    }
}

/// The refusal of what needs the store, where it was rolled back.
pub(crate) fn not_direct(operation: &'static str, state: &StoreState) -> Option<BridgeError> {
    let StoreMode::Direct { checkpoint } = &state.mode else { return None };
    let message = format!("it stands at checkpoint {checkpoint} and takes nothing until it is resumed");
    let (kind, context) = (StorageKind::RolledBack, Box::default());
    Some(BridgeError::Storage { operation, kind, message, context, source: None })
}
