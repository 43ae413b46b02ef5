//! Synchronization of the store with the transcripts.

use std::sync::Arc;

use bridge_core::{BridgeError, SessionId, SyncResult};

use crate::ingest::plan::SyncMode;
use crate::live::LiveOptions;
use crate::operations::sync;
use crate::operations::sync::SyncOptions;
use crate::operations::watch::{SyncTask, Synchronizer};
use crate::telemetry::operation::Operation;

use super::EnhancedTokenDatabaseBridge;

impl EnhancedTokenDatabaseBridge {
    /// Brings the store up to date with the transcripts of one session.
    ///
    /// A session's lines may be in any file, so in every file that changed since it was last read, what is new is read,
    /// and what is found of other sessions is stored too; the result is about the one asked for. Calls that wait for
    /// one another share a synchronization, and each of them returns its changes. With [`SyncMode::Full`] every file is
    /// read from its beginning. What the client deleted or rewrote stays stored.
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
    /// With [`since`](SyncOptions::since) only the transcripts that were modified at that time or later are read, and
    /// only their sessions have results. A file that could not be read, and that the store does not know, has a failed
    /// result of its own, under its path.
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
    /// [options](LiveOptions) say how that is noticed; a [`Duration`](std::time::Duration) is the interval of searches
    /// of all transcripts. Calls the observer each time with the sessions that changed or that failed differently than
    /// the time before, or with the error of the whole synchronization; the next one tries again.
    ///
    /// A panic does not end the task: one of the observer shows in the metrics and the health check, one of the
    /// synchronization itself is reported to the observer as an error.
    ///
    /// If nothing changed, a search of all transcripts inspects each file and reads none. While the store cannot be
    /// reached, what changed is remembered by its path, and in limited memory: too many paths become a search. For a
    /// stream of the changes in place of a callback see [`observer_stream`](crate::observer_stream()).
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
}
