//! Keeps the store equal to the transcripts: reads only new content.

mod outcome;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bridge_core::{BridgeError, Origin, RuleRevision, SessionId, Stopwatch, SyncResult, Timestamp};
use bridge_storage::{BreakdownRow, Dimension, ResponseFilter};
use tokio::sync::MutexGuard;

use crate::ingest::Ingest;
use crate::ingest::cursors::KnownFiles;
use crate::ingest::kept::kept_files;
use crate::ingest::pipeline;
use crate::ingest::plan::{ReadPlan, SyncMode};
use crate::ingest::progress::ProgressReporter;
use crate::ingest::write::Writer;
use crate::live::RecentFiles;
use crate::telemetry::current::announce_written;
pub(crate) use outcome::Synchronization;
use outcome::{Failures, StoredSession, StoredSessions, Synchronized};

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

/// The operation, as errors of the store name it.
const SYNCHRONIZE: &str = "synchronize";

/// The request of a synchronization's callers.
#[derive(Debug, Clone, Default)]
pub(crate) struct SyncRequests {
    /// The results of these sessions.
    sessions: BTreeSet<SessionId>,
    /// The results of all sessions.
    all: bool,
}

/// Brings the store up to date with the transcripts of one session. Those of others are read with them, so callers that
/// ask at the same time share a synchronization.
pub(crate) async fn sync_session(
    ingest: &Ingest,
    session: &SessionId,
    mode: SyncMode,
) -> Result<SyncResult, BridgeError> {
    let watch = Stopwatch::start();
    let request = |requests: &mut SyncRequests| {
        requests.sessions.insert(session.clone());
    };
    let scope = SyncScope { mode, ..SyncScope::default() };
    let done = synchronize(ingest, scope, request).await?;
    if !done.knows(session) {
        return Err(BridgeError::unknown_session(session.clone()));
    }
    Ok(recorded(ingest, done.result_with_unattributed(session, &watch)))
}

/// Brings the store up to date with all transcripts, or with those that were modified at `since` or later.
pub(crate) async fn sync_all(
    ingest: &Ingest,
    since: Option<Timestamp>,
    parallel: usize,
) -> Result<Vec<SyncResult>, BridgeError> {
    let watch = Stopwatch::start();
    let scope = SyncScope { since, ..SyncScope::incremental(Some(parallel)) };
    let done = synchronize(ingest, scope, |requests| requests.all = true).await?;
    let results = done.sessions().into_iter().map(|session| recorded(ingest, done.result(session, &watch)));
    Ok(results.collect())
}

/// The state that `keep_in_sync` keeps from one synchronization to the next.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// The failures that were reported.
    reported: Failures,
    /// Nothing reports changes.
    pub(crate) is_polling: bool,
    /// The files that polling looks at until all are searched again; `None` if it searches all each time.
    pub(crate) recent: Option<RecentFiles>,
}

/// Brings the store up to date with all transcripts, or with these files and folders, and returns only the sessions that
/// changed, or failed differently than before. The stored tokens of the others are not even read.
pub(crate) async fn sync_changed(
    ingest: &Ingest,
    changed: Option<Arc<BTreeSet<PathBuf>>>,
    remembered: &mut Remembered,
    parallel: usize,
) -> Result<Vec<SyncResult>, BridgeError> {
    let watch = Stopwatch::start();
    let turn = ingest.syncs.turn().await;
    let is_search = changed.is_none();
    let with_recent = is_search && remembered.is_polling;
    let scope = SyncScope { changed, with_recent, ..SyncScope::incremental(Some(parallel)) };
    let known = kept_files(ingest, SYNCHRONIZE).await?;
    let (mut synchronized, cursors) =
        read_and_store(ingest, scope, known, &SyncRequests::default(), turn).await?;
    let Remembered { reported, recent, .. } = remembered;
    if is_search {
        *recent = synchronized.recent.take();
    }
    let sessions = synchronized.sessions_to_report(reported);
    if sessions.is_empty() {
        cursors.written(ingest).await?;
        synchronized.note_reported(reported);
        return Ok(Vec::new());
    }
    let totals = finish(ingest, cursors, Some(sessions.clone())).await?;
    // Only now: what an error above keeps from being returned is reported the next time.
    synchronized.note_reported(reported);
    let done = Synchronization { synchronized, totals };
    Ok(sessions.into_iter().map(|session| recorded(ingest, done.result(session, &watch))).collect())
}

/// The transcripts that are read, and how.
#[derive(Debug, Clone, Default)]
struct SyncScope {
    mode: SyncMode,
    since: Option<Timestamp>,
    /// Only these files, and those in these folders.
    changed: Option<Arc<BTreeSet<PathBuf>>>,
    parallel: Option<usize>,
    /// Returns what to look at until the next search.
    with_recent: bool,
}

impl SyncScope {
    fn incremental(parallel: Option<usize>) -> Self {
        Self { parallel, ..Self::default() }
    }
}

/// Synchronizes once for all callers that ask meanwhile, if the scope is that of all of them.
async fn synchronize(
    ingest: &Ingest,
    scope: SyncScope,
    request: impl FnOnce(&mut SyncRequests),
) -> Result<Arc<Synchronization>, BridgeError> {
    if scope.mode == SyncMode::Incremental && scope.since.is_none() {
        let known = kept_files(ingest, SYNCHRONIZE);
        let work = |known, requests, turn| complete(ingest, scope, known, requests, turn);
        return ingest.syncs.get(request, known, work).await;
    }
    let mut requests = SyncRequests::default();
    request(&mut requests);
    let turn = ingest.syncs.turn().await;
    let known = kept_files(ingest, SYNCHRONIZE).await?;
    complete(ingest, scope, known, requests, turn).await.map(Arc::new)
}

async fn complete(
    ingest: &Ingest,
    scope: SyncScope,
    known: KnownFiles,
    requests: SyncRequests,
    turn: MutexGuard<'_, ()>,
) -> Result<Synchronization, BridgeError> {
    let (synchronized, cursors) = read_and_store(ingest, scope, known, &requests, turn).await?;
    let sessions = (!requests.all).then(|| requests.sessions.into_iter().collect());
    let totals = finish(ingest, cursors, sessions).await?;
    Ok(Synchronization { synchronized, totals })
}

/// Reads what is new and stores it. One at a time, as the turn shows: the next sees the cursors of this one and reads
/// nothing twice.
async fn read_and_store<'a>(
    ingest: &'a Ingest,
    scope: SyncScope,
    known: KnownFiles,
    requests: &SyncRequests,
    turn: MutexGuard<'a, ()>,
) -> Result<(Synchronized, PendingCursors<'a>), BridgeError> {
    let watch = Stopwatch::start();
    let changed = match &scope.changed {
        Some(changed) => ingest.rediscover(Arc::clone(changed)).await?,
        None => None,
    };
    let is_of_changes = changed.is_some();
    let (found, recent) = match changed {
        Some(found) => (found, None),
        None if scope.with_recent => ingest.discover_with_recent().await?,
        None => (ingest.discover().await?, None),
    };
    let (epoch, threads) = (known.epoch(), ingest.reading_threads(scope.parallel));
    let plan = move || match is_of_changes {
        true => ReadPlan::of_changes(found, known, threads),
        false => ReadPlan::recorded(found, known, scope.mode, scope.since, threads),
    };
    let mut reader = pipeline::reader(ingest, plan).await?;
    reader.analyzer.threads = threads;
    let mut progress = ProgressReporter::new(&ingest.telemetry, &reader.plan, watch);
    let mut writer = Writer::new(ingest, epoch).with_costs();
    let mut read = pipeline::run(ingest, reader, Some(&mut writer), &mut progress).await?;
    let mut synchronized = Synchronized::new(&mut read, &mut writer);
    synchronized.recent = recent;
    synchronized.look_up(&read.plan, &requests.sessions, requests.all);
    let known = read.plan.into_known();
    Ok((synchronized, PendingCursors { writer, known, _turn: turn }))
}

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
    let ((), stored, ()) =
        tokio::try_join!(cursors.written(ingest), stored_sessions(ingest, &filter), announced)?;
    Ok(stored)
}

/// Reads the stored totals of the sessions that the filter admits.
async fn stored_sessions(ingest: &Ingest, filter: &ResponseFilter) -> Result<StoredSessions, BridgeError> {
    let only = filter.only(&Dimension::Session).filter(|sessions| sessions.len() == 1);
    if let Some(session) = only.and_then(BTreeSet::first) {
        return stored_session(ingest, session, filter).await;
    }
    let (totals, outdated) = tokio::try_join!(
        ingest.store.breakdown(Dimension::Session, filter, None),
        outdated_responses(ingest, filter)
    )?;
    let mut stored = StoredSessions::new();
    for row in totals {
        stored.entry(row.name).or_default().tokens = row.totals.counts.total();
    }
    for row in outdated {
        stored.entry(row.name).or_default().outdated = row.totals.responses;
    }
    Ok(stored)
}

/// Reads the stored totals of one session. Its sums by revision mostly show that nothing is outdated: then one query
/// answers both, and the database has more of its time for the cursors that are written meanwhile.
async fn stored_session(
    ingest: &Ingest,
    session: &str,
    filter: &ResponseFilter,
) -> Result<StoredSessions, BridgeError> {
    let by_revision = ingest.store.breakdown(Dimension::RuleRevision, filter, None).await?;
    if by_revision.is_empty() {
        return Ok(StoredSessions::new());
    }
    let tokens = by_revision.iter().map(|row| row.totals.counts.total()).fold(0, u64::saturating_add);
    let mut stored = StoredSession { tokens, outdated: 0 };
    let older: BTreeSet<String> = older_revisions().collect();
    if by_revision.iter().any(|row| older.contains(&row.name)) {
        let outdated = outdated_responses(ingest, filter).await?;
        stored.outdated = outdated.iter().map(|row| row.totals.responses).sum();
    }
    Ok(StoredSessions::from([(session.to_owned(), stored)]))
}

/// Reads the numbers of responses by an older revision of the counting rule, by session. The sums of an analysis have no
/// source to begin with.
async fn outdated_responses(
    ingest: &Ingest,
    filter: &ResponseFilter,
) -> Result<Vec<BreakdownRow>, BridgeError> {
    let outdated = filter.clone().with_values(Dimension::RuleRevision, older_revisions());
    let outdated = outdated.without_values(Dimension::Origin, [Origin::Summed.name()]);
    ingest.store.breakdown(Dimension::Session, &outdated, None).await
}

fn older_revisions() -> impl Iterator<Item = String> {
    (RuleRevision::FIRST.0..RuleRevision::CURRENT.0).map(|revision| revision.to_string())
}

fn recorded(ingest: &Ingest, result: SyncResult) -> SyncResult {
    ingest.telemetry.metrics.synchronized(result.status);
    result
}

/// The cursors of a synchronization, which are written while its totals are read.
struct PendingCursors<'a> {
    writer: Writer<'a>,
    known: KnownFiles,
    _turn: MutexGuard<'a, ()>,
}

impl PendingCursors<'_> {
    async fn written(mut self, ingest: &Ingest) -> Result<(), BridgeError> {
        self.writer.finish_cursors().await?;
        ingest.kept.give_back(self.known);
        Ok(())
    }
}
