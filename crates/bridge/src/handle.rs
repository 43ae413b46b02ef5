//! The bridge's handle. Each method delegates to [`operations`](crate::operations).

use std::sync::Arc;
use std::time::Duration;

use bridge_analysis::History;
use bridge_cache::{BridgeCache, SummaryQuery};
use bridge_core::{
    Actor, AnalysisWithSource, Assignment, AuditFilter, AuditRecord, BackfillResult, BridgeError,
    BridgeResult, CheckpointName, CorrelationId, EnhancedTokenAnalysis, HealthStatus, IntegrityResult,
    OperationName, RollbackResult, SessionId, StreamPosition, StreamResult, SyncResult, TokenSummaryRecord,
};
use bridge_storage::TokenStore;
use tokio::io::AsyncRead;

use crate::dashboard::DashboardBridgeAdapter;
use crate::entries::SessionEntries;
use crate::ingest::Ingest;
use crate::ingest::plan::SyncMode;
use crate::live::LiveOptions;
use crate::operations::backfill::BackfillOptions;
use crate::operations::background::Background;
use crate::operations::backup::{BackupPlace, ExportOptions, ExportResult, ImportResult};
use crate::operations::batch::BatchOptions;
use crate::operations::checkpoints::{Checkpoints, RollbackMode};
use crate::operations::fallback::Fallback;
use crate::operations::integrity::IntegrityOptions;
use crate::operations::lifetime::Lifetime;
use crate::operations::monitor::{Monitor, Monitoring, Observation};
use crate::operations::read_stream::TranscriptStream;
use crate::operations::shutdown::{ShutdownRequest, StoreEngine};
use crate::operations::store::StoreOptions;
use crate::operations::sync::SyncOptions;
use crate::operations::watch::{SyncTask, Synchronizer};
use crate::operations::{
    append, audit, backfill, backup, batch, checkpoints, integrity, read_stream, store, summaries, sync,
};
use crate::sessions::Sessions;
use crate::telemetry::operation::Operation;
use crate::telemetry::run::OperationRunner;
use crate::telemetry::stats::BridgeStats;

/// Bridges the analysis of transcripts to the database: analyzes, validates, stores and reads back.
///
/// A thin handle: cheap to clone, `Send` and `Sync`. Built by [`builder`](Self::builder).
#[derive(Debug, Clone)]
pub struct EnhancedTokenDatabaseBridge {
    pub(crate) parts: Arc<Parts>,
    pub(crate) runner: OperationRunner,
}

/// The parts that the clones of a handle share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) cache: Arc<BridgeCache>,
    pub(crate) fallback: Fallback,
    pub(crate) monitoring: Arc<Monitoring>,
    /// Kept, because it learns where the stored responses begin.
    pub(crate) dashboard: DashboardBridgeAdapter,
    /// The longest interruption that belongs to the active time of a session.
    pub(crate) activity_pause: Duration,
    /// Default number of rows of one insert of a batch.
    pub(crate) batch_size: usize,
    /// Maximum number of batches stored, or files synchronized, at once.
    pub(crate) parallel: usize,
    pub(crate) _background: Option<Background>,
    pub(crate) lifetime: Lifetime,
    /// The engine that `shutdown` closes.
    pub(crate) engine: Option<StoreEngine>,
}

impl EnhancedTokenDatabaseBridge {
    /// Returns a handle whose operations carry this correlation id, for example that of a request the caller serves.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{SummaryQuery, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::{AuditFilter, CorrelationId};
    ///
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let request: CorrelationId = "00f067aa0ba902b74bf92f3577b34da6".parse()?;
    /// let _ = bridge.with_correlation_id(request).get_stored_token_summaries(SummaryQuery::last_days(7)).await?;
    ///
    /// let audit = bridge.audit_log(&AuditFilter::default().with_correlation_id(request)).await?;
    /// assert_eq!(audit[0].operation.as_str(), "get_stored_token_summaries");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_correlation_id(&self, id: CorrelationId) -> Self {
        let runner = OperationRunner { correlation_id: Some(id), ..self.runner.clone() };
        Self { parts: Arc::clone(&self.parts), runner }
    }

    /// Returns a handle whose operations this actor asked for, who appears in log and audit: the user of a request that
    /// the caller serves, or the job that runs. Without one, operations have no actor.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{SummaryQuery, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::{Actor, AuditFilter};
    ///
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let alice = Actor::new("alice@example.com")?;
    /// let _ = bridge.with_actor(alice.clone()).get_stored_token_summaries(SummaryQuery::last_days(7)).await?;
    ///
    /// let audit = bridge.audit_log(&AuditFilter::default().with_actor(alice.clone())).await?;
    /// assert_eq!((audit.len(), &audit[0].actor), (1, &Some(alice)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_actor(&self, actor: Actor) -> Self {
        let runner = OperationRunner { actor: Some(actor), ..self.runner.clone() };
        Self { parts: Arc::clone(&self.parts), runner }
    }

    /// Returns a handle whose operations assign the responses that they store to this developer, this team and these
    /// labels, before what the [rules](crate::BridgeBuilder::assignments) say. For a service with a tenant for each call.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(async {
    /// use std::sync::Arc;
    ///
    /// use bridge::assignment::{Assignment, Labels};
    /// use bridge::storage::InMemoryStore;
    /// use bridge::stream::SessionEntries;
    /// use bridge::{DashboardQuery, Dimension, EnhancedTokenDatabaseBridge, SessionId};
    ///
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// let acme = bridge.with_assignment(Assignment::of_labels(Labels::new([("tenant", "acme")])?));
    /// let entry = r#"{"type":"assistant","timestamp":"2026-01-31T12:00:00Z","requestId":"req_1","message":
    ///     {"id":"msg_01ABCDEFGHIJKLMNOPQRSTUV","stop_reason":"end_turn","usage":{"output_tokens":42}}}"#;
    /// let entries = SessionEntries::from_values([serde_json::from_str::<serde_json::Value>(entry)?])?;
    /// let _ = acme.append(&SessionId::new("s")?, entries).await?;
    ///
    /// let of_acme = DashboardQuery::default().with_values(Dimension::label("tenant")?, ["acme"]);
    /// assert_eq!(bridge.dashboard().get_dashboard_token_metrics(of_acme).await?.total_tokens, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_assignment(&self, assignment: Assignment) -> Self {
        let runner = OperationRunner { assignment: assignment.into(), ..self.runner.clone() };
        Self { parts: Arc::clone(&self.parts), runner }
    }

    /// Returns the store that the bridge reads and writes. Calls of it affect error rate, metrics and cache like the
    /// bridge's own, but are not operations: they are not on record.
    #[must_use]
    pub fn token_store(&self) -> &Arc<dyn TokenStore> {
        &self.parts.ingest.store
    }

    /// Stores an analysis: merges its responses into the store. A response that is stored already is not written again.
    ///
    /// An analysis without responses brings only the session's sums: one row per session, of the newest analysis. If
    /// responses of the session are stored, before or after, only they count, even with a forced update; the result says
    /// how many tokens they have. What the newest analysis says besides its counters is stored in every case.
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

    /// Stores pushed entries of a session, for instance from CI, containers or other runs whose disk does not outlive them.
    /// The signature fits `append` of the Agent SDK's session store. Entries are counted like the lines of a file, and may
    /// also be in one: a response counts once, however often and by whichever way it arrives. Every line is validated in
    /// full, as with [`strict`](crate::AnalyzerOptions::strict).
    ///
    /// Only new entries are read. A failed call can be repeated, even by another process. If the entries are numbered
    /// ([`SessionEntries::with_first`]), a gap is an error; see [`SessionEntries`] for entries without numbers. Two programs
    /// may push to the same stream: no response is lost or counted twice, but the line counts of the recorded source are
    /// those of one of them.
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

    /// Stores a transcript from an asynchronous reader: an object in an object store, a pipe, the body of a response. It is
    /// counted like a file, damage included; a last line without a newline counts if it is valid.
    ///
    /// A reader that begins at [`stored_stream_position`](Self::stored_stream_position) provides only what is new. One
    /// that begins at 0 is read as a whole and replaces the record of the stream. After a failure, reading can be repeated
    /// from either position.
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

    /// Returns the position up to which a stream is stored, where a reader may begin; `None` if nothing of it is stored or
    /// all of it must be read again. For an example see [`read_stream`](Self::read_stream).
    ///
    /// # Errors
    ///
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] if the store fails.
    pub async fn stored_stream_position(
        &self,
        stream: &TranscriptStream,
    ) -> Result<Option<StreamPosition>, BridgeError> {
        read_stream::stored_position(self.ingest(), stream).await
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

    /// Brings the store up to date with the transcripts of one session.
    ///
    /// A session's lines may be in any file, so in every file that changed since it was last read, what is new is read,
    /// and what is found of other sessions is stored too; the result is about the one asked for. Calls that wait for one
    /// another share a synchronization, and each of them returns its changes. With [`SyncMode::Full`]
    /// every file is read from its beginning. What the client deleted or rewrote stays stored.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, io::Write, sync::Arc};
    /// # use bridge::{SyncMode, EnhancedTokenDatabaseBridge, SessionId, SyncStatus, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("s.jsonl");
    /// # let line = |id, output| format!(r#"{{"type":"assistant","sessionId":"s","message":{{"id":"msg_0{id}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(&path, line(1, 40))?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// let session = SessionId::new("s")?;
    /// let result = bridge.sync_session_tokens(&session, SyncMode::Incremental).await?;
    /// assert_eq!((result.status, result.tokens_after), (SyncStatus::Changed, 40));
    ///
    /// // The session goes on: a longer snapshot of the first response, and another response.
    /// fs::File::options().append(true).open(&path)?.write_all((line(1, 42) + &line(2, 100)).as_bytes())?;
    /// let result = bridge.sync_session_tokens(&session, SyncMode::Incremental).await?;
    /// assert_eq!((result.tokens_before, result.tokens_after), (40, 142));
    /// assert_eq!((result.changes.later_snapshots.tokens, result.changes.new_responses.tokens), (2, 100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer; [`BridgeError::UnknownSession`] if neither the store nor any
    /// source knows the session. What cannot be read is listed in the result if it belongs to the session, or if it is
    /// unknown to which one it belongs.
    pub async fn sync_session_tokens(
        &self,
        session: &SessionId,
        mode: SyncMode,
    ) -> Result<SyncResult, BridgeError> {
        let work = sync::sync_session(self.ingest(), session, mode);
        self.runner.run(Operation::SyncSessionTokens, Some(session), work).await
    }

    /// Brings the store up to date with all transcripts, with at most [`parallel_limit`](SyncOptions::parallel_limit)
    /// files read at once. Returns a result for each session that the store or a transcript knows, by session id,
    /// no matter which host stored it: a session without a file on this machine, because another machine or an embedder
    /// stored it, is unchanged.
    ///
    /// With [`since`](SyncOptions::since) only the transcripts that were modified at that time or later are read, and only
    /// their sessions have results. A file that could not be read, and that the store does not know, has a failed result
    /// of its own, under its path.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{SyncOptions, EnhancedTokenDatabaseBridge, SyncStatus, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("s.jsonl");
    /// # fs::write(&path, r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// let results = bridge.sync_all_sessions(SyncOptions::default()).await?;
    /// assert_eq!((results[0].status, results[0].tokens_after), (SyncStatus::Changed, 42));
    ///
    /// // The client deletes what is 30 days old. The store keeps it.
    /// fs::remove_file(&path)?;
    /// let results = bridge.sync_all_sessions(SyncOptions::default()).await?;
    /// assert_eq!((results[0].status, results[0].tokens_after), (SyncStatus::SourceGone, 42));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer. Files that cannot be read are listed in the results.
    pub async fn sync_all_sessions(&self, options: SyncOptions) -> Result<Vec<SyncResult>, BridgeError> {
        let parallel = options.parallel_limit.unwrap_or(self.parts.parallel).max(1);
        let work = sync::sync_all(self.ingest(), options.since, parallel);
        self.runner.run(Operation::SyncAllSessions, None, work).await
    }

    /// Brings the store up to date now, and again whenever something changes, in a task of its own. The
    /// [options](LiveOptions) say how that is noticed; a [`Duration`] is the interval of searches of all transcripts. Calls the
    /// observer each time with the sessions that changed or that failed differently than the time before, or with the
    /// error of the whole synchronization; the next one tries again.
    ///
    /// A panic does not end the task: one of the observer shows in the metrics and the health check, one of the
    /// synchronization itself is reported to the observer as an error.
    ///
    /// If nothing changed, a search of all transcripts inspects each file and reads none. While the store cannot be
    /// reached, what changed is remembered by its path, and in limited memory: too many paths become a search. For a stream of the changes in place of a
    /// callback see [`observer_stream`](crate::observer_stream()).
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, io::Write, sync::Arc, time::Duration};
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # use tokio::sync::mpsc;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("s.jsonl");
    /// # let line = |id, output| format!(r#"{{"type":"assistant","sessionId":"s","message":{{"id":"msg_0{id}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(&path, line(1, 40))?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let (sender, mut received) = mpsc::unbounded_channel();
    /// let syncing = bridge.keep_in_sync(Duration::from_millis(20), move |outcome| {
    ///     for session in outcome.unwrap_or_default() {
    ///         let _ = sender.send((session.tokens_before, session.tokens_after));
    ///     }
    /// });
    /// assert_eq!(received.recv().await, Some((0, 40)));
    ///
    /// // The session goes on.
    /// fs::File::options().append(true).open(&path)?.write_all(line(2, 2).as_bytes())?;
    /// assert_eq!(received.recv().await, Some((40, 42)));
    /// syncing.stop().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If it is not called within a Tokio runtime with timers.
    pub fn keep_in_sync(
        &self,
        options: impl Into<LiveOptions>,
        observer: impl FnMut(Result<Vec<SyncResult>, BridgeError>) + Send + 'static,
    ) -> SyncTask {
        Synchronizer {
            ingest: Arc::clone(self.ingest()),
            runner: self.runner.clone(),
            parallel: self.parts.parallel,
        }
        .spawn(self.parts.lifetime.join(), options.into(), observer)
    }

    /// Returns the stored summaries of the sessions that were active in the last days, each with the totals of its whole
    /// life, by session id.
    ///
    /// Answers come from the cache if it has one that is not stale.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{SummaryQuery, BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    /// # std::fs::write(folder.path().join("s.jsonl"), line)?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// # let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// let summaries = bridge.get_stored_token_summaries(SummaryQuery::last_days(7).with_metadata()).await?;
    /// assert_eq!((summaries[0].session_id.as_str(), summaries[0].total_tokens), ("s", 42));
    /// assert_eq!(summaries[0].metadata.as_ref().map(|metadata| metadata.lines), Some(1));
    ///
    /// // In pages: the one behind the last session is empty.
    /// let page = SummaryQuery::last_days(7).with_limit(100).after(summaries[0].session_id.clone());
    /// assert!(bridge.get_stored_token_summaries(page).await?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn get_stored_token_summaries(
        &self,
        query: SummaryQuery,
    ) -> Result<Arc<Vec<TokenSummaryRecord>>, BridgeError> {
        let work = summaries::summaries(self.ingest(), &self.parts.cache, query);
        self.runner.run(Operation::GetStoredTokenSummaries, None, work).await
    }

    /// Returns what is known of sessions besides sums: their details, the limits that they hit, and the transcripts that the
    /// client will delete.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.clone())
    }

    /// Returns the analysis of a session from the store. If the store does not know the session, is unreachable, takes
    /// longer than its deadline, or was rolled back and not resumed, it comes from a live analysis of the sources. If
    /// that fails too, the last answer is returned from the cache. States the source of the answer and its age.
    ///
    /// One live analysis runs at a time, and all calls that arrive while it runs share the next one.
    ///
    /// Rows that their version does not verify are never returned as stored: if another program changed a row of
    /// the session, the store's answer is an error, and the sources are read.
    ///
    /// A cached answer is a last resort, so it may be older than what this program has stored since, but it is never
    /// from before a rollback. All other answers are current.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::AnalysisSource;
    /// use bridge::SessionId;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// let session = SessionId::new("s")?;
    /// // Nothing is stored yet.
    /// let answer = bridge.get_analysis_with_fallback(&session).await?;
    /// assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Live, 42));
    ///
    /// let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// let answer = bridge.get_analysis_with_fallback(&session).await?;
    /// assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Stored, 42));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::UnknownSession`] if both store and sources answer that the session has no responses; otherwise, if
    /// the cache does not know it either, the store's error.
    pub async fn get_analysis_with_fallback(
        &self,
        session: &SessionId,
    ) -> Result<AnalysisWithSource, BridgeError> {
        let work = self.parts.fallback.analysis(session);
        self.runner.run(Operation::GetAnalysisWithFallback, Some(session), work).await
    }

    /// Compares what is stored with a live analysis of all sources, by response key, for one session or the
    /// whole store, and repairs what differs if asked to.
    ///
    /// The store must hold the greatest snapshot ever read. So it is an error if it has less than the sources, lacks a
    /// response, counts one twice, still holds what an older revision of the counting rule made of sources that are
    /// available, or holds a row that the bridge did not write (the version of a row verifies its fields). It is not an error
    /// if it has more, because sources are rewritten and deleted, other machines have their own, and forced updates are
    /// intended; nor if it lacks what is older than its retention. [`DifferenceKind`](bridge_core::DifferenceKind) lists
    /// all cases.
    ///
    /// The sources are read first and then the store, so that what another program stores in the meantime looks like
    /// more than the sources have. What a client writes in the meantime may be missing: the tolerance allows for that.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::{IntegrityOptions, Repair};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let line = |id, output| format!(r#"{{"type":"assistant","sessionId":"s","message":{{"id":"msg_0{id}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(folder.path().join("s.jsonl"), line(1, 40) + &line(2, 2))?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// // Nothing is stored yet.
    /// let result = bridge.verify_data_integrity(IntegrityOptions::default()).await?;
    /// assert!(!result.passed);
    /// assert_eq!((result.missing().responses, result.missing().live_tokens), (2, 42));
    ///
    /// let repair = IntegrityOptions::default().with_repair(Repair::Restore);
    /// let repaired = bridge.verify_data_integrity(repair).await?.repair.expect("it was asked for");
    /// assert_eq!((repaired.restored, repaired.remaining), (2, 0));
    /// let result = bridge.verify_data_integrity(IntegrityOptions::default()).await?;
    /// assert!(result.passed && result.stored_tokens == 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached, does not answer or may not be written to, or the analysis cannot run. Sources
    /// that cannot be read are listed in the result; then nothing is forced and nothing removed.
    pub async fn verify_data_integrity(
        &self,
        options: IntegrityOptions,
    ) -> Result<IntegrityResult, BridgeError> {
        let work = integrity::verify(self.ingest(), &options);
        self.runner.run(Operation::VerifyDataIntegrity, options.session.as_ref(), work).await
    }

    /// Returns the checkpoints of the store.
    #[must_use]
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(Arc::clone(self.ingest()), self.runner.clone())
    }

    /// Restores the exact state of a checkpoint while others read and write. As a dry run, only returns what would change.
    ///
    /// Afterwards nothing is stored until [`resume`](Checkpoints::resume): storing, backfill and synchronization are
    /// refused on all hosts, including those that had already begun.
    /// [`get_analysis_with_fallback`](Self::get_analysis_with_fallback) answers from a live analysis of the sources;
    /// summaries and dashboards read what was restored. What was replaced becomes a checkpoint itself, so that a rollback
    /// can be rolled back.
    ///
    /// If it is killed at any moment, it has changed nothing, or the next start completes it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, RollbackMode, storage::InMemoryStore};
    /// # use bridge::CheckpointName;
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let empty = CheckpointName::new("empty")?;
    /// bridge.checkpoints().create(&empty).await?;
    /// let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    ///
    /// let plan = bridge.rollback_bridge_integration(&empty, RollbackMode::DryRun).await?;
    /// let tokens = [plan.before, plan.after].map(|totals| totals.map(|totals| totals.tokens));
    /// assert_eq!((tokens, plan.differing_sessions), ([Some(42), Some(0)], Some(1)));
    /// let done = bridge.rollback_bridge_integration(&empty, RollbackMode::Perform).await?;
    /// assert_eq!(done.replaced_state, Some(CheckpointName::new("before_rollback_1")?));
    /// assert!(bridge.backfill_historical_data(BackfillOptions::default()).await.is_err());
    ///
    /// // Everything is read and stored again.
    /// bridge.checkpoints().resume().await?;
    /// let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// assert_eq!((result.total_tokens_stored, result.new_responses), (42, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StorageKind::Checkpoint`](bridge_core::StorageKind::Checkpoint) if there is none of this name;
    /// [`StorageKind::RolledBack`](bridge_core::StorageKind::RolledBack) if another rollback was faster; any error of the
    /// store.
    pub async fn rollback_bridge_integration(
        &self,
        checkpoint: &CheckpointName,
        mode: RollbackMode,
    ) -> Result<RollbackResult, BridgeError> {
        let work = checkpoints::roll_back(self.ingest(), checkpoint, mode);
        self.runner.run(Operation::RollbackBridgeIntegration, None, work).await
    }

    /// Exports the whole store as of one moment: every response with its version, and how far every
    /// transcript was read. Writers are not blocked.
    ///
    /// Memory does not grow with the store. The folder appears only when it is complete: an export that is killed leaves
    /// one named `….partial`, which the next export to the same place, or to one next to it, removes.
    ///
    /// ```no_run
    /// # use bridge::{EnhancedTokenDatabaseBridge, backup::{BackupPlace, ExportOptions}};
    /// # async fn example(
    /// #     bridge: EnhancedTokenDatabaseBridge,
    /// #     other: EnhancedTokenDatabaseBridge,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let export = bridge.export_store(ExportOptions::to_folder("backup")).await?;
    ///
    /// // Into another store. A second time changes nothing.
    /// let import = other.import_store(BackupPlace::Folder("backup".into())).await?;
    /// assert_eq!(import.summary, export.summary);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backup`] if something exists at the place already, or it cannot be written, for example because the
    /// disk is full; [`BridgeError::Connection`] or [`BridgeError::Storage`] if the store fails, or the server may not
    /// write to the place: then the message names the setting. What was written so far is removed.
    pub async fn export_store(&self, options: ExportOptions) -> Result<ExportResult, BridgeError> {
        self.runner.run(Operation::ExportStore, None, backup::export(self.ingest(), options)).await
    }

    /// Merges a backup into the store. Of two versions of a response the greater stays, as with every write: an empty
    /// store becomes the same as the exported one, a filled one gets what it lacks, and an import may be killed and
    /// repeated. What was forced stays forced.
    ///
    /// A folder is checked as a whole before anything is stored. See [`export_store`](Self::export_store) for an example.
    ///
    /// # Errors
    ///
    /// [`BridgeError::Backup`] if the folder holds no backup, one that is damaged or incomplete, or one of a newer
    /// version of the bridge: then nothing of it was stored. [`BridgeError::Connection`] or [`BridgeError::Storage`]
    /// if the store fails: then it can be repeated.
    pub async fn import_store(&self, place: BackupPlace) -> Result<ImportResult, BridgeError> {
        self.runner.run(Operation::ImportStore, None, backup::import(self.ingest(), place)).await
    }

    /// Records an operation of the embedder in the audit; the bridge records its own operations itself. Never waits and
    /// never fails: the record is kept in the audit's spool or in memory until the store has it, or dropped and counted if
    /// there is no room.
    ///
    /// Of the result's errors only the number is recorded, because the bridge cannot know what their texts contain.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, StoreOptions, storage::InMemoryStore};
    /// # use bridge::{AnalysisId, EnhancedTokenAnalysis, ResponseKey, ResponseUsage, SessionId, Timestamp};
    /// use bridge::{AuditFilter, OperationName};
    ///
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// # let (session, time) = (SessionId::new("s")?, "2026-01-31T12:00:00Z".parse::<Timestamp>()?);
    /// # let mut response = ResponseUsage::new(ResponseKey(1), session.clone(), time);
    /// # response.counts.output = 900;
    /// # let analysis = EnhancedTokenAnalysis::from_responses(AnalysisId::new("a")?, session.clone(), time, vec![response])?;
    /// let result = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await?;
    /// bridge.log_bridge_operation(&OperationName::new("import_invoice")?, Some(&session), &result);
    ///
    /// let audit = bridge.audit_log(&AuditFilter::default().with_session(session)).await?;
    /// let names: Vec<_> = audit.iter().map(|record| (record.operation.as_str(), record.tokens)).collect();
    /// assert_eq!(names, [("import_invoice", 900), ("store_enhanced_analysis", 900)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn log_bridge_operation(
        &self,
        operation: &OperationName,
        session: Option<&SessionId>,
        result: &BridgeResult,
    ) {
        self.runner.record_own(operation, session, result);
    }

    /// Returns the records of the audit that the filter admits, newest first. Records that are still waiting are written
    /// first, if the store accepts them.
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer; [`BridgeError::InvertedRange`] if the filter's time ends
    /// before it starts.
    pub async fn audit_log(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError> {
        self.runner.run(Operation::AuditLog, None, audit::records(self.ingest(), filter)).await
    }

    /// Shuts the bridge down, within 30 seconds or the deadline that is [given](ShutdownRequest::within): ends
    /// [`keep_in_sync`](Self::keep_in_sync), each [`monitor`](Self::monitor) and the bridge's own health checks after what
    /// they are doing, writes all waiting audit records, exports the metrics, and closes the embedded engine if a
    /// configuration started it. Await it before the program ends.
    ///
    /// Operations can be called afterwards, and start the engine again; tasks that have ended do not come back.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{sync::Arc, time::Duration};
    /// # use bridge::{SummaryQuery, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
    /// bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await?;
    /// if let Err(incomplete) = bridge.shutdown().within(Duration::from_secs(10)).await {
    ///     eprintln!("warning: {incomplete}");
    /// }
    /// assert_eq!((bridge.stats().audit.written, bridge.stats().audit.buffered), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`IncompleteShutdown`](crate::IncompleteShutdown) states what could not be done, for example because the store
    /// cannot be reached. Everything else was done.
    pub fn shutdown(&self) -> ShutdownRequest<'_> {
        ShutdownRequest::new(self)
    }

    /// Returns the statistics of the bridge since it was built.
    #[must_use]
    pub fn stats(&self) -> BridgeStats {
        self.parts.monitoring.stats()
    }

    /// Updates the metrics that are counted elsewhere: of caches, pool and audit, and the data's freshness.
    /// [`monitor`](Self::monitor) and a bridge that [watches itself](crate::BridgeBuilder::watch_itself) do this
    /// periodically; without them, call it when the metrics are collected.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bridge::EnhancedTokenDatabaseBridge;
    /// use bridge::storage::InMemoryStore;
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    ///
    /// let recorder = PrometheusBuilder::new().build_recorder();
    /// let store = Arc::new(InMemoryStore::default());
    /// let bridge =
    ///     metrics::with_local_recorder(&recorder, || EnhancedTokenDatabaseBridge::builder(store).build());
    /// bridge.export_metrics();
    /// assert!(recorder.handle().render().contains("bridge_cache_requests_total"));
    /// ```
    pub fn export_metrics(&self) {
        self.parts.monitoring.export_metrics();
    }

    /// Checks whether the bridge can do its work: whether the database answers and accepts writes, the transcripts can be
    /// read and are stored, operations succeed, connections are free, the circuit is closed and the disks have room.
    ///
    /// It never fails and is never late: a probe that does not answer within
    /// [`HealthLimits::probe_timeout`](crate::HealthLimits::probe_timeout) is reported as such, and does not delay the
    /// others. Nothing is written.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::{HealthState, Probe};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path(), "/nonexistent".as_ref()])
    ///     .build();
    /// let health = bridge.health_check().await;
    /// assert_eq!(health.overall, HealthState::Degraded);
    /// assert_eq!(health.probe(Probe::Connectivity).map(|probe| probe.state), Some(HealthState::Healthy));
    /// assert!(health.reasons()[0].starts_with("sources degraded: /nonexistent"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn health_check(&self) -> HealthStatus {
        self.parts.monitoring.health.run().await
    }

    /// Calls the observer with the bridge's health and with its statistics: once at the start, then as often as the
    /// bridge's [`MonitoringOptions`](crate::MonitoringOptions) say, until the returned value is dropped. An observer that
    /// panics is called again the next time; the metrics and the health check show it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::Observation;
    /// use bridge::{HealthState, Probe};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    /// let monitor = bridge.monitor(move |observation| drop(sender.send(observation)));
    /// let health = loop {
    ///     if let Some(Observation::Health(health)) = received.recv().await {
    ///         break health;
    ///     }
    /// };
    /// let connectivity = health.probe(Probe::Connectivity).map(|probe| probe.state);
    /// assert_eq!(connectivity, Some(HealthState::Healthy));
    /// drop(monitor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn monitor(&self, observer: impl Fn(Observation) + Send + Sync + 'static) -> Monitor {
        self.parts.monitoring.spawn(&self.parts.lifetime, observer)
    }

    /// Returns an adapter that reads the bridge's own store and uses its clock; its answers are operations of the bridge,
    /// with log, metrics and audit. A program that only shows statistics can do with a read-only database user, which cannot
    /// write an audit; it uses [`DashboardBridgeAdapter::new`].
    #[must_use]
    pub fn dashboard(&self) -> DashboardBridgeAdapter {
        self.parts.dashboard.clone().recorded_by(self.runner.clone())
    }

    pub(crate) fn ingest(&self) -> &Arc<Ingest> {
        &self.parts.ingest
    }

    pub(crate) fn runner(&self) -> &OperationRunner {
        &self.runner
    }
}
