//! Reads transcripts and writes their responses, both at the same time.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bridge_analysis::{AnalysisProgress, History};
use bridge_core::{BridgeError, TimeRange};
use tokio::sync::mpsc;
use tracing::Span;

use crate::ingest::plan::ReadPlan;
use crate::ingest::progress::{BackfillPhase, ProgressReporter};
use crate::ingest::read::{ReadResult, Reader};
use crate::ingest::write::Writer;
use crate::ingest::{Ingest, SkippedSources, analysis_died};
use crate::telemetry::current::record_read;
use crate::telemetry::log::with_cause;

/// Default number of files after which their rows are stored. Each batch costs the database a look-up and two inserts,
/// so many small files make a few large batches. Large ones end a batch by their number of rows.
pub(crate) const FILES_PER_BATCH: usize = 5000;
/// Interval of the progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Stops the reader when the pipeline's future is dropped.
struct CancelOnDrop(Arc<AnalysisProgress>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Makes a plan and returns its reader.
pub(crate) async fn reader(
    ingest: &Ingest,
    plan: impl FnOnce() -> ReadPlan + Send + 'static,
) -> Result<Reader, BridgeError> {
    // Before the files are compared, which may take longer than the period in which a change is not trusted.
    let read_at = ingest.clock.now();
    let plan = tokio::task::spawn_blocking(plan).await.map_err(analysis_died)?;
    Ok(Reader {
        plan,
        batch_size: FILES_PER_BATCH,
        range: TimeRange::ALL,
        analyzer: ingest.analyzer.clone(),
        host: ingest.host.clone(),
        read_at,
    })
}

/// Reads everything. If there is a writer, it writes what was found while the rest is read.
pub(crate) async fn run(
    ingest: &Ingest,
    mut reader: Reader,
    mut writer: Option<&mut Writer<'_>>,
    progress: &mut ProgressReporter<'_>,
) -> Result<ReadResult, BridgeError> {
    // No search is needed for rows that are not stored.
    reader.analyzer.activity &= writer.is_some();
    let _cancel = CancelOnDrop(Arc::clone(&progress.analysis));
    let (sender, mut batches) = mpsc::channel(1);
    let (analysis, is_written, span) = (Arc::clone(&progress.analysis), writer.is_some(), Span::current());
    // The channel is closed when the reader ends, whether anything is sent or not.
    let reading = tokio::task::spawn_blocking(move || {
        let sender = sender;
        span.in_scope(|| reader.run(&analysis, is_written.then_some(&sender)))
    });
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        tokio::select! {
            batch = batches.recv() => match (batch, &mut writer) {
                (Some(batch), Some(writer)) => {
                    progress.report_batch();
                    let written = writer.write(batch).await;
                    progress.set_rows(writer.rows);
                    written?;
                }
                _ => break,
            },
            _ = ticks.tick() => progress.report(BackfillPhase::Reading),
        }
    }
    let read = reading.await.map_err(analysis_died)?;
    record_read(read.sources.bytes);
    ingest.telemetry.metrics.read(read.sources.bytes, read.sources.lines, &read.sources.damage);
    if let Some(writer) = writer {
        let skipped = skipped_sources(&read.history, writer);
        // A few changed files say nothing about the others that were skipped.
        if skipped.is_some() || !read.plan.is_of_changes() {
            *ingest.skipped.lock().unwrap_or_else(PoisonError::into_inner) = skipped;
        }
    }
    Ok(read)
}

fn skipped_sources(history: &History, writer: &Writer<'_>) -> Option<SkippedSources> {
    let (errors, rejected) = (history.errors(), &writer.rejected);
    let unread = errors.first().map(|error| with_cause(error));
    let first = unread.or_else(|| rejected.keys().next().map(|session| format!("session {session}")))?;
    Some(SkippedSources { unread: errors.len(), refused: rejected.len(), first })
}

#[cfg(test)]
mod tests {
    use bridge_core::{ManualClock, Timestamp};
    use bridge_storage::InMemoryStore;

    use super::*;
    use crate::EnhancedTokenDatabaseBridge;

    /// Otherwise a file that changed just before it was compared would be trusted if comparing the others takes
    /// longer than the period in which a change is not trusted.
    #[tokio::test]
    async fn files_count_as_read_when_their_comparison_begins() {
        let clock = Arc::new(ManualClock::new(Timestamp::MIN));
        let store = Arc::new(InMemoryStore::default());
        let bridge = EnhancedTokenDatabaseBridge::builder(store).clock(clock.clone()).build();
        let comparing = move || {
            clock.set(Timestamp::MAX);
            ReadPlan::default()
        };
        assert_eq!(reader(bridge.ingest(), comparing).await.unwrap().read_at, Timestamp::MIN);
    }
}
