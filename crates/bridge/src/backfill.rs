//! The historical backfill: every transcript analysed, every response stored.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bridge_analysis::{
    AnalysisProgress, AnalyzerOptions, Discovery, History, analyze_files, discover, usual_roots,
};
use bridge_core::{
    AnalysisId, BackfillResult, BridgeError, EnhancedTokenAnalysis, HostName, ResponseUsage, SessionId,
    Stopwatch, TimeRange, Timestamp,
};
use bridge_storage::{SourceRecord, UpsertOptions, UpsertOutcome};
use tokio::sync::mpsc;

use crate::EnhancedTokenDatabaseBridge;
use crate::sources::source_records;

/// Called with the state of a backfill, some ten times a second.
pub type ProgressCallback = Arc<dyn Fn(&BackfillProgress) + Send + Sync>;

/// What to backfill, and how.
#[derive(Clone)]
pub struct BackfillOptions {
    /// Only responses from this time on.
    pub start_date: Option<Timestamp>,
    /// Only responses before this time.
    pub end_date: Option<Timestamp>,
    /// After so many files what was found in them is stored.
    pub batch_size: usize,
    /// Is told how far the backfill is.
    pub progress: Option<ProgressCallback>,
}

impl Default for BackfillOptions {
    /// Everything, a hundred files at a time, no callback.
    fn default() -> Self {
        Self { start_date: None, end_date: None, batch_size: 100, progress: None }
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

/// How often the callback is called.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Findings of a batch of files.
struct Found {
    rows: Vec<ResponseUsage>,
    sources: Vec<SourceRecord>,
}

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
    /// # Errors
    ///
    /// [`BridgeError::Backfill`] where the store fails; its source says why. Files that cannot be read do not
    /// fail the backfill: they stand in the result, which then is no success.
    pub async fn backfill_historical_data(
        &self,
        options: BackfillOptions,
    ) -> Result<BackfillResult, BridgeError> {
        let (mut run, reading) = self.begin(&options).await?;
        let _cancel = CancelOnDrop(Arc::clone(&run.analysis));
        let (sender, receiver) = mpsc::channel(1);
        let progress = Arc::clone(&run.analysis);
        let analysis = tokio::task::spawn_blocking(move || reading.run(&progress, Some(&sender)));
        if let Err(error) = run.store_all(receiver).await {
            let message = format!("stopped after {} rows were stored", run.state.rows);
            return Err(BridgeError::Backfill { message, source: Some(Box::new(error)) });
        }
        let history = analysis.await.map_err(stopped)?;
        run.finish(&history)
    }

    /// Analyses all transcripts and stores nothing. Of the options the dates and the batch size mean nothing.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backfill`] where the analysis cannot run. Files that cannot be read stand in
    /// [`History::errors`].
    pub async fn analyze_historical_data(&self, options: BackfillOptions) -> Result<History, BridgeError> {
        let (mut run, reading) = self.begin(&options).await?;
        let _cancel = CancelOnDrop(Arc::clone(&run.analysis));
        let progress = Arc::clone(&run.analysis);
        let mut analysis = tokio::task::spawn_blocking(move || reading.run(&progress, None));
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                history = &mut analysis => {
                    run.report(BackfillPhase::Done);
                    return history.map_err(stopped);
                }
                _ = ticks.tick() => run.report(BackfillPhase::Reading),
            }
        }
    }

    async fn begin(&self, options: &BackfillOptions) -> Result<(Run<'_>, Reading), BridgeError> {
        let watch = Stopwatch::start();
        let roots = self.source_roots();
        let found = tokio::task::spawn_blocking(move || discover(&roots)).await.map_err(stopped)?;
        let state = BackfillProgress {
            phase: BackfillPhase::Reading,
            files: 0,
            files_total: found.files.len() as u64,
            bytes: 0,
            bytes_total: found.bytes(),
            tokens: 0,
            rows: 0,
            elapsed: Duration::ZERO,
        };
        let range = TimeRange { start: options.start_date, end: options.end_date };
        let reading = Reading {
            found,
            batch_size: options.batch_size.max(1),
            range,
            analyzer: self.inner.analyzer.clone(),
            read_at: self.inner.clock.now(),
        };
        Ok((Run::new(self, options, range, state, watch), reading))
    }

    /// The folders given, else the client's usual places.
    pub(crate) fn source_roots(&self) -> Vec<PathBuf> {
        if self.inner.sources.is_empty() {
            usual_roots(|name| std::env::var(name).ok())
        } else {
            self.inner.sources.clone()
        }
    }
}

/// The task that analyses died: it panicked, or the runtime is shutting down.
fn stopped(error: tokio::task::JoinError) -> BridgeError {
    BridgeError::Backfill { message: "the analysis did not finish".to_owned(), source: Some(Box::new(error)) }
}

/// The reading half: runs on a blocking thread (and its own workers).
struct Reading {
    found: Discovery,
    batch_size: usize,
    range: TimeRange,
    analyzer: AnalyzerOptions,
    read_at: Timestamp,
}

impl Reading {
    /// Reads everything and hands over what was found, batch by batch, where somebody stores it.
    fn run(self, progress: &AnalysisProgress, storing: Option<&mpsc::Sender<Found>>) -> History {
        let mut history = History::default();
        self.found.errors.into_iter().for_each(|error| history.fail(error));
        let unknown = || HostName::new("unknown").expect("a constant is a name");
        let host = self.analyzer.host.clone().unwrap_or_else(unknown);
        for batch in self.found.files.chunks(self.batch_size) {
            let mut sources = Vec::new();
            analyze_files(batch, &self.analyzer, progress, &mut history, |file| {
                if file.complete && storing.is_some() {
                    sources.extend(source_records(&file, &host, self.read_at));
                }
            });
            // A winner may yet move out of the range, so a limited backfill stores when all is read; and what
            // it stores does not stand for whole files, so it records none.
            if let Some(storing) = storing
                && self.range.is_all()
            {
                let batch = Found { rows: history.take_changed(), sources };
                if storing.blocking_send(batch).is_err() {
                    return history;
                }
            }
        }
        if let Some(storing) = storing
            && !self.range.is_all()
        {
            let mut rows = history.take_changed();
            rows.retain(|row| self.range.contains(row.time));
            // Nobody listens only when the backfill was dropped.
            let _ = storing.blocking_send(Found { rows, sources: Vec::new() });
        }
        history
    }
}

/// The storing half.
struct Run<'a> {
    bridge: &'a EnhancedTokenDatabaseBridge,
    callback: Option<ProgressCallback>,
    analysis: Arc<AnalysisProgress>,
    range: TimeRange,
    state: BackfillProgress,
    watch: Stopwatch,
    upsert: UpsertOptions,
    new: u64,
    replaced: u64,
    rejected: BTreeMap<SessionId, String>,
}

impl<'a> Run<'a> {
    fn new(
        bridge: &'a EnhancedTokenDatabaseBridge,
        options: &BackfillOptions,
        range: TimeRange,
        state: BackfillProgress,
        watch: Stopwatch,
    ) -> Self {
        Self {
            bridge,
            callback: options.progress.clone(),
            analysis: Arc::new(AnalysisProgress::default()),
            range,
            state,
            watch,
            upsert: UpsertOptions::default().with_run_id(fastrand::u128(1..)),
            new: 0,
            replaced: 0,
            rejected: BTreeMap::new(),
        }
    }

    async fn store_all(&mut self, mut found: mpsc::Receiver<Found>) -> Result<(), BridgeError> {
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                batch = found.recv() => match batch {
                    Some(batch) => self.store(batch).await?,
                    None => return Ok(()),
                },
                _ = ticks.tick() => self.report(BackfillPhase::Reading),
            }
        }
    }

    async fn store(&mut self, batch: Found) -> Result<(), BridgeError> {
        let rows = self.admit(batch.rows);
        let done = self.analysis.files() >= self.state.files_total;
        self.report(if done { BackfillPhase::Storing } else { BackfillPhase::Reading });
        if !rows.is_empty() {
            let outcomes = self.bridge.upsert(&rows, &self.upsert).await?;
            self.state.rows += rows.len() as u64;
            for outcome in outcomes {
                match outcome {
                    UpsertOutcome::New => self.new += 1,
                    UpsertOutcome::Replaced(_) => self.replaced += 1,
                    UpsertOutcome::Unchanged => {}
                }
            }
        }
        // Only now: a record says that the rows it stands for are stored.
        if !batch.sources.is_empty() {
            self.bridge.put_sources(&batch.sources).await?;
        }
        Ok(())
    }

    /// Leaves out the rows of sessions that are not valid.
    fn admit(&mut self, rows: Vec<ResponseUsage>) -> Vec<ResponseUsage> {
        let Some(validator) = &self.bridge.inner.validator else { return rows };
        let mut sessions: BTreeMap<SessionId, Vec<ResponseUsage>> = BTreeMap::new();
        for row in rows {
            sessions.entry(row.session.clone()).or_default().push(row);
        }
        let mut admitted = Vec::new();
        let now = self.bridge.inner.clock.now();
        for (session, rows) in sessions {
            let id =
                AnalysisId::new(format!("{:032x}", self.upsert.run_id)).expect("32 characters are an id");
            match EnhancedTokenAnalysis::from_responses(id, session.clone(), now, rows) {
                Ok(analysis) => {
                    let result = validator.validate_analysis(&analysis);
                    if result.is_valid() {
                        admitted.extend(analysis.responses);
                    } else {
                        self.rejected.insert(session, result.to_string());
                    }
                }
                Err(overflow) => {
                    self.rejected.insert(session, overflow.to_string());
                }
            }
        }
        admitted
    }

    fn report(&mut self, phase: BackfillPhase) {
        let Some(callback) = &self.callback else { return };
        self.state.phase = phase;
        self.state.files = self.analysis.files();
        self.state.bytes = self.analysis.bytes();
        self.state.tokens = self.analysis.tokens();
        self.state.elapsed = self.watch.elapsed();
        callback(&self.state);
    }

    fn finish(mut self, history: &History) -> Result<BackfillResult, BridgeError> {
        self.report(BackfillPhase::Done);
        let figures = history.figures(&self.range).map_err(|overflow| BridgeError::Backfill {
            message: "the totals cannot be summed".to_owned(),
            source: Some(Box::new(overflow)),
        })?;
        let mut errors: Vec<String> = history.errors().iter().map(ToString::to_string).collect();
        let rejected = |(session, why)| format!("the analysis of session {session} is not valid: {why}");
        errors.extend(self.rejected.iter().map(rejected));
        let stored = history.responses().filter(|response| {
            self.range.contains(response.time) && !self.rejected.contains_key(response.session)
        });
        let mut result = BackfillResult {
            success: errors.is_empty(),
            total_files_processed: figures.files,
            new_responses: self.new,
            records_stored: self.new + self.replaced,
            processing_duration: self.watch.elapsed(),
            errors,
            skipped_files: history.errors().iter().map(|error| error.path().to_owned()).collect(),
            analysis: figures,
            ..BackfillResult::default()
        };
        let mut sessions = HashSet::new();
        for response in stored {
            result.total_responses += 1;
            result.total_tokens_stored += response.counts.total();
            sessions.insert(response.session);
        }
        result.total_sessions = sessions.len() as u64;
        tracing::info!(
            operation = "backfill_historical_data",
            files = result.total_files_processed,
            tokens = result.total_tokens_stored,
            new_responses = result.new_responses,
            processing_time = result.processing_duration.as_secs_f64(),
            "backfill completed"
        );
        Ok(result)
    }
}
