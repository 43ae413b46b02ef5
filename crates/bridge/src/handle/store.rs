//! Storing analyses, pushed entries, streams and whole histories.

use bridge_analysis::History;
use bridge_core::{
    BackfillResult, BridgeError, BridgeResult, EnhancedTokenAnalysis, SessionId, StreamPosition, StreamResult,
};
use tokio::io::AsyncRead;

use crate::entries::SessionEntries;
use crate::operations::backfill::BackfillOptions;
use crate::operations::batch::BatchOptions;
use crate::operations::read_stream::TranscriptStream;
use crate::operations::store::StoreOptions;
use crate::operations::{append, backfill, batch, read_stream, store};
use crate::telemetry::operation::Operation;

use super::EnhancedTokenDatabaseBridge;

impl EnhancedTokenDatabaseBridge {
    /// Stores an analysis: merges its responses into the store. A response that is stored already is not written again.
    ///
    /// An analysis without responses brings only the session's sums: one row per session, of the newest analysis. If
    /// responses of the session are stored, before or after, only they count, even with a forced update; the result
    /// says how many tokens they have. The other facts of the newest analysis are stored in every case.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, StoreOptions, storage::InMemoryStore};
    /// # use bridge::{AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp};
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let (session, time) = (SessionId::new("s")?, "2026-01-31T12:00:00Z".parse::<Timestamp>()?);
    /// let analysis = |output| {
    ///     let mut response = ResponseUsage::new(ResponseKey(1), session.clone(), time);
    ///     response.counts.output = output;
    ///     EnhancedTokenAnalysis::from_responses(AnalysisId::new("a")?, session.clone(), time, vec![response])
    ///         .map_err(Box::<dyn std::error::Error>::from)
    /// };
    /// let result = bridge.store_enhanced_analysis(&analysis(900)?, StoreOptions::default()).await?;
    /// assert_eq!((result.records_stored, result.total_tokens), (1, 900));
    ///
    /// // A lesser version changes nothing, unless it is forced.
    /// let result = bridge.store_enhanced_analysis(&analysis(90)?, StoreOptions::default()).await?;
    /// assert_eq!(result.records_stored, 0);
    /// let force = StoreOptions::default().with_force_update();
    /// let result = bridge.store_enhanced_analysis(&analysis(90)?, force).await?;
    /// assert_eq!(result.records_stored, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::Validation`] with every violation, if there is any; then nothing of the analysis is stored.
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] if the store fails.
    pub async fn store_enhanced_analysis(
        &self,
        analysis: &EnhancedTokenAnalysis,
        options: StoreOptions,
    ) -> Result<BridgeResult, BridgeError> {
        let work = store::store(self.ingest(), analysis, options);
        self.runner.run(Operation::StoreEnhancedAnalysis, Some(&analysis.session_id), work).await
    }

    /// Stores many analyses with one insert for each [`batch_size`](BatchOptions::batch_size) rows (an analysis is not
    /// split among batches), as many at once as the bridge's [limit](crate::BridgeBuilder::parallel_limit) allows. The
    /// results are in the order of the analyses. One that is rejected or fails does not affect the others.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{BatchOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # use bridge::{AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp};
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
    /// let results = bridge.batch_store_analyses(&[wrong, analysis("b", 2)?], BatchOptions::default()).await;
    /// assert_eq!((results[0].success, results[0].errors.len()), (false, 1));
    /// assert_eq!((results[1].success, results[1].total_tokens), (true, 21));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn batch_store_analyses(
        &self,
        analyses: &[EnhancedTokenAnalysis],
        options: BatchOptions,
    ) -> Vec<BridgeResult> {
        let batch_size = options.batch_size.unwrap_or(self.parts.batch_size);
        let work = batch::store_batch(self.ingest(), analyses, batch_size, self.parts.parallel);
        // Failures are in the results.
        let results = self.runner.run(Operation::BatchStoreAnalyses, None, async { Ok(work.await) });
        results.await.unwrap_or_default()
    }

    /// Stores pushed entries of a session, for instance from CI, containers or other runs whose disk does not outlive
    /// them. The signature fits `append` of the Agent SDK's session store. Entries are counted like the lines of a
    /// file, and may also be in one: a response counts once, however often and by whichever way it arrives. Every line
    /// is validated in full, as with [`strict`](crate::AnalyzerOptions::strict).
    ///
    /// Only new entries are read. A failed call can be repeated, even by another process. If the entries are numbered
    /// ([`SessionEntries::with_first`]), a gap is an error; see [`SessionEntries`] for entries without numbers. Two
    /// programs may push to the same stream: no response is lost or counted twice, but the line counts of the recorded
    /// source are those of one of them.
    ///
    /// Memory: the entries, and the rows of 4 MiB of them.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, SessionId, storage::InMemoryStore, stream::SessionEntries};
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let session = SessionId::new("8f14e45f")?;
    /// let entry = |id: &str, output| {
    ///     serde_json::json!({
    ///         "type": "assistant",
    ///         "timestamp": "2026-01-31T12:00:00Z",
    ///         "message": {"id": id, "stop_reason": "end_turn", "usage": {"output_tokens": output}},
    ///     })
    /// };
    /// let entries = SessionEntries::from_values([entry("msg_01ABCDEFGHIJKLMNOPQRSTUV", 40)])?;
    /// let result = bridge.append(&session, entries.clone()).await?;
    /// assert_eq!((result.lines_read, result.tokens(), result.position.lines), (1, 40, 1));
    ///
    /// // The response was lost, so the call is repeated.
    /// let result = bridge.append(&session, entries).await?;
    /// assert_eq!((result.lines_known, result.lines_read, result.tokens()), (1, 0, 0));
    ///
    /// let next = SessionEntries::from_values([entry("msg_01BBCDEFGHIJKLMNOPQRSTUV", 2)])?.with_first(1);
    /// assert_eq!(bridge.append(&session, next).await?.tokens(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::OutOfOrder`] with the expected number if entries before these are missing.
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] if the store fails. Invalid sessions are listed in the
    /// result's errors.
    pub async fn append(
        &self,
        session: &SessionId,
        entries: SessionEntries,
    ) -> Result<StreamResult, BridgeError> {
        let work = append::append(self.ingest(), session, entries);
        self.runner.run(Operation::Append, Some(session), work).await
    }

    /// Stores a transcript from an asynchronous reader: an object in an object store, a pipe, the body of a response.
    /// It is counted like a file, damage included; a last line without a newline counts if it is valid.
    ///
    /// A reader that begins at [`stored_stream_position`](Self::stored_stream_position) provides only what is new. One
    /// that begins at 0 is read as a whole and replaces the record of the stream. After a failure, reading can be
    /// repeated from either position.
    ///
    /// Memory: two pieces of 4 MiB and their rows, or one line if it is longer, up to the analyzer's limit.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore, stream::TranscriptStream};
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// # let line = |id, output| format!(r#"{{"type":"assistant","sessionId":"s","message":{{"id":"msg_0{id}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// let object = line(1, 40) + &line(2, 2);
    /// let stream = TranscriptStream::new("s3://transcripts/s.jsonl");
    /// let result = bridge.read_stream(&stream, object.as_bytes()).await?;
    /// assert_eq!((result.lines_read, result.tokens()), (2, 42));
    ///
    /// // It has grown.
    /// let object = object + &line(3, 8);
    /// let stored = bridge.stored_stream_position(&stream).await?.unwrap_or_default();
    /// let new = &object.as_bytes()[usize::try_from(stored.bytes)?..];
    /// let result = bridge.read_stream(&stream.starting_at(stored.bytes), new).await?;
    /// assert_eq!((result.lines_read, result.tokens()), (1, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::OutOfOrder`] if the reader begins after the stored position.
    /// [`BridgeError::Source`] if the reader fails; what it provided before is stored.
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] if the store fails. Invalid sessions are listed in the
    /// result's errors.
    pub async fn read_stream(
        &self,
        stream: &TranscriptStream,
        reader: impl AsyncRead + Unpin + Send,
    ) -> Result<StreamResult, BridgeError> {
        let work = read_stream::read_stream(self.ingest(), stream, reader);
        self.runner.run(Operation::ReadStream, None, work).await
    }

    /// Returns the position up to which a stream is stored, where a reader may begin; `None` if nothing of it is stored
    /// or all of it must be read again. For an example see [`read_stream`](Self::read_stream).
    ///
    /// # Errors
    ///
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] if the store fails.
    pub async fn stored_stream_position(
        &self,
        stream: &TranscriptStream,
    ) -> Result<Option<StreamPosition>, BridgeError> {
        let work = read_stream::stored_position(self.ingest(), stream);
        self.runner.run(Operation::StoredStreamPosition, None, work).await
    }

    /// Analyzes all transcripts and stores their responses.
    ///
    /// Storing merges, so a backfill may be repeated, killed, cancelled (drop the future) and run concurrently with
    /// another one: what is stored is right at every moment, and the next run completes it. With a time range, only
    /// responses whose winning snapshot lies in it are stored.
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
    /// let late = BackfillOptions::default().with_start_date("2026-01-15T00:00:00Z".parse()?);
    /// assert_eq!(bridge.backfill_historical_data(late).await?.total_tokens_stored, 2);
    ///
    /// // Everything, with progress.
    /// let seen = Arc::new(AtomicU64::new(0));
    /// let watcher = Arc::clone(&seen);
    /// let all = BackfillOptions::default()
    ///     .with_progress(move |progress| watcher.store(progress.files, Ordering::Relaxed));
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
    /// [`BridgeError::Backfill`] if the store fails; its source says why. Files that cannot be read do not
    /// fail the backfill: they are listed in the result, which then is not a success.
    /// [`StorageKind::RolledBack`](bridge_core::StorageKind::RolledBack) if the store was rolled back and not resumed.
    /// [`BridgeError::InvertedRange`] if the end date is before the start date.
    pub async fn backfill_historical_data(
        &self,
        options: BackfillOptions,
    ) -> Result<BackfillResult, BridgeError> {
        let work = backfill::backfill(self.ingest(), options);
        self.runner.run(Operation::BackfillHistoricalData, None, work).await
    }

    /// Analyzes all transcripts and stores nothing. The dates and the batch size of the options are ignored.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{SummaryQuery, BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = |day, output| format!(r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-{day}T12:00:00Z","message":{{"id":"msg_{day}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(folder.path().join("s.jsonl"), line(10, 40) + &line(20, 2))?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let history = bridge.analyze_historical_data(BackfillOptions::default()).await?;
    /// let tokens: u64 = history.responses().map(|response| response.counts.total()).sum();
    /// assert_eq!((tokens, history.errors().len()), (42, 0));
    /// assert!(bridge.get_stored_token_summaries(SummaryQuery::last_days(36_500)).await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backfill`] if the analysis cannot run; [`BridgeError::InvertedRange`] if the end date is
    /// before the start date. Files that cannot be read are listed in [`History::errors`].
    pub async fn analyze_historical_data(&self, options: BackfillOptions) -> Result<History, BridgeError> {
        let work = backfill::analyze(self.ingest(), options);
        self.runner.run(Operation::AnalyzeHistoricalData, None, work).await
    }
}
