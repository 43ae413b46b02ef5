//! Export of the whole store, and import.

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
use crate::ingest::Ingest;
use crate::telemetry::audit_summary::{AuditSummary, ToAuditSummary};
use crate::telemetry::write_counters::WriteCounters;

/// The place of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackupPlace {
    /// A folder on this machine, with a manifest and files that many other tools read. Works with every store.
    Folder(PathBuf),
    /// A place that the database server itself writes to and reads from, without sending rows over the network. Works
    /// with the tables of the same server, or of one with access to the same place.
    Server(ServerPlace),
}

/// Options of an export.
///
/// ```
/// use bridge::backup::{BackupFormat, BackupPlace, ExportOptions, ServerPlace};
///
/// let to_folder = ExportOptions::to_folder("backups/2026-01-31").with_format(BackupFormat::JsonLines);
/// let by_server = ExportOptions::on_server(ServerPlace::File("2026-01-31".to_owned()));
/// assert!(matches!(by_server.place, BackupPlace::Server(_)));
/// assert_eq!(to_folder.format, Some(BackupFormat::JsonLines));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The place.
    pub place: BackupPlace,
    /// The format of the files of a folder; the store's best if not given.
    pub format: Option<BackupFormat>,
}

impl ExportOptions {
    /// Returns the options of an export to this place.
    #[must_use]
    pub fn to(place: BackupPlace) -> Self {
        Self { place, format: None }
    }

    /// Returns the options of an export into a folder, which must not exist yet, or be empty.
    #[must_use]
    pub fn to_folder(folder: impl Into<PathBuf>) -> Self {
        Self::to(BackupPlace::Folder(folder.into()))
    }

    /// Returns the options of an export by the server itself.
    #[must_use]
    pub fn on_server(place: ServerPlace) -> Self {
        Self::to(BackupPlace::Server(place))
    }

    /// Returns the options with this format.
    #[must_use]
    pub fn with_format(mut self, format: BackupFormat) -> Self {
        self.format = Some(format);
        self
    }
}

/// The result of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ExportResult {
    /// Rows by table and the sums over the responses, all as of one moment.
    pub summary: ExportSummary,
    /// The bytes of the files; 0 if the server wrote them.
    pub bytes: u64,
    /// The duration.
    pub duration: Duration,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ImportResult {
    /// The content of the backup.
    pub summary: ExportSummary,
    /// The bytes of its files; 0 if the server read them.
    pub bytes: u64,
    /// The sums over the store before.
    pub before: StoreTotals,
    /// The sums over the store afterwards.
    pub after: StoreTotals,
    /// The duration.
    pub duration: Duration,
}

impl ImportResult {
    /// Returns whether the store's sums are now those of the backup, as they are if the store was empty or held
    /// nothing that the backup lacks.
    #[must_use]
    pub fn equals_backup(&self) -> bool {
        self.after == self.summary.totals
    }
}

impl ToAuditSummary for ExportResult {
    fn audit_summary(&self) -> AuditSummary {
        let totals = &self.summary.totals;
        let counts = [
            ("bytes", self.bytes),
            ("responses", totals.responses),
            ("sessions", totals.sessions),
            ("rows", self.summary.rows()),
        ];
        AuditSummary::of(totals.counts.total(), counts)
    }
}

impl ToAuditSummary for ImportResult {
    fn audit_summary(&self) -> AuditSummary {
        let counts = [
            ("bytes", self.bytes),
            ("rows", self.summary.rows()),
            ("tokens_before", self.before.counts.total()),
            ("responses_before", self.before.responses),
            ("responses_after", self.after.responses),
        ];
        AuditSummary::of(self.after.counts.total(), counts)
    }
}

/// Exports the whole store.
pub(crate) async fn export(ingest: &Ingest, options: ExportOptions) -> Result<ExportResult, BridgeError> {
    let watch = Stopwatch::start();
    let store = require(ingest.store.backup(), "export the store")?;
    let (summary, bytes) = match options.place {
        BackupPlace::Server(place) => (store.back_up(&place).await?, 0),
        BackupPlace::Folder(folder) => {
            let draft = blocking(move || Draft::begin(&folder)).await?;
            let format = options.format.unwrap_or_else(|| store.backup_format());
            let manifest = Manifest::new(store.schema(), ingest.clock.now(), format);
            write(draft, manifest, store.begin_export(format).await?).await?
        }
    };
    Ok(ExportResult { summary, bytes, duration: watch.elapsed() })
}

/// Merges a backup into the store.
pub(crate) async fn import(ingest: &Ingest, place: BackupPlace) -> Result<ImportResult, BridgeError> {
    let watch = Stopwatch::start();
    let store = require(ingest.store.backup(), "import a backup")?;
    let epoch = ingest.writable_epoch("import a backup").await?;
    let all = ResponseFilter::default();
    let (summary, bytes, before) = match place {
        BackupPlace::Server(place) => {
            let before = ingest.store.totals(&all).await?;
            (store.restore(&place, epoch).await?, 0, before)
        }
        BackupPlace::Folder(folder) => {
            let schema = store.schema();
            let backup = blocking(move || Backup::open(&folder, schema)).await?;
            let before = ingest.store.totals(&all).await?;
            import_parts(store, &backup, epoch).await?;
            (backup.summary().clone(), backup.bytes(), before)
        }
    };
    let after = ingest.store.totals(&all).await?;
    // The difference includes what others stored meanwhile.
    let new = after.responses.saturating_sub(before.responses);
    let tokens_written = after.counts.total().saturating_sub(before.counts.total());
    let written = WriteCounters { records: new, new, tokens_written, ..WriteCounters::default() };
    ingest.telemetry.record_write(&written);
    Ok(ImportResult { summary, bytes, before, after, duration: watch.elapsed() })
}

async fn import_parts(store: &dyn BackupStore, backup: &Backup, epoch: Epoch) -> Result<(), BridgeError> {
    for number in 0..backup.parts() {
        let reading = backup.reader(number);
        let part = blocking(move || reading.read()).await?;
        store.import_part(&part, epoch).await?;
    }
    Ok(())
}

/// Writes all parts, and then the manifest.
async fn write(
    mut draft: Draft,
    mut manifest: Manifest,
    mut export: Box<dyn TableExport + '_>,
) -> Result<(ExportSummary, u64), BridgeError> {
    manifest.summary = export.summary().clone();
    let mut next = export.next_part().await?;
    while let Some(part) = next {
        let writing = blocking(move || {
            manifest.parts.push(draft.add(&part)?);
            Ok((draft, manifest))
        });
        // The store prepares the next part while the disk writes this one.
        let (written, following) = tokio::join!(writing, export.next_part());
        (draft, manifest) = written?;
        next = following?;
    }
    let (summary, bytes) = (manifest.summary.clone(), manifest.bytes());
    blocking(move || draft.finish(&manifest)).await?;
    Ok((summary, bytes))
}

/// Runs work on files on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BridgeError> + Send + 'static,
) -> Result<T, BridgeError> {
    // The task is never aborted, so it can only have panicked.
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
