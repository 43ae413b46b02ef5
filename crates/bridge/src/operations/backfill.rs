//! The historical backfill, and the analysis that stores nothing.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bridge_analysis::History;
use bridge_core::{BackfillResult, BridgeError, Cost, Stopwatch, StorageKind, TimeRange, Timestamp};
use bridge_storage::PriceList;

use crate::ingest::Ingest;
use crate::ingest::costs::prices_in_use;
use crate::ingest::cursors::known_files;
use crate::ingest::pipeline::{self, FILES_PER_BATCH};
use crate::ingest::plan::{ReadPlan, SyncMode};
use crate::ingest::progress::{BackfillPhase, BackfillProgress, ProgressCallback, ProgressReporter};
use crate::ingest::read::Reader;
use crate::ingest::write::Writer;

/// Options of a backfill.
///
/// ```
/// use bridge::BackfillOptions;
///
/// let options = BackfillOptions::default()
///     .with_start_date("2026-01-01T00:00:00Z".parse()?)
///     .with_end_date("2026-02-01T00:00:00Z".parse()?)
///     .with_batch_size(1000)
///     .with_progress(|progress| eprintln!("{} of {} files", progress.files, progress.files_total));
/// assert_eq!(options.batch_size, 1000);
/// # Ok::<(), bridge::InvalidValue>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct BackfillOptions {
    /// Only responses from this time on.
    pub start_date: Option<Timestamp>,
    /// Only responses before this time.
    pub end_date: Option<Timestamp>,
    /// Number of files, or 16 MiB of them, after which their rows are stored.
    pub batch_size: usize,
    /// Receives the progress of the backfill.
    pub progress: Option<ProgressCallback>,
}

impl Default for BackfillOptions {
    /// Everything, up to 5000 files at a time, no callback.
    fn default() -> Self {
        Self { start_date: None, end_date: None, batch_size: FILES_PER_BATCH, progress: None }
    }
}

impl BackfillOptions {
    /// Returns the options with only responses from this time on.
    #[must_use]
    pub fn with_start_date(mut self, start: Timestamp) -> Self {
        self.start_date = Some(start);
        self
    }

    /// Returns the options with only responses before this time.
    #[must_use]
    pub fn with_end_date(mut self, end: Timestamp) -> Self {
        self.end_date = Some(end);
        self
    }

    /// Returns the options with this number of files after which their rows are stored.
    #[must_use]
    pub fn with_batch_size(mut self, files: usize) -> Self {
        self.batch_size = files;
        self
    }

    /// Returns the options with a callback of the progress.
    #[must_use]
    pub fn with_progress(mut self, callback: impl Fn(&BackfillProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(callback));
        self
    }

    fn range(&self) -> Result<TimeRange, BridgeError> {
        TimeRange { start: self.start_date, end: self.end_date }.validated()
    }
}

impl fmt::Debug for BackfillOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackfillOptions")
            .field("start_date", &self.start_date)
            .field("end_date", &self.end_date)
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}

/// Analyzes all transcripts and stores their responses.
pub(crate) async fn backfill(
    ingest: &Ingest,
    options: BackfillOptions,
) -> Result<BackfillResult, BridgeError> {
    let watch = Stopwatch::start();
    let range = options.range()?;
    let known = async { known_files(ingest, "backfill").await.map_err(not_begun) };
    let (found, known) = tokio::try_join!(ingest.discover(), known)?;
    let (epoch, threads) = (known.epoch(), ingest.reading_threads(None));
    let plan = move || match range.is_all() {
        true => ReadPlan::recorded(found, known, SyncMode::Full, None, threads),
        false => ReadPlan::unrecorded(found),
    };
    let reader = pipeline::reader(ingest, plan).await?;
    let reader = Reader { range, batch_size: options.batch_size.max(1), ..reader };
    let mut progress = ProgressReporter::new(&ingest.telemetry, &reader.plan, watch)
        .with_callback(options.progress)
        .with_gauge();
    let mut writer = Writer::new(ingest, epoch);
    let work = async {
        let read = pipeline::run(ingest, reader, Some(&mut writer), &mut progress).await?;
        writer.finish_cursors().await.map(|()| read)
    };
    let read = work.await.map_err(|error| stopped_after(writer.written(), error))?;
    progress.report(BackfillPhase::Done);
    let prices = prices_in_use(&*ingest.store).await;
    result(&read.history, &writer, &range, prices.as_deref(), &watch)
}

fn result(
    history: &History,
    writer: &Writer<'_>,
    range: &TimeRange,
    prices: Option<&PriceList>,
    watch: &Stopwatch,
) -> Result<BackfillResult, BridgeError> {
    let analysis = history
        .summary(range)
        .map_err(|overflow| BridgeError::backfill("the totals cannot be summed").with_source(overflow))?;
    let mut errors: Vec<String> = history.errors().iter().map(ToString::to_string).collect();
    errors.extend(writer.rejections());
    let mut result = BackfillResult {
        success: errors.is_empty(),
        total_files_processed: analysis.files,
        new_responses: writer.new,
        records_stored: writer.written(),
        processing_duration: watch.elapsed(),
        errors,
        skipped_files: history.errors().iter().map(|error| error.path().to_owned()).collect(),
        analysis,
        cost: prices.map(|_| Cost::default()),
        ..BackfillResult::default()
    };
    let mut sessions = HashSet::new();
    for response in history.responses() {
        if range.contains(response.time) && !writer.rejected.contains_key(response.session) {
            result.total_responses += 1;
            result.total_tokens_stored = result.total_tokens_stored.saturating_add(response.counts.total());
            if let (Some(prices), Some(cost)) = (prices, &mut result.cost) {
                cost.add(&prices.cost(&response.to_usage()));
            }
            sessions.insert(response.session);
        }
    }
    result.total_sessions = sessions.len() as u64;
    Ok(result)
}

/// Analyzes all transcripts and stores nothing.
pub(crate) async fn analyze(ingest: &Ingest, options: BackfillOptions) -> Result<History, BridgeError> {
    let watch = Stopwatch::start();
    options.range()?;
    let found = ingest.discover().await?;
    let reader = pipeline::reader(ingest, move || ReadPlan::unrecorded(found)).await?;
    let mut progress =
        ProgressReporter::new(&ingest.telemetry, &reader.plan, watch).with_callback(options.progress);
    let read = pipeline::run(ingest, reader, None, &mut progress).await?;
    progress.report(BackfillPhase::Done);
    Ok(read.history)
}

/// A refusal to store is not a failure of the backfill.
fn not_begun(error: BridgeError) -> BridgeError {
    match error {
        BridgeError::Storage { kind: StorageKind::RolledBack, .. } => error,
        _ => stopped_after(0, error),
    }
}

fn stopped_after(rows: u64, error: BridgeError) -> BridgeError {
    let message = match rows {
        0 => "stopped before any row was stored".to_owned(),
        1 => "stopped after 1 row was stored".to_owned(),
        rows => format!("stopped after {rows} rows were stored"),
    };
    BridgeError::backfill(message).with_source(error)
}
