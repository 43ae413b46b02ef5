//! Verification, rollback and backups.

use std::sync::Arc;

use bridge_core::{BridgeError, CheckpointName, IntegrityResult, RollbackResult};

use crate::operations::backup::{BackupPlace, ExportOptions, ExportResult, ImportResult};
use crate::operations::checkpoints::{Checkpoints, RollbackMode};
use crate::operations::integrity::IntegrityOptions;
use crate::operations::{backup, checkpoints, integrity};
use crate::telemetry::operation::Operation;

use super::EnhancedTokenDatabaseBridge;

impl EnhancedTokenDatabaseBridge {
    /// Compares what is stored with a live analysis of all sources, by response key, for one session or the
    /// whole store, and repairs what differs if asked to.
    ///
    /// The store must hold the greatest snapshot ever read. So it is an error if it has less than the sources, lacks a
    /// response, counts one twice, still holds what an older revision of the counting rule made of sources that are
    /// available, or holds a row that the bridge did not write (the version of a row verifies its fields). It is not an
    /// error if it has more, because sources are rewritten and deleted, other machines have their own, and forced
    /// updates are intended; nor if it lacks what is older than its retention.
    /// [`DifferenceKind`](bridge_core::DifferenceKind) lists all cases.
    ///
    /// The sources are read first and then the store, so that what another program stores in the meantime looks like
    /// more than the sources have. What a client writes in the meantime may be missing: the tolerance allows for that.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::{IntegrityOptions, Repair};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let line = |id, output| format!(r#"{{"type":"assistant","sessionId":"s","message":{{"id":"msg_0{id}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(folder.path().join("s.jsonl"), line(1, 40) + &line(2, 2))?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// // Nothing is stored yet.
    /// let result = bridge.verify_data_integrity(IntegrityOptions::default()).await?;
    /// assert!(!result.passed);
    /// assert_eq!((result.missing().responses, result.missing().live_tokens), (2, 42));
    ///
    /// let repair = IntegrityOptions::default().with_repair(Repair::Restore);
    /// let repaired = bridge.verify_data_integrity(repair).await?.repair.expect("it was asked for");
    /// assert_eq!((repaired.restored, repaired.remaining), (2, 0));
    /// let result = bridge.verify_data_integrity(IntegrityOptions::default()).await?;
    /// assert!(result.passed && result.stored_tokens == 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached, does not answer or may not be written to, or the analysis cannot run. Sources
    /// that cannot be read are listed in the result; then nothing is forced and nothing removed.
    pub async fn verify_data_integrity(
        &self,
        options: IntegrityOptions,
    ) -> Result<IntegrityResult, BridgeError> {
        let work = integrity::verify(self.ingest(), &options);
        self.runner.run(Operation::VerifyDataIntegrity, options.session.as_ref(), work).await
    }

    /// Returns the checkpoints of the store.
    #[must_use]
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(Arc::clone(self.ingest()), self.runner.clone())
    }

    /// Restores the exact state of a checkpoint while others read and write. As a dry run, only returns what would
    /// change.
    ///
    /// Afterwards nothing is stored until [`resume`](Checkpoints::resume): storing, backfill and synchronization are
    /// refused on all hosts, including those that had already begun.
    /// [`get_analysis_with_fallback`](Self::get_analysis_with_fallback) answers from a live analysis of the sources;
    /// summaries and dashboards read what was restored. What was replaced becomes a checkpoint itself, so that a
    /// rollback can be rolled back.
    ///
    /// If it is killed at any moment, it has changed nothing, or the next start completes it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, RollbackMode, storage::InMemoryStore};
    /// # use bridge::CheckpointName;
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let empty = CheckpointName::new("empty")?;
    /// bridge.checkpoints().create(&empty).await?;
    /// let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    ///
    /// let plan = bridge.rollback_bridge_integration(&empty, RollbackMode::DryRun).await?;
    /// let tokens = [plan.before, plan.after].map(|totals| totals.map(|totals| totals.tokens));
    /// assert_eq!((tokens, plan.differing_sessions), ([Some(42), Some(0)], Some(1)));
    /// let done = bridge.rollback_bridge_integration(&empty, RollbackMode::Perform).await?;
    /// assert_eq!(done.replaced_state, Some(CheckpointName::new("before_rollback_1")?));
    /// assert!(bridge.backfill_historical_data(BackfillOptions::default()).await.is_err());
    ///
    /// // Everything is read and stored again.
    /// bridge.checkpoints().resume().await?;
    /// let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// assert_eq!((result.total_tokens_stored, result.new_responses), (42, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`](bridge_core::StorageKind::Checkpoint) if there is none of this name;
    /// [`StorageKind::RolledBack`](bridge_core::StorageKind::RolledBack) if another rollback was faster; any error of
    /// the store.
    pub async fn rollback_bridge_integration(
        &self,
        checkpoint: &CheckpointName,
        mode: RollbackMode,
    ) -> Result<RollbackResult, BridgeError> {
        let work = checkpoints::roll_back(self.ingest(), checkpoint, mode);
        self.runner.run(Operation::RollbackBridgeIntegration, None, work).await
    }

    /// Exports the whole store as of one moment: every response with its version, and how far every
    /// transcript was read. Writers are not blocked.
    ///
    /// Memory does not grow with the store. The folder appears only when it is complete: an export that is killed
    /// leaves one named `….partial`, which the next export to the same place, or to one next to it, removes.
    ///
    /// ```no_run
    /// # use bridge::{EnhancedTokenDatabaseBridge, backup::{BackupPlace, ExportOptions}};
    /// # async fn example(
    /// #     bridge: EnhancedTokenDatabaseBridge,
    /// #     other: EnhancedTokenDatabaseBridge,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let export = bridge.export_store(ExportOptions::to_folder("backup")).await?;
    ///
    /// // Into another store. A second time changes nothing.
    /// let import = other.import_store(BackupPlace::Folder("backup".into())).await?;
    /// assert_eq!(import.summary, export.summary);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backup`] if something exists at the place already, or it cannot be written, for example because
    /// the disk is full; [`BridgeError::Connection`] or [`BridgeError::Storage`] if the store fails, or the server may
    /// not write to the place: then the message names the setting. What was written so far is removed.
    pub async fn export_store(&self, options: ExportOptions) -> Result<ExportResult, BridgeError> {
        self.runner.run(Operation::ExportStore, None, backup::export(self.ingest(), options)).await
    }

    /// Merges a backup into the store. Of two versions of a response the greater stays, as with every write: an empty
    /// store becomes the same as the exported one, a filled one gets what it lacks, and an import may be killed and
    /// repeated. What was forced stays forced.
    ///
    /// A folder is checked as a whole before anything is stored. See [`export_store`](Self::export_store) for an
    /// example.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backup`] if the folder holds no backup, one that is damaged or incomplete, or one of a newer
    /// version of the bridge: then nothing of it was stored. [`BridgeError::Connection`] or [`BridgeError::Storage`]
    /// if the store fails: then it can be repeated.
    pub async fn import_store(&self, place: BackupPlace) -> Result<ImportResult, BridgeError> {
        self.runner.run(Operation::ImportStore, None, backup::import(self.ingest(), place)).await
    }
}
