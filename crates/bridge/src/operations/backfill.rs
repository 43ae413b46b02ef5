//! The historical backfill: every transcript analyzed, every response stored.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bridge_analysis::{AnalysisProgress, Discovery, History, SourceRoots, discover};
use bridge_core::{
    BackfillResult, BridgeError, Epoch, HostName, SessionId, Stopwatch, StorageKind, TimeRange, Timestamp,
};
use bridge_storage::{SourceFilter, SourcePage, SourceRecord};
use tokio::sync::mpsc;
use tracing::Span;

use crate::EnhancedTokenDatabaseBridge;
use crate::builder::own_host;
use crate::ingest::cursors::KnownFiles;
use crate::ingest::read::{Batch, ReadMode, ReadPlan, ReadResult, Reader};
use crate::ingest::write::Writer;
use crate::operations::health::SkippedSources;
use crate::telemetry::log::with_cause;
use crate::telemetry::metrics::ProgressGauge;
use crate::telemetry::observer::Observer;
use crate::telemetry::operation::Operation;
use crate::telemetry::run::note_read;

/// Called with the state of a backfill, some ten times a second. One that panics is not called again; the backfill goes
/// on.
pub type ProgressCallback = Arc<dyn Fn(&BackfillProgress) + Send + Sync>;

/// What to backfill, and how.
#[derive(Clone)]
pub struct BackfillOptions {
    /// Only responses from this time on.
    pub start_date: Option<Timestamp>,
    /// Only responses before this time.
    pub end_date: Option<Timestamp>,
    /// After so many files, or 16 MiB of them, what was found in them is stored.
    pub batch_size: usize,
    /// Is told how far the backfill is.
    pub progress: Option<ProgressCallback>,
}

impl Default for BackfillOptions {
    /// Everything, up to 5000 files at a time, no callback.
    fn default() -> Self {
        Self { start_date: None, end_date: None, batch_size: FILES_PER_BATCH, progress: None }
    }
}

impl BackfillOptions {
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

/// What a backfill is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackfillPhase {
    /// Transcripts are read, and stored beside it.
    Reading,
    /// The last of what was found is being stored.
    Storing,
    /// Everything is stored.
    Done,
}

/// How far a backfill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackfillProgress {
    /// What it is doing.
    pub phase: BackfillPhase,
    /// Files read.
    pub files: u64,
    /// Files found.
    pub files_total: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes of all files found.
    pub bytes_total: u64,
    /// Tokens counted so far.
    pub tokens: u64,
    /// Rows sent to the store so far.
    pub rows: u64,
    /// The time since the start.
    pub elapsed: Duration,
}

/// After so many files what was found in them is stored, where nobody says otherwise. Each batch costs the database a
/// look-up and two inserts, so many small files are a few large batches; large ones end a batch by their bytes.
const FILES_PER_BATCH: usize = 5000;
/// So many records of files are read from the store at once.
const RECORDS_PER_PAGE: usize = 5000;
/// How often the callback is called.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Stops the analysis when the backfill's future is dropped.
struct CancelOnDrop(Arc<AnalysisProgress>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl EnhancedTokenDatabaseBridge {
    /// Analyses all transcripts and stores their responses.
    ///
    /// Storing is a join, so a backfill may be repeated, killed, cancelled (drop the future) and run beside
    /// another one: what is stored is right at every moment, and the next run completes it. With a range of
    /// time only responses whose winning snapshot lies in it are stored.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::{Arc, atomic::{AtomicU64, Ordering}}};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = |day, output| format!(r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-{day}T12:00:00Z","message":{{"id":"msg_{day}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(folder.path().join("s.jsonl"), line(10, 40) + &line(20, 2))?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// // Only what is from the 15th on.
    /// let late = BackfillOptions { start_date: Some("2026-01-15T00:00:00Z".parse()?), ..BackfillOptions::default() };
    /// assert_eq!(bridge.backfill_historical_data(late).await?.total_tokens_stored, 2);
    ///
    /// // Everything, and somebody looks on.
    /// let seen = Arc::new(AtomicU64::new(0));
    /// let watcher = Arc::clone(&seen);
    /// let mut all = BackfillOptions::default();
    /// all.progress = Some(Arc::new(move |progress| watcher.store(progress.files, Ordering::Relaxed)));
    /// let result = bridge.backfill_historical_data(all).await?;
    /// assert_eq!((result.total_tokens_stored, result.new_responses), (42, 1));
    /// assert_eq!(seen.load(Ordering::Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backfill`] where the store fails; its source says why. Files that cannot be read do not
    /// fail the backfill: they stand in the result, which then is no success.
    /// [`StorageKind::RolledBack`](bridge_core::StorageKind::RolledBack) where the store was rolled back and not resumed.
    /// [`BridgeError::InvertedRange`] where the end date is before the start date.
    pub async fn backfill_historical_data(
        &self,
        options: BackfillOptions,
    ) -> Result<BackfillResult, BridgeError> {
        self.run(Operation::BackfillHistoricalData, None, self.backfill(options)).await
    }

    async fn backfill(&self, options: BackfillOptions) -> Result<BackfillResult, BridgeError> {
        let watch = Stopwatch::start();
        let range = options.range()?;
        let known = async { self.known_files("backfill").await.map_err(not_begun) };
        let (found, (epoch, known)) = tokio::try_join!(self.discovery(), known)?;
        let threads = self.reading_threads(None);
        let plan = move || match range.is_all() {
            true => ReadPlan::recorded(found, known, ReadMode::Whole, None, threads),
            false => ReadPlan::unrecorded(found),
        };
        let reading = Reader { range, batch_size: options.batch_size.max(1), ..self.reading(plan).await? };
        let mut run = Run::new(Writer::new(self, epoch), options.progress, &reading.plan, watch);
        run.gauge = self.inner.metrics.backfill_progress_gauge.clone();
        let read = run.read_and_store(reading).await;
        let read = match read {
            Ok(read) => run.storing.cursors_written().await.map(|()| read),
            Err(error) => Err(error),
        };
        let read = read.map_err(|error| stopped_after(run.storing.written(), error))?;
        run.finish(&read.history, &range)
    }

    /// Analyses all transcripts and stores nothing. Of the options the dates and the batch size mean nothing.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = |day, output| format!(r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-{day}T12:00:00Z","message":{{"id":"msg_{day}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(folder.path().join("s.jsonl"), line(10, 40) + &line(20, 2))?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let history = bridge.analyze_historical_data(BackfillOptions::default()).await?;
    /// let tokens: u64 = history.responses().map(|response| response.counts.total()).sum();
    /// assert_eq!((tokens, history.errors().len()), (42, 0));
    /// assert!(bridge.get_stored_token_summaries(None, 36_500, false).await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backfill`] where the analysis cannot run; [`BridgeError::InvertedRange`] where the end date is
    /// before the start date. Files that cannot be read stand in [`History::errors`].
    pub async fn analyze_historical_data(&self, options: BackfillOptions) -> Result<History, BridgeError> {
        self.run(Operation::AnalyzeHistoricalData, None, self.analyze(options)).await
    }

    pub(crate) async fn analyze(&self, options: BackfillOptions) -> Result<History, BridgeError> {
        let watch = Stopwatch::start();
        options.range()?;
        let found = self.discovery().await?;
        let reading = self.reading(move || ReadPlan::unrecorded(found)).await?;
        let storing = Writer::new(self, Epoch::default());
        let mut run = Run::new(storing, options.progress, &reading.plan, watch);
        let _cancel = CancelOnDrop(Arc::clone(&run.analysis));
        let progress = Arc::clone(&run.analysis);
        let span = Span::current();
        let mut analysis =
            tokio::task::spawn_blocking(move || span.in_scope(|| reading.run(&progress, None)));
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                result = &mut analysis => {
                    run.report(BackfillPhase::Done);
                    let read = result.map_err(stopped)?;
                    self.count_read(&read);
                    return Ok(read.history);
                }
                _ = ticks.tick() => run.report(BackfillPhase::Reading),
            }
        }
    }

    /// What is to be found in the sources.
    pub(crate) async fn discovery(&self) -> Result<Discovery, BridgeError> {
        let roots = self.source_roots();
        tokio::task::spawn_blocking(move || discover(&roots)).await.map_err(stopped)
    }

    /// A reading by this plan.
    pub(crate) async fn reading(
        &self,
        plan: impl FnOnce() -> ReadPlan + Send + 'static,
    ) -> Result<Reader, BridgeError> {
        // Before the files are compared, which may take longer than a change is not trusted.
        let read_at = self.inner.clock.now();
        let plan = tokio::task::spawn_blocking(plan).await.map_err(stopped)?;
        Ok(Reader {
            plan,
            batch_size: FILES_PER_BATCH,
            range: TimeRange::ALL,
            analyzer: self.inner.analyzer.clone(),
            host: self.host(),
            read_at,
        })
    }

    /// How many threads read, at most `limit`: more than cores read nothing faster, where the options say no number.
    pub(crate) fn reading_threads(&self, limit: Option<usize>) -> usize {
        let threads = match self.inner.analyzer.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        threads.min(limit.unwrap_or(usize::MAX)).max(1)
    }

    fn count_read(&self, read: &ReadResult) {
        let bytes = read.sources.bytes;
        note_read(bytes);
        self.inner.metrics.read(bytes, read.sources.lines, &read.sources.damage);
    }

    /// The machine that the sources lie on.
    pub(crate) fn host(&self) -> HostName {
        self.inner.analyzer.host.clone().unwrap_or_else(own_host)
    }

    /// What the store knows of this machine's files, and the epoch in which what is found in them is written.
    ///
    /// Both are asked for at once: where a rollback comes between, the cursors are of another epoch and count for
    /// nothing, or what is written is refused.
    pub(crate) async fn known_files(
        &self,
        operation: &'static str,
    ) -> Result<(Epoch, KnownFiles), BridgeError> {
        let (epoch, first) = tokio::try_join!(self.writable_epoch(operation), self.recorded_sources(None))?;
        let mut known = KnownFiles::new(self.inner.analyzer.project_names.clone(), epoch);
        // Page by page: as records they are many times what is kept of them.
        let mut page = first;
        loop {
            let last = page.last().filter(|_| page.len() == RECORDS_PER_PAGE);
            let after = last.map(|record| (record.path.clone(), record.session.clone()));
            known.add(page);
            let Some(after) = after else { return Ok((epoch, known)) };
            page = self.recorded_sources(Some(after)).await?;
        }
    }

    async fn recorded_sources(
        &self,
        after: Option<(PathBuf, SessionId)>,
    ) -> Result<Vec<SourceRecord>, BridgeError> {
        let page = SourcePage { after, records_max: RECORDS_PER_PAGE };
        let filter = SourceFilter::on_host(self.host()).page(page);
        self.counted(self.inner.store.sources(&filter).await)
    }

    /// Returns the roots that were given, else the client's usual ones.
    pub(crate) fn source_roots(&self) -> Vec<PathBuf> {
        let variable = |name: &str| std::env::var_os(name);
        let roots = match &*self.inner.sources {
            [] => SourceRoots::usual(variable),
            named => SourceRoots::named(named, variable),
        };
        roots.folders().to_vec()
    }
}

/// That nothing may be stored is no failure of the backfill.
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
    BridgeError::Backfill { message, context: Box::default(), source: Some(Box::new(error)) }
}

/// The task that analyses died: it panicked, or the runtime is shutting down.
fn stopped(error: tokio::task::JoinError) -> BridgeError {
    BridgeError::Backfill {
        message: "the analysis did not finish".to_owned(),
        context: Box::default(),
        source: Some(Box::new(error)),
    }
}

/// A backfill or a synchronization: both halves, and how far they are.
pub(crate) struct Run<'a> {
    /// Shows how far it is; nobody looks at it where it is no backfill.
    gauge: ProgressGauge,
    callback: Option<ProgressCallback>,
    analysis: Arc<AnalysisProgress>,
    state: BackfillProgress,
    watch: Stopwatch,
    pub(crate) storing: Writer<'a>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        storing: Writer<'a>,
        callback: Option<ProgressCallback>,
        plan: &ReadPlan,
        watch: Stopwatch,
    ) -> Self {
        let state = BackfillProgress {
            phase: BackfillPhase::Reading,
            files: 0,
            files_total: plan.files(),
            bytes: 0,
            bytes_total: plan.bytes(),
            tokens: 0,
            rows: 0,
            elapsed: Duration::ZERO,
        };
        Self { gauge: ProgressGauge::noop(), callback, analysis: Arc::default(), state, watch, storing }
    }

    /// Stores what is found while the rest is read. Dropped, it stops the reading.
    pub(crate) async fn read_and_store(&mut self, reading: Reader) -> Result<ReadResult, BridgeError> {
        let _cancel = CancelOnDrop(Arc::clone(&self.analysis));
        let (sender, mut found) = mpsc::channel(1);
        let progress = Arc::clone(&self.analysis);
        let span = Span::current();
        let reading =
            tokio::task::spawn_blocking(move || span.in_scope(|| reading.run(&progress, Some(&sender))));
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                batch = found.recv() => match batch {
                    Some(batch) => self.store(batch).await?,
                    None => break,
                },
                _ = ticks.tick() => self.report(BackfillPhase::Reading),
            }
        }
        let read = reading.await.map_err(stopped)?;
        self.storing.bridge.count_read(&read);
        self.note_left_out(&read.history);
        Ok(read)
    }

    /// For the health check.
    fn note_left_out(&self, history: &History) {
        let (errors, rejected) = (history.errors(), &self.storing.rejected);
        let unread = errors.first().map(|error| with_cause(error));
        let first = unread.or_else(|| rejected.keys().next().map(|session| format!("session {session}")));
        let left_out =
            first.map(|first| SkippedSources { unread: errors.len(), refused: rejected.len(), first });
        *self.storing.bridge.inner.left_out.lock().unwrap_or_else(PoisonError::into_inner) = left_out;
    }

    async fn store(&mut self, found: Batch) -> Result<(), BridgeError> {
        let done = self.analysis.files() >= self.state.files_total;
        self.report(if done { BackfillPhase::Storing } else { BackfillPhase::Reading });
        let stored = self.storing.store(found).await;
        self.state.rows = self.storing.rows;
        stored
    }

    fn report(&mut self, phase: BackfillPhase) {
        self.state.phase = phase;
        self.state.bytes = self.analysis.bytes();
        self.gauge.set(match phase {
            BackfillPhase::Done => 1.0,
            _ => self.state.bytes as f64 / self.state.bytes_total.max(1) as f64,
        });
        let Some(callback) = &self.callback else { return };
        self.state.files = self.analysis.files();
        self.state.tokens = self.analysis.tokens();
        self.state.elapsed = self.watch.elapsed();
        // One that panicked is not called again: it would at each report.
        if !self.storing.bridge.notify(Observer::Progress, || callback(&self.state)) {
            self.callback = None;
        }
    }

    fn finish(mut self, history: &History, range: &TimeRange) -> Result<BackfillResult, BridgeError> {
        self.report(BackfillPhase::Done);
        let figures = history.summary(range).map_err(|overflow| BridgeError::Backfill {
            context: Box::default(),
            message: "the totals cannot be summed".to_owned(),
            source: Some(Box::new(overflow)),
        })?;
        let Writer { new, replaced, rejected, .. } = &self.storing;
        let mut errors: Vec<String> = history.errors().iter().map(ToString::to_string).collect();
        errors.extend(self.storing.rejections());
        let mut result = BackfillResult {
            success: errors.is_empty(),
            total_files_processed: figures.files,
            new_responses: *new,
            records_stored: new + replaced,
            processing_duration: self.watch.elapsed(),
            errors,
            skipped_files: history.errors().iter().map(|error| error.path().to_owned()).collect(),
            analysis: figures,
            ..BackfillResult::default()
        };
        let mut sessions = HashSet::new();
        for response in history.responses() {
            if range.contains(response.time) && !rejected.contains_key(response.session) {
                result.total_responses += 1;
                result.total_tokens_stored =
                    result.total_tokens_stored.saturating_add(response.counts.total());
                sessions.insert(response.session);
            }
        }
        result.total_sessions = sessions.len() as u64;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use bridge_core::ManualClock;
    use bridge_storage::InMemoryStore;

    use super::*;

    /// Otherwise a file that changed just before it was compared would be trusted, where comparing the others takes
    /// longer than a change is not trusted.
    #[tokio::test]
    async fn files_count_as_read_when_their_comparison_begins() {
        let clock = Arc::new(ManualClock::new(Timestamp::MIN));
        let store = Arc::new(InMemoryStore::default());
        let bridge = EnhancedTokenDatabaseBridge::builder(store).clock(clock.clone()).build();
        let comparing = move || {
            clock.set(Timestamp::MAX);
            ReadPlan::default()
        };
        assert_eq!(bridge.reading(comparing).await.unwrap().read_at, Timestamp::MIN);
    }
}
