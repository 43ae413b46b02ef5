//! Keeping the store equal to the transcripts: only what is new is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bridge_core::{
    BridgeError, SessionId, Stopwatch, SyncResult, SyncStatus, TimeRange, Timestamp, TokenChanges,
};
use bridge_storage::{Dimension, ResponseFilter};
use tokio::sync::MutexGuard;

use crate::EnhancedTokenDatabaseBridge;
use crate::ingest::read::{ReadMode, ReadPlan, ReadResult};
use crate::ingest::write::Writer;
use crate::operations::backfill::Run;
use crate::telemetry::operation::Operation;

impl EnhancedTokenDatabaseBridge {
    /// Brings the store up to date with the transcripts of one session.
    ///
    /// A session's lines may stand in any file, so every file that changed since it was read last is read on,
    /// and what is found of other sessions is stored too; the result is about the one asked for. With
    /// `incremental` off everything is read from its beginning. What the client deleted or rewrote stays stored.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, io::Write, sync::Arc};
    /// # use bridge::{EnhancedTokenDatabaseBridge, core::{SessionId, SyncStatus}, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("s.jsonl");
    /// # let line = |id, output| format!(r#"{{"type":"assistant","sessionId":"s","message":{{"id":"msg_0{id}ABCDEFGHIJKLMNOPQRST","usage":{{"output_tokens":{output}}}}}}}"#) + "\n";
    /// # fs::write(&path, line(1, 40))?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// let session = SessionId::new("s")?;
    /// let result = bridge.sync_session_tokens(&session, true).await?;
    /// assert_eq!((result.status, result.tokens_after), (SyncStatus::Changed, 40));
    ///
    /// // The session goes on: a longer snapshot of the first response, and another response.
    /// fs::File::options().append(true).open(&path)?.write_all((line(1, 42) + &line(2, 100)).as_bytes())?;
    /// let result = bridge.sync_session_tokens(&session, true).await?;
    /// assert_eq!((result.tokens_before, result.tokens_after), (40, 142));
    /// assert_eq!((result.changes.later_snapshots.tokens, result.changes.new_responses.tokens), (2, 100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer; [`BridgeError::UnknownSession`] where neither the store nor any
    /// source knows the session. What cannot be read stands in the result, where it is of the session or nobody knows
    /// of which one it is.
    pub async fn sync_session_tokens(
        &self,
        session: &SessionId,
        incremental: bool,
    ) -> Result<SyncResult, BridgeError> {
        let mode = if incremental { ReadMode::Incremental } else { ReadMode::Whole };
        self.run(Operation::SyncSessionTokens, Some(session), async {
            let (mut synchronized, cursors) = self.synchronize(mode, None, None).await?;
            synchronized.blame_for_unknown(session);
            let sessions = Some(vec![session.clone()]);
            let ((), totals, ()) =
                tokio::try_join!(cursors.written(), self.session_totals(sessions), self.on_record())?;
            if !synchronized.knows(session) && !totals.contains_key(session.as_str()) {
                return Err(BridgeError::UnknownSession {
                    session: session.clone(),
                    context: Box::default(),
                });
            }
            Ok(synchronized.result(session.clone(), &totals))
        })
        .await
        .inspect(|result| self.inner.metrics.synchronized(result.status))
    }

    /// Brings the store up to date with all transcripts, with at most `parallel_limit` files read at once. Returns a
    /// result for each session that the store or a transcript knows, by session id, whoever stored it: a session that
    /// no file of this machine is recorded for, because another machine or an embedder stored it, is unchanged.
    ///
    /// With `since` only the transcripts that were modified at that time or later are read, and only their sessions
    /// have results. What could not be read and the store does not know has a failed result of its own, under its path.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{EnhancedTokenDatabaseBridge, core::SyncStatus, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("s.jsonl");
    /// # fs::write(&path, r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// let results = bridge.sync_all_sessions(None, 5).await?;
    /// assert_eq!((results[0].status, results[0].tokens_after), (SyncStatus::Changed, 42));
    ///
    /// // The client deletes what is 30 days old. The store keeps it.
    /// fs::remove_file(&path)?;
    /// let results = bridge.sync_all_sessions(None, 5).await?;
    /// assert_eq!((results[0].status, results[0].tokens_after), (SyncStatus::SourceGone, 42));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer. Files that cannot be read stand in the results.
    pub async fn sync_all_sessions(
        &self,
        since: Option<Timestamp>,
        parallel_limit: usize,
    ) -> Result<Vec<SyncResult>, BridgeError> {
        let limit = Some(parallel_limit.max(1));
        self.run_sync(async {
            let (mut synchronized, cursors) = self.synchronize(ReadMode::Incremental, since, limit).await?;
            let ((), totals, ()) =
                tokio::try_join!(cursors.written(), self.session_totals(None), self.on_record())?;
            let sessions = synchronized.sessions(&totals);
            Ok(sessions.into_iter().map(|session| synchronized.result(session, &totals)).collect())
        })
        .await
    }

    /// The same, telling only of the sessions that changed or failed: the stored tokens of the others are not
    /// even asked for. `told` is what was said of failures the last time, which is not said again.
    pub(crate) async fn sync_changed_sessions(
        &self,
        told: &mut Failures,
    ) -> Result<Vec<SyncResult>, BridgeError> {
        let limit = self.inner.limits.parallel;
        self.run_sync(async {
            let (mut synchronized, cursors) =
                self.synchronize(ReadMode::Incremental, None, Some(limit)).await?;
            let sessions = synchronized.noteworthy_sessions(told);
            if sessions.is_empty() {
                cursors.written().await?;
                return Ok(Vec::new());
            }
            let totals = self.session_totals(Some(sessions.clone()));
            let ((), totals, ()) = tokio::try_join!(cursors.written(), totals, self.on_record())?;
            Ok(sessions.into_iter().map(|session| synchronized.result(session, &totals)).collect())
        })
        .await
    }

    async fn run_sync(
        &self,
        work: impl Future<Output = Result<Vec<SyncResult>, BridgeError>>,
    ) -> Result<Vec<SyncResult>, BridgeError> {
        let results = self.run(Operation::SyncAllSessions, None, work).await?;
        results.iter().for_each(|result| self.inner.metrics.synchronized(result.status));
        Ok(results)
    }

    async fn synchronize(
        &self,
        mode: ReadMode,
        since: Option<Timestamp>,
        parallel_limit: Option<usize>,
    ) -> Result<(Synchronized, CursorsUnderWay<'_>), BridgeError> {
        let watch = Stopwatch::start();
        // One at a time: the next sees the cursors of this one and reads nothing twice.
        let turn = self.inner.sync_turn.lock().await;
        let (found, (epoch, known)) = tokio::try_join!(self.discovery(), self.known_files("synchronize"))?;
        let threads = self.reading_threads(parallel_limit);
        let plan = move || ReadPlan::recorded(found, known, mode, since, threads);
        let mut reading = self.reading(plan).await?;
        reading.analyzer.threads = threads;
        let mut run = Run::new(Writer::new(self, epoch), None, &reading.plan, watch);
        let read = run.read_and_store(reading).await?;
        let mut storing = run.storing;
        let mut synchronized = Synchronized::new(read, std::mem::take(&mut storing.changes));
        for (session, why) in std::mem::take(&mut storing.rejected) {
            synchronized.errors.entry(session).or_default().push(format!("not valid: {why}"));
        }
        synchronized.watch = watch;
        Ok((synchronized, CursorsUnderWay { storing, _turn: turn }))
    }

    /// Puts what was stored on record, beside what else is to be done.
    async fn on_record(&self) -> Result<(), BridgeError> {
        self.announce_written().await;
        Ok(())
    }

    /// The stored tokens by session.
    async fn session_totals(
        &self,
        sessions: Option<Vec<SessionId>>,
    ) -> Result<BTreeMap<String, u64>, BridgeError> {
        let mut filter = ResponseFilter::in_time(TimeRange::ALL);
        filter.sessions = sessions;
        let rows = self.counted(self.inner.store.breakdown(Dimension::Session, &filter, None).await)?;
        Ok(rows.into_iter().map(|row| (row.name, row.totals.counts.total())).collect())
    }
}

/// The cursors of a synchronization, which are written while its totals are read.
struct CursorsUnderWay<'a> {
    storing: Writer<'a>,
    _turn: MutexGuard<'a, ()>,
}

impl CursorsUnderWay<'_> {
    async fn written(mut self) -> Result<(), BridgeError> {
        self.storing.cursors_written().await
    }
}

/// What went wrong, by session.
pub(crate) type Failures = BTreeMap<SessionId, Vec<String>>;

/// What stands for the session of a transcript that the store does not know: its name, which is most often the
/// session's. Of all else that cannot be read, the path.
fn in_place_of_session(path: &Path) -> Option<SessionId> {
    let is_transcript = path.extension().is_some_and(|extension| extension == "jsonl");
    let stem = path.file_stem().filter(|_| is_transcript);
    let names = [stem.unwrap_or(path.as_os_str()), path.file_name()?];
    names.into_iter().find_map(|name| SessionId::new(name.to_string_lossy()).ok())
}

/// Outcome of a synchronization, before it is divided into results by session.
struct Synchronized {
    read: ReadResult,
    /// Whether a file of the session is still there.
    known: BTreeMap<SessionId, bool>,
    changes: BTreeMap<SessionId, TokenChanges>,
    errors: Failures,
    /// What could not be read and is of nobody knows which session.
    of_unknown: Vec<String>,
    watch: Stopwatch,
}

impl Synchronized {
    fn new(read: ReadResult, changes: BTreeMap<SessionId, TokenChanges>) -> Self {
        let known = read.plan.known_sessions();
        let (mut errors, mut of_unknown) = (Failures::new(), Vec::new());
        for error in read.history.errors() {
            let path = error.path();
            let mut sessions: Vec<SessionId> = read.plan.sessions_in(path).cloned().collect();
            if sessions.is_empty() {
                sessions.extend(in_place_of_session(path));
                of_unknown.push(error.to_string());
            }
            for session in sessions {
                errors.entry(session).or_default().push(error.to_string());
            }
        }
        Self { read, known, changes, errors, of_unknown, watch: Stopwatch::start() }
    }

    /// The session may stand in what could not be read.
    fn blame_for_unknown(&mut self, session: &SessionId) {
        if !self.of_unknown.is_empty() {
            let errors = self.errors.entry(session.clone()).or_default();
            errors.append(&mut self.of_unknown);
            errors.sort_unstable();
            errors.dedup();
        }
    }

    /// Whether a source knows the session, or may.
    fn knows(&self, session: &SessionId) -> bool {
        self.read.sessions.contains_key(session)
            || self.read.without_responses.contains(session)
            || self.changes.contains_key(session)
            || self.errors.contains_key(session)
            || self.read.plan.has_record_of(session)
    }

    /// The sessions that were processed; of a synchronization of all files, all sessions with stored totals as well.
    fn sessions(&self, totals: &BTreeMap<String, u64>) -> Vec<SessionId> {
        let read = self.read.sessions.keys();
        let mut sessions: Vec<SessionId> = read
            .chain(self.known.keys())
            .chain(self.changes.keys())
            .chain(self.errors.keys())
            .cloned()
            .collect();
        if self.read.plan.is_about_all() {
            // A name that is no session id is not the bridge's: the proof of integrity reports it.
            sessions.extend(totals.keys().filter_map(|name| SessionId::new(name).ok()));
        }
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }

    /// Those with a change or an error that was not told.
    fn noteworthy_sessions(&self, told: &mut Failures) -> Vec<SessionId> {
        let changed =
            self.changes.iter().filter(|(_, changes)| !changes.is_empty()).map(|(session, _)| session);
        let told = std::mem::replace(told, self.errors.clone());
        let failed = self.errors.iter().filter(|(session, errors)| told.get(*session) != Some(*errors));
        changed
            .chain(failed.map(|(session, _)| session))
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    fn result(&mut self, session: SessionId, totals: &BTreeMap<String, u64>) -> SyncResult {
        let changes = self.changes.get(&session).copied().unwrap_or_default();
        let errors = self.errors.remove(&session).unwrap_or_default();
        let read = self.read.sessions.get(&session).copied().unwrap_or_default();
        let tokens_after = totals.get(session.as_str()).copied().unwrap_or_default();
        let is_gone = read.files == 0 && self.known.get(&session) == Some(&false);
        let status = match (errors.is_empty(), changes.is_empty()) {
            (false, _) => SyncStatus::Failed,
            (true, false) => SyncStatus::Changed,
            (true, true) if is_gone => SyncStatus::SourceGone,
            (true, true) => SyncStatus::Unchanged,
        };
        let mut result = SyncResult::unchanged(session);
        result.status = status;
        result.tokens_before = tokens_after.saturating_add_signed(changes.tokens().saturating_neg());
        result.tokens_after = tokens_after;
        result.changes = changes;
        (result.files_read, result.bytes_read) = (read.files, read.bytes);
        result.duration = self.watch.elapsed();
        result.errors = errors;
        result
    }
}
