//! Keeps the store equal to the transcripts: reads only new content.

mod outcome;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bridge_core::{BridgeError, Origin, RuleRevision, SessionId, Stopwatch, SyncResult, Timestamp};
use bridge_storage::{Dimension, ResponseFilter};
use tokio::sync::MutexGuard;

use crate::ingest::Ingest;
use crate::ingest::cursors::KnownFiles;
use crate::ingest::kept::kept_files;
use crate::ingest::pipeline;
use crate::ingest::plan::{ReadPlan, SyncMode};
use crate::ingest::progress::ProgressReporter;
use crate::ingest::write::Writer;
use crate::telemetry::current::announce_written;
pub(crate) use outcome::{Failures, Synchronization};
use outcome::{StoredSessions, Synchronized};

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

/// Brings the store up to date with all transcripts, or with these files and folders, and returns only the sessions that
/// changed, or failed differently than before. The stored tokens of the others are not even read. `reported` are the
/// failures of the last time.
pub(crate) async fn sync_changed(
    ingest: &Ingest,
    changed: Option<Arc<BTreeSet<PathBuf>>>,
    reported: &mut Failures,
    parallel: usize,
) -> Result<Vec<SyncResult>, BridgeError> {
    let watch = Stopwatch::start();
    let turn = ingest.syncs.turn().await;
    let scope = SyncScope { changed, ..SyncScope::incremental(Some(parallel)) };
    let known = kept_files(ingest, SYNCHRONIZE).await?;
    let (synchronized, cursors) =
        read_and_store(ingest, scope, known, &SyncRequests::default(), turn).await?;
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
    let (is_of_changes, found) = match changed {
        Some(found) => (true, found),
        None => (false, ingest.discover().await?),
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
    let older = (RuleRevision::FIRST.0..RuleRevision::CURRENT.0).map(|revision| revision.to_string());
    let outdated = filter.clone().with_values(Dimension::RuleRevision, older);
    // The sums of an analysis have no source to begin with.
    let outdated = outdated.without_values(Dimension::Origin, [Origin::Summed.name()]);
    let totals = ingest.store.breakdown(Dimension::Session, &filter, None);
    let outdated = ingest.store.breakdown(Dimension::Session, &outdated, None);
    let ((), totals, outdated, ()) = tokio::try_join!(cursors.written(ingest), totals, outdated, announced)?;
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
