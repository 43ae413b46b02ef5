//! Keeps the store equal to the transcripts: reads only new content.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bridge_core::{
    BridgeError, Origin, RuleRevision, SessionId, Stopwatch, SyncResult, SyncStatus, Timestamp, TokenChanges,
};
use bridge_storage::{Dimension, ResponseFilter};
use tokio::sync::MutexGuard;

use crate::ingest::Ingest;
use crate::ingest::cursors::known_files;
use crate::ingest::pipeline;
use crate::ingest::plan::{ReadPlan, SourceLeft, SyncMode};
use crate::ingest::progress::ProgressReporter;
use crate::ingest::read::ReadResult;
use crate::ingest::write::Writer;
use crate::telemetry::current::announce_written;

/// Options of a synchronization.
///
/// ```
/// use bridge::SyncOptions;
///
/// let options = SyncOptions::default().with_since("2026-01-01T00:00:00Z".parse()?).with_parallel_limit(2);
/// assert_eq!(options.parallel_limit, Some(2));
/// # Ok::<(), bridge::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Only transcripts that were modified at this time or later; all if it is `None`.
    pub since: Option<Timestamp>,
    /// Maximum number of files that are read at once; the bridge's
    /// [`parallel_limit`](crate::BridgeBuilder::parallel_limit) if it is `None`.
    pub parallel_limit: Option<usize>,
}

impl SyncOptions {
    /// Returns the options with only transcripts that were modified at this time or later.
    #[must_use]
    pub fn with_since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    /// Returns the options with this maximum number of files that are read at once.
    #[must_use]
    pub fn with_parallel_limit(mut self, files: usize) -> Self {
        self.parallel_limit = Some(files);
        self
    }
}

/// Brings the store up to date with the transcripts of one session.
pub(crate) async fn sync_session(
    ingest: &Ingest,
    session: &SessionId,
    mode: SyncMode,
) -> Result<SyncResult, BridgeError> {
    let (mut synchronized, cursors) = synchronize(ingest, mode, None, None).await?;
    synchronized.attach_unattributed(session);
    let totals = finish(ingest, cursors, Some(vec![session.clone()])).await?;
    if !synchronized.knows(session) && !totals.contains_key(session.as_str()) {
        return Err(BridgeError::unknown_session(session.clone()));
    }
    Ok(recorded(ingest, synchronized.take_result(session.clone(), &totals)))
}

/// Brings the store up to date with all transcripts, or with those that were modified at `since` or later.
pub(crate) async fn sync_all(
    ingest: &Ingest,
    since: Option<Timestamp>,
    parallel: usize,
) -> Result<Vec<SyncResult>, BridgeError> {
    let (mut synchronized, cursors) =
        synchronize(ingest, SyncMode::Incremental, since, Some(parallel)).await?;
    let totals = finish(ingest, cursors, None).await?;
    let sessions = synchronized.sessions(&totals);
    Ok(sessions
        .into_iter()
        .map(|session| recorded(ingest, synchronized.take_result(session, &totals)))
        .collect())
}

/// Brings the store up to date with all transcripts, and returns only the sessions that changed, or failed differently
/// than before. The stored tokens of the others are not even read. `reported` are the failures of the last time.
pub(crate) async fn sync_changed(
    ingest: &Ingest,
    reported: &mut Failures,
    parallel: usize,
) -> Result<Vec<SyncResult>, BridgeError> {
    let (mut synchronized, cursors) =
        synchronize(ingest, SyncMode::Incremental, None, Some(parallel)).await?;
    let sessions = synchronized.sessions_to_report(reported);
    if sessions.is_empty() {
        cursors.written().await?;
        reported.clone_from(&synchronized.errors);
        return Ok(Vec::new());
    }
    let totals = finish(ingest, cursors, Some(sessions.clone())).await?;
    // Only now: what an error above keeps from being returned is reported the next time.
    reported.clone_from(&synchronized.errors);
    Ok(sessions
        .into_iter()
        .map(|session| recorded(ingest, synchronized.take_result(session, &totals)))
        .collect())
}

async fn synchronize(
    ingest: &Ingest,
    mode: SyncMode,
    since: Option<Timestamp>,
    parallel: Option<usize>,
) -> Result<(Synchronized, PendingCursors<'_>), BridgeError> {
    let watch = Stopwatch::start();
    // One at a time: the next sees the cursors of this one and reads nothing twice.
    let turn = ingest.sync_turn.lock().await;
    let (found, known) = tokio::try_join!(ingest.discover(), known_files(ingest, "synchronize"))?;
    let (epoch, threads) = (known.epoch(), ingest.reading_threads(parallel));
    let plan = move || ReadPlan::recorded(found, known, mode, since, threads);
    let mut reader = pipeline::reader(ingest, plan).await?;
    reader.analyzer.threads = threads;
    let mut progress = ProgressReporter::new(&ingest.telemetry, &reader.plan, watch);
    let mut writer = Writer::new(ingest, epoch);
    let read = pipeline::run(ingest, reader, Some(&mut writer), &mut progress).await?;
    let synchronized = Synchronized::new(read, &mut writer, watch);
    Ok((synchronized, PendingCursors { writer, _turn: turn }))
}

/// The stored totals of a session.
#[derive(Debug, Clone, Copy, Default)]
struct StoredSession {
    tokens: u64,
    /// Responses by an older revision of the counting rule.
    outdated: u64,
}

type StoredSessions = BTreeMap<String, StoredSession>;

/// Waits until the cursors are written and the operation is announced in the audit, while it reads what is stored of each
/// session.
async fn finish(
    ingest: &Ingest,
    cursors: PendingCursors<'_>,
    sessions: Option<Vec<SessionId>>,
) -> Result<StoredSessions, BridgeError> {
    let filter = sessions.map_or_else(ResponseFilter::default, ResponseFilter::of_sessions);
    let announced = async {
        announce_written().await;
        Ok(())
    };
    let older = (RuleRevision::FIRST.0..RuleRevision::CURRENT.0).map(|revision| revision.to_string());
    let outdated = filter.clone().with_values(Dimension::RuleRevision, older);
    // The sums of an analysis have no source to begin with.
    let outdated = outdated.without_values(Dimension::Origin, [Origin::Summed.name()]);
    let totals = ingest.store.breakdown(Dimension::Session, &filter, None);
    let outdated = ingest.store.breakdown(Dimension::Session, &outdated, None);
    let ((), totals, outdated, ()) = tokio::try_join!(cursors.written(), totals, outdated, announced)?;
    let mut stored = StoredSessions::new();
    for row in totals {
        stored.entry(row.name).or_default().tokens = row.totals.counts.total();
    }
    for row in outdated {
        stored.entry(row.name).or_default().outdated = row.totals.responses;
    }
    Ok(stored)
}

fn recorded(ingest: &Ingest, result: SyncResult) -> SyncResult {
    ingest.telemetry.metrics.synchronized(result.status);
    result
}

/// The cursors of a synchronization, which are written while its totals are read.
struct PendingCursors<'a> {
    writer: Writer<'a>,
    _turn: MutexGuard<'a, ()>,
}

impl PendingCursors<'_> {
    async fn written(mut self) -> Result<(), BridgeError> {
        self.writer.finish_cursors().await
    }
}

/// Errors by session.
pub(crate) type Failures = BTreeMap<SessionId, Vec<String>>;

/// Returns a name for an unreadable source whose session is unknown: for a transcript its file name, which usually is the
/// session id; otherwise its path.
fn placeholder_session(path: &Path) -> Option<SessionId> {
    let is_transcript = path.extension().is_some_and(|extension| extension == "jsonl");
    let stem = path.file_stem().filter(|_| is_transcript);
    let names = [stem.unwrap_or(path.as_os_str()), path.file_name()?];
    names.into_iter().find_map(|name| SessionId::new(name.to_string_lossy()).ok())
}

/// Outcome of a synchronization, before it is divided into results by session.
struct Synchronized {
    read: ReadResult,
    /// The recorded sessions, and what is left of their sources.
    known: BTreeMap<SessionId, SourceLeft>,
    changes: BTreeMap<SessionId, TokenChanges>,
    errors: Failures,
    /// Errors of sources whose session is unknown.
    unattributed: Vec<String>,
    watch: Stopwatch,
}

impl Synchronized {
    fn new(read: ReadResult, writer: &mut Writer<'_>, watch: Stopwatch) -> Self {
        let known = read.plan.known_sessions();
        let (mut errors, mut unattributed) = (Failures::new(), Vec::new());
        for error in read.history.errors() {
            let path = error.path();
            let mut sessions: Vec<SessionId> = read.plan.sessions_in(path).cloned().collect();
            if sessions.is_empty() {
                sessions.extend(placeholder_session(path));
                unattributed.push(error.to_string());
            }
            for session in sessions {
                errors.entry(session).or_default().push(error.to_string());
            }
        }
        for (session, reason) in std::mem::take(&mut writer.rejected) {
            errors.entry(session).or_default().push(format!("not valid: {reason}"));
        }
        let changes = std::mem::take(&mut writer.changes);
        Self { read, known, changes, errors, unattributed, watch }
    }

    /// Attaches the errors without a session to this one, which may be in the unreadable sources.
    fn attach_unattributed(&mut self, session: &SessionId) {
        if !self.unattributed.is_empty() {
            let errors = self.errors.entry(session.clone()).or_default();
            errors.append(&mut self.unattributed);
            errors.sort_unstable();
            errors.dedup();
        }
    }

    /// Returns whether a source knows, or may know, the session.
    fn knows(&self, session: &SessionId) -> bool {
        self.read.sessions.contains_key(session)
            || self.read.without_responses.contains(session)
            || self.changes.contains_key(session)
            || self.errors.contains_key(session)
            || self.read.plan.has_record_of(session)
    }

    /// The sessions that were processed; of a synchronization of all files, all sessions with stored totals as well.
    fn sessions(&self, totals: &StoredSessions) -> Vec<SessionId> {
        let read = self.read.sessions.keys();
        let mut sessions: Vec<SessionId> = read
            .chain(self.known.keys())
            .chain(self.changes.keys())
            .chain(self.errors.keys())
            .cloned()
            .collect();
        if self.read.plan.is_about_all() {
            // A name that is not a session id is not the bridge's. The integrity check reports it.
            sessions.extend(totals.keys().filter_map(|name| SessionId::new(name).ok()));
        }
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }

    /// Returns the sessions with a change, or with an error that is not reported yet.
    fn sessions_to_report(&self, reported: &Failures) -> Vec<SessionId> {
        let changed =
            self.changes.iter().filter(|(_, changes)| !changes.is_empty()).map(|(session, _)| session);
        let failed = self.errors.iter().filter(|(session, errors)| reported.get(*session) != Some(*errors));
        changed
            .chain(failed.map(|(session, _)| session))
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    fn take_result(&mut self, session: SessionId, totals: &StoredSessions) -> SyncResult {
        let changes = self.changes.get(&session).copied().unwrap_or_default();
        let errors = self.errors.remove(&session).unwrap_or_default();
        let read = self.read.sessions.get(&session).copied().unwrap_or_default();
        let stored = totals.get(session.as_str()).copied().unwrap_or_default();
        let tokens_after = stored.tokens;
        let left = self.known.get(&session).filter(|_| read.files == 0);
        let status = match (errors.is_empty(), changes.is_empty(), left) {
            (false, _, _) => SyncStatus::Failed,
            (true, false, _) => SyncStatus::Changed,
            (true, true, Some(SourceLeft::Nothing)) => SyncStatus::SourceGone,
            (true, true, Some(SourceLeft::Stream)) => SyncStatus::Streamed,
            (true, true, _) => SyncStatus::Unchanged,
        };
        let mut result = SyncResult::unchanged(session);
        result.status = status;
        result.tokens_before = tokens_after.saturating_add_signed(changes.tokens().saturating_neg());
        result.tokens_after = tokens_after;
        result.changes = changes;
        (result.files_read, result.bytes_read) = (read.files, read.bytes);
        result.outdated_responses = stored.outdated;
        result.duration = self.watch.elapsed();
        result.errors = errors;
        result
    }
}
