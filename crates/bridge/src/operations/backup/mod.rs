//! Backups: the whole store given out, and taken in again.

mod folder;
mod leftover;
mod manifest;

use std::path::PathBuf;
use std::time::Duration;

use bridge_core::{BridgeError, Epoch, Stopwatch};
use bridge_storage::{
    BackupFormat, BackupStore, ExportSummary, ResponseFilter, ServerPlace, StoreTotals, TableExport, require,
};

use self::folder::{Backup, Draft};
use self::manifest::Manifest;
use crate::EnhancedTokenDatabaseBridge;
use crate::telemetry::operation::Operation;
use crate::telemetry::run::WriteCounters;

/// Where a backup is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackupPlace {
    /// A folder of this machine, with a manifest and files that many other tools read. It fits every store.
    Folder(PathBuf),
    /// A place that the database server itself writes to and reads from: no row travels over the network. It fits
    /// the tables of the same server, or of one that sees the same place.
    Server(ServerPlace),
}

/// How the store is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Where to.
    pub place: BackupPlace,
    /// The format of the files of a folder; the store's best if not given.
    pub format: Option<BackupFormat>,
}

impl ExportOptions {
    /// To this place.
    #[must_use]
    pub fn to(place: BackupPlace) -> Self {
        Self { place, format: None }
    }

    /// Into a folder, which must not be there yet, or be empty.
    #[must_use]
    pub fn to_folder(folder: impl Into<PathBuf>) -> Self {
        Self::to(BackupPlace::Folder(folder.into()))
    }

    /// By the server itself.
    #[must_use]
    pub fn on_server(place: ServerPlace) -> Self {
        Self::to(BackupPlace::Server(place))
    }

    /// In this format.
    #[must_use]
    pub fn with_format(mut self, format: BackupFormat) -> Self {
        self.format = Some(format);
        self
    }
}

/// What was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ExportResult {
    /// Rows by table and the sums over the responses, all of one moment.
    pub figures: ExportSummary,
    /// The bytes of the files; 0 where the server wrote them.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ImportResult {
    /// What the backup holds.
    pub figures: ExportSummary,
    /// The bytes of its files; 0 where the server read them.
    pub bytes: u64,
    /// The sums over the store before.
    pub before: StoreTotals,
    /// The sums over the store afterwards.
    pub after: StoreTotals,
    /// How long it took.
    pub duration: Duration,
}

impl ImportResult {
    /// Whether the store's sums are now those of the backup: so it is where the store was empty, and where it held
    /// nothing that the backup does not.
    #[must_use]
    pub fn equals_backup(&self) -> bool {
        self.after == self.figures.totals
    }
}

impl EnhancedTokenDatabaseBridge {
    /// Gives out the whole store as it is at one moment: every response with its version, and how far every
    /// transcript was read. Writers are not held up.
    ///
    /// Memory does not grow with the store. The folder appears when it is whole: an export that is killed leaves one
    /// of the name `….partial`, which the next one to the same place, or to another one beside it, removes.
    ///
    /// ```no_run
    /// # use bridge::{BackupPlace, EnhancedTokenDatabaseBridge, ExportOptions};
    /// # async fn example(
    /// #     bridge: EnhancedTokenDatabaseBridge,
    /// #     other: EnhancedTokenDatabaseBridge,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let export = bridge.export_store(&ExportOptions::to_folder("backup")).await?;
    ///
    /// // Into another store. A second time changes nothing.
    /// let import = other.import_store(&BackupPlace::Folder("backup".into())).await?;
    /// assert_eq!(import.figures, export.figures);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backup`] where something is there already, or it cannot be written, on a full disk say;
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] where the store fails, or may not write to a place of
    /// the server's: then the message names the setting. What was written so far is removed.
    pub async fn export_store(&self, options: &ExportOptions) -> Result<ExportResult, BridgeError> {
        self.run(Operation::ExportStore, None, self.give_out(options)).await
    }

    async fn give_out(&self, options: &ExportOptions) -> Result<ExportResult, BridgeError> {
        let watch = Stopwatch::start();
        let backup = require(self.inner.store.backup(), "export the store")?;
        let (figures, bytes) = match &options.place {
            BackupPlace::Server(place) => (backup.back_up(place).await?, 0),
            BackupPlace::Folder(folder) => {
                let folder = folder.clone();
                let draft = blocking(move || Draft::begin(&folder)).await?;
                let format = options.format.unwrap_or_else(|| backup.backup_format());
                let manifest = Manifest::new(backup.schema(), self.inner.clock.now(), format);
                write(draft, manifest, backup.begin_export(format).await?).await?
            }
        };
        Ok(ExportResult { figures, bytes, duration: watch.elapsed() })
    }

    /// Joins a backup into the store. Of two versions of a response the greater stays, as with every write: into an
    /// empty store it brings the same store back, into a filled one what is missing there, and it may be killed
    /// and repeated. What was forced stays forced.
    ///
    /// A folder is checked as a whole before anything is stored. See [`export_store`](Self::export_store) for an example.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backup`] where the folder holds no backup, one that is damaged or not whole, or one of a newer
    /// version of the bridge: then nothing of it was stored. [`BridgeError::Connection`] or [`BridgeError::Storage`]
    /// where the store fails: then it can be repeated.
    pub async fn import_store(&self, place: &BackupPlace) -> Result<ImportResult, BridgeError> {
        self.run(Operation::ImportStore, None, self.take_in(place)).await
    }

    async fn take_in(&self, place: &BackupPlace) -> Result<ImportResult, BridgeError> {
        let watch = Stopwatch::start();
        let store = &self.inner.store;
        let backups = require(store.backup(), "import a backup")?;
        let epoch = self.writable_epoch("import a backup").await?;
        let all = ResponseFilter::default();
        let (figures, bytes, before) = match place {
            BackupPlace::Server(place) => {
                let before = store.totals(&all).await?;
                let figures = backups.restore(place, epoch).await;
                self.inner.cache.invalidate();
                (figures?, 0, before)
            }
            BackupPlace::Folder(folder) => {
                let (folder, schema) = (folder.clone(), backups.schema());
                let backup = blocking(move || Backup::open(&folder, schema)).await?;
                let before = store.totals(&all).await?;
                self.take_in_parts(backups, &backup, epoch).await?;
                (backup.figures().clone(), backup.bytes(), before)
            }
        };
        let after = store.totals(&all).await?;
        // What others stored meanwhile is in the difference, too.
        let new = after.responses.saturating_sub(before.responses);
        let tokens_written = after.counts.total().saturating_sub(before.counts.total());
        self.book(&WriteCounters { records: new, new, tokens_written, ..WriteCounters::default() });
        Ok(ImportResult { figures, bytes, before, after, duration: watch.elapsed() })
    }

    async fn take_in_parts(
        &self,
        store: &dyn BackupStore,
        backup: &Backup,
        epoch: Epoch,
    ) -> Result<(), BridgeError> {
        for number in 0..backup.parts() {
            let reading = backup.reader(number);
            let part = blocking(move || reading.read()).await?;
            self.inner.cache.invalidate();
            let outcome = store.import_part(&part, epoch).await;
            self.inner.cache.invalidate();
            outcome?;
        }
        Ok(())
    }
}

/// Writes all parts, and the manifest behind them.
async fn write(
    mut draft: Draft,
    mut manifest: Manifest,
    mut export: Box<dyn TableExport + '_>,
) -> Result<(ExportSummary, u64), BridgeError> {
    manifest.figures = export.summary().clone();
    let mut next = export.next_part().await?;
    while let Some(part) = next {
        let writing = blocking(move || {
            manifest.parts.push(draft.add(&part)?);
            Ok((draft, manifest))
        });
        // The store works on the next part while the disk takes this one.
        let (written, following) = tokio::join!(writing, export.next_part());
        (draft, manifest) = written?;
        next = following?;
    }
    let (figures, bytes) = (manifest.figures.clone(), manifest.bytes());
    blocking(move || draft.finish(&manifest)).await?;
    Ok((figures, bytes))
}

/// Runs work on files where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BridgeError> + Send + 'static,
) -> Result<T, BridgeError> {
    // It is never aborted, so it can only have panicked.
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
