//! Stores many analyses.

use std::collections::BTreeMap;
use std::sync::Arc;

use bridge_core::{BridgeError, BridgeResult, EnhancedTokenAnalysis, ResponseUsage, SessionId, Stopwatch};
use tokio::task::{JoinError, JoinSet};

use crate::ingest::Ingest;
use crate::ingest::upsert::{StoredRows, covering_tokens, rows_of, upsert};
use crate::operations::store::{StoreOptions, failed, result_of};
use crate::telemetry::current::{announce, in_current_operation};
use crate::telemetry::write_counters::WriteCounters;

/// Options of a batch of analyses.
///
/// ```
/// use bridge::BatchOptions;
///
/// assert_eq!(BatchOptions::default().with_batch_size(500).batch_size, Some(500));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchOptions {
    /// Number of rows of one insert; the bridge's [`batch_size`](crate::BridgeBuilder::batch_size) if it is `None`.
    pub batch_size: Option<usize>,
}

impl BatchOptions {
    /// Returns the options with this number of rows of one insert.
    #[must_use]
    pub fn with_batch_size(mut self, rows: usize) -> Self {
        self.batch_size = Some(rows);
        self
    }
}

/// Stores the analyses with one insert for each `batch_size` rows, and at most `parallel` inserts at once.
pub(crate) async fn store_batch(
    ingest: &Arc<Ingest>,
    analyses: &[EnhancedTokenAnalysis],
    batch_size: usize,
    parallel: usize,
) -> Vec<BridgeResult> {
    let (planned, tokens) = planned_together(analyses);
    let stored = store_in_batches(ingest, analyses, batch_size, parallel);
    tokio::join!(announce(planned, tokens), stored).1
}

async fn store_in_batches(
    ingest: &Arc<Ingest>,
    analyses: &[EnhancedTokenAnalysis],
    batch_size: usize,
    parallel: usize,
) -> Vec<BridgeResult> {
    let mut results = Results { analyses, all: Vec::with_capacity(analyses.len()) };
    let mut running = JoinSet::new();
    let mut batch = Batch::default();
    for (place, analysis) in analyses.iter().enumerate() {
        // A placeholder; the result is filled in when the batch is stored.
        let rejected = ingest.validate(analysis, None).err();
        results.all.push(failed(analysis, rejected.as_ref().unwrap_or(&BridgeError::not_attempted())));
        if rejected.is_some() {
            continue;
        }
        batch.add(rows_of(ingest, analysis), place);
        if batch.counted_rows >= batch_size.max(1) {
            if running.len() >= parallel {
                results.fill_in(running.join_next().await);
            }
            running.spawn(in_current_operation(std::mem::take(&mut batch).store(Arc::clone(ingest))));
        }
    }
    results.fill_in(Some(Ok(batch.store(Arc::clone(ingest)).await)));
    while let Some(stored) = running.join_next().await {
        results.fill_in(Some(stored));
    }
    results.all
}

/// Returns the counters of a write of all analyses, and their tokens.
fn planned_together(analyses: &[EnhancedTokenAnalysis]) -> (WriteCounters, u64) {
    let rows = analyses.iter().map(|analysis| analysis.responses.len() as u64).sum();
    let tokens =
        analyses.iter().fold(0_u64, |sum, analysis| sum.saturating_add(analysis.calculated_total_tokens));
    (WriteCounters::planned(rows, tokens, false), tokens)
}

/// Analyses stored by one insert.
#[derive(Default)]
struct Batch {
    rows: Vec<ResponseUsage>,
    /// The number of rows without the analyses' notes.
    counted_rows: usize,
    /// For each analysis, its place and its number of rows.
    parts: Vec<(usize, usize)>,
}

/// A batch whose insert has ended.
struct StoredBatch {
    parts: Vec<(usize, usize)>,
    stored: Result<(StoredRows, BTreeMap<SessionId, u64>), BridgeError>,
    watch: Stopwatch,
}

impl Batch {
    fn add(&mut self, rows: Vec<ResponseUsage>, place: usize) {
        self.parts.push((place, rows.len()));
        self.counted_rows += rows.iter().filter(|row| row.origin.is_counted()).count();
        self.rows.extend(rows);
    }

    async fn store(self, ingest: Arc<Ingest>) -> StoredBatch {
        let watch = Stopwatch::start();
        let stored = async {
            if self.rows.is_empty() {
                return Ok(Default::default());
            }
            let stored = upsert(&ingest, self.rows, &StoreOptions::default().upsert_options()).await?;
            let covering = covering_tokens(&ingest, &stored).await;
            Ok((stored, covering))
        };
        StoredBatch { stored: stored.await, parts: self.parts, watch }
    }
}

/// The results known so far.
struct Results<'a> {
    analyses: &'a [EnhancedTokenAnalysis],
    all: Vec<BridgeResult>,
}

impl Results<'_> {
    /// Fills in the results of a batch. Those of a batch whose task died stay "not attempted".
    fn fill_in(&mut self, stored: Option<Result<StoredBatch, JoinError>>) {
        let Some(Ok(StoredBatch { parts, mut stored, watch })) = stored else { return };
        let mut start = 0;
        for (place, rows) in parts {
            let analysis = &self.analyses[place];
            self.all[place] = match &mut stored {
                Ok((stored, covering)) => {
                    result_of(analysis, &stored.take_part(start..start + rows), covering, &watch)
                }
                Err(error) => failed(analysis, error),
            };
            start += rows;
        }
    }
}
