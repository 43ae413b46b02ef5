//! Storing many analyses, and bringing the store up to date, as the bridge is built to.

use std::collections::BTreeMap;

use bridge_core::{
    BridgeError, BridgeResult, EnhancedTokenAnalysis, ResponseUsage, SessionId, Stopwatch, SyncResult,
    Timestamp,
};
use tokio::task::{JoinError, JoinSet};

use crate::EnhancedTokenDatabaseBridge;
use crate::operations::store::{StoreOptions, StoredRows, failed, result_of};
use crate::telemetry::operation::Operation;
use crate::telemetry::run::{WriteCounters, carried};

impl EnhancedTokenDatabaseBridge {
    /// [`batch_store_analyses`](Self::batch_store_analyses) with the bridge's
    /// [batch size](crate::BridgeBuilder::batch_size).
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # use bridge::core::{AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp};
    /// # let time = "2026-01-31T12:00:00Z".parse::<Timestamp>()?;
    /// # let analysis = |name: &str, key| {
    /// #     let session = SessionId::new(name)?;
    /// #     let mut response = ResponseUsage::new(ResponseKey(key), session.clone(), time);
    /// #     response.counts.output = 21;
    /// #     EnhancedTokenAnalysis::from_responses(AnalysisId::new(name)?, session, time, vec![response])
    /// #         .map_err(Box::<dyn std::error::Error>::from)
    /// # };
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).batch_size(500).build();
    /// let results = bridge.store_analyses(&[analysis("a", 1)?, analysis("b", 2)?]).await;
    /// assert!(results.iter().all(|result| result.success && result.records_stored == 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn store_analyses(&self, analyses: &[EnhancedTokenAnalysis]) -> Vec<BridgeResult> {
        self.batch_store_analyses(analyses, self.inner.limits.batch_size).await
    }

    /// [`sync_all_sessions`](Self::sync_all_sessions) with the bridge's
    /// [limit](crate::BridgeBuilder::parallel_limit) of files that are read at once.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = |day, output| format!(r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-{day}T12:00:00Z","message":{{"id":"msg_{day}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(folder.path().join("s.jsonl"), line(10, 40) + &line(20, 2))?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .parallel_limit(2)
    ///     .build();
    /// assert_eq!(bridge.sync_sessions(None).await?[0].tokens_after, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn sync_sessions(&self, since: Option<Timestamp>) -> Result<Vec<SyncResult>, BridgeError> {
        self.sync_all_sessions(since, self.inner.limits.parallel).await
    }

    /// Stores many analyses with one insert for each `batch_size` rows (an analysis is not divided), as many at
    /// once as the bridge's [limit](crate::BridgeBuilder::parallel_limit) allows. The results stand in the order of
    /// the analyses; one that is rejected or fails does not keep back the others.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # use bridge::core::{AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp};
    /// # let time = "2026-01-31T12:00:00Z".parse::<Timestamp>()?;
    /// # let analysis = |name: &str, key| {
    /// #     let session = SessionId::new(name)?;
    /// #     let mut response = ResponseUsage::new(ResponseKey(key), session.clone(), time);
    /// #     response.counts.output = 21;
    /// #     EnhancedTokenAnalysis::from_responses(AnalysisId::new(name)?, session, time, vec![response])
    /// #         .map_err(Box::<dyn std::error::Error>::from)
    /// # };
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let mut wrong = analysis("a", 1)?;
    /// wrong.calculated_total_tokens += 1;
    /// let results = bridge.batch_store_analyses(&[wrong, analysis("b", 2)?], 1000).await;
    /// assert_eq!((results[0].success, results[0].errors.len()), (false, 1));
    /// assert_eq!((results[1].success, results[1].total_tokens), (true, 21));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn batch_store_analyses(
        &self,
        analyses: &[EnhancedTokenAnalysis],
        batch_size: usize,
    ) -> Vec<BridgeResult> {
        let stored = async {
            let (planned, tokens) = planned_together(analyses);
            let announced = self.announce(planned, tokens);
            Ok(tokio::join!(self.store_in_batches(analyses, batch_size), announced).0)
        };
        // What failed stands in the results.
        self.run(Operation::BatchStoreAnalyses, None, stored).await.unwrap_or_default()
    }

    async fn store_in_batches(
        &self,
        analyses: &[EnhancedTokenAnalysis],
        batch_size: usize,
    ) -> Vec<BridgeResult> {
        let mut results = Results { analyses, all: Vec::with_capacity(analyses.len()) };
        let mut running = JoinSet::new();
        let mut batch = Batch::default();
        for (place, analysis) in analyses.iter().enumerate() {
            // Its place is taken now and its result filled in when its batch is stored.
            let rejected = self.validate(analysis, None).err();
            results.all.push(failed(analysis, rejected.as_ref().unwrap_or(&not_attempted())));
            if rejected.is_some() {
                continue;
            }
            batch.add(self.rows_of(analysis), place);
            if batch.counted_rows >= batch_size.max(1) {
                if running.len() >= self.inner.limits.parallel {
                    results.settle(running.join_next().await);
                }
                running.spawn(carried(std::mem::take(&mut batch).store(self.clone())));
            }
        }
        results.settle(Some(Ok(batch.store(self.clone()).await)));
        while let Some(stored) = running.join_next().await {
            results.settle(Some(stored));
        }
        results.all
    }
}

/// What storing the analyses will write where nothing of them is stored yet, and what they are worth.
fn planned_together(analyses: &[EnhancedTokenAnalysis]) -> (WriteCounters, u64) {
    let rows = analyses.iter().map(|analysis| analysis.responses.len() as u64).sum();
    let tokens =
        analyses.iter().fold(0_u64, |sum, analysis| sum.saturating_add(analysis.calculated_total_tokens));
    (WriteCounters::planned(rows, tokens, false), tokens)
}

/// Analyses that are stored by one insert.
#[derive(Default)]
struct Batch {
    rows: Vec<ResponseUsage>,
    /// Without what analyses say besides.
    counted_rows: usize,
    /// For each analysis its place and how many of the rows are its.
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

    async fn store(self, bridge: EnhancedTokenDatabaseBridge) -> StoredBatch {
        let watch = Stopwatch::start();
        let stored = async {
            if self.rows.is_empty() {
                return Ok(Default::default());
            }
            let stored = bridge.upsert(self.rows, &StoreOptions::default().upsert()).await?;
            let covering = bridge.covering_tokens([&stored]).await?;
            Ok((stored, covering))
        };
        StoredBatch { stored: stored.await, parts: self.parts, watch }
    }
}

/// The results as far as they are known.
struct Results<'a> {
    analyses: &'a [EnhancedTokenAnalysis],
    all: Vec<BridgeResult>,
}

impl Results<'_> {
    /// Of a batch whose task died the results go on saying that it was not attempted.
    fn settle(&mut self, stored: Option<Result<StoredBatch, JoinError>>) {
        let Some(Ok(StoredBatch { parts, stored, watch })) = stored else { return };
        let mut start = 0;
        for (place, rows) in parts {
            let analysis = &self.analyses[place];
            self.all[place] = match &stored {
                Ok((stored, covering)) => {
                    result_of(analysis, &stored.part(start..start + rows), covering, &watch)
                }
                Err(error) => failed(analysis, error),
            };
            start += rows;
        }
    }
}

fn not_attempted() -> BridgeError {
    BridgeError::not_attempted()
}
