//! The progress of a backfill.

use std::sync::Arc;
use std::time::Duration;

use bridge_analysis::AnalysisProgress;
use bridge_core::Stopwatch;

use crate::ingest::plan::ReadPlan;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::ProgressGauge;
use crate::telemetry::observer::Observer;

/// Called with the progress of a backfill, about ten times a second. After a panic it is not called again, and the
/// backfill continues.
pub type ProgressCallback = Arc<dyn Fn(&BackfillProgress) + Send + Sync>;

/// The phase of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackfillPhase {
    /// Transcripts are read and, at the same time, stored.
    Reading,
    /// The last rows are stored.
    Storing,
    /// Everything is stored.
    Done,
}

/// The progress of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackfillProgress {
    /// The phase.
    pub phase: BackfillPhase,
    /// Number of files read.
    pub files: u64,
    /// Number of files found.
    pub files_total: u64,
    /// Number of bytes read.
    pub bytes: u64,
    /// Number of bytes of all files found.
    pub bytes_total: u64,
    /// Tokens counted so far.
    pub tokens: u64,
    /// Rows sent to the store so far.
    pub rows: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

/// Reports the progress of reading and writing.
pub(crate) struct ProgressReporter<'a> {
    telemetry: &'a Telemetry,
    gauge: ProgressGauge,
    callback: Option<ProgressCallback>,
    pub(crate) analysis: Arc<AnalysisProgress>,
    state: BackfillProgress,
    watch: Stopwatch,
}

impl<'a> ProgressReporter<'a> {
    /// Returns a reporter of the progress of this plan, without a callback.
    pub(crate) fn new(telemetry: &'a Telemetry, plan: &ReadPlan, watch: Stopwatch) -> Self {
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
        let gauge = ProgressGauge::noop();
        Self { telemetry, gauge, callback: None, analysis: Arc::default(), state, watch }
    }

    pub(crate) fn with_callback(mut self, callback: Option<ProgressCallback>) -> Self {
        self.callback = callback;
        self
    }

    /// Returns the reporter of a backfill, whose progress is a metric.
    pub(crate) fn with_gauge(mut self) -> Self {
        self.gauge = self.telemetry.metrics.backfill_progress_gauge.clone();
        self
    }

    pub(crate) fn set_rows(&mut self, rows: u64) {
        self.state.rows = rows;
    }

    /// Reports before a batch is written.
    pub(crate) fn report_batch(&mut self) {
        let is_read = self.analysis.files() >= self.state.files_total;
        self.report(if is_read { BackfillPhase::Storing } else { BackfillPhase::Reading });
    }

    pub(crate) fn report(&mut self, phase: BackfillPhase) {
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
        // Not called again after a panic, because it would panic at each report.
        if !self.telemetry.notify(Observer::Progress, || callback(&self.state)) {
            self.callback = None;
        }
    }
}
