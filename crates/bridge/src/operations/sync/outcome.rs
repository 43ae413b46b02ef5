//! The outcome of a synchronization, and the results by session that are made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bridge_core::{CostChange, SessionId, Stopwatch, SyncResult, SyncStatus, TokenChanges};

use crate::ingest::plan::{ReadPlan, SourceLeft};
use crate::ingest::read::{ReadResult, SessionRead};
use crate::ingest::write::Writer;
use crate::live::RecentFiles;

/// Errors by session.
pub(crate) type Failures = BTreeMap<SessionId, Vec<String>>;

/// The stored totals of a session.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StoredSession {
    pub(super) tokens: u64,
    /// Responses by an older revision of the counting rule.
    pub(super) outdated: u64,
}

pub(super) type StoredSessions = BTreeMap<String, StoredSession>;

/// The outcome of a synchronization: bytes read and rows changed.
#[derive(Debug)]
pub(super) struct Synchronized {
    sessions: BTreeMap<SessionId, SessionRead>,
    without_responses: BTreeSet<SessionId>,
    changes: BTreeMap<SessionId, TokenChanges>,
    cost_changes: BTreeMap<SessionId, CostChange>,
    pub(super) errors: Failures,
    /// Errors of sources whose session is unknown.
    unattributed: Vec<String>,
    is_about_all: bool,
    is_of_changes: bool,
    /// The recorded sessions that were asked for, and what is left of their sources.
    left: BTreeMap<SessionId, SourceLeft>,
    /// The sessions that were asked for, as far as any source holds, or held, lines of them.
    recorded: BTreeSet<SessionId>,
    /// The files to poll until the next search, if that was requested and they are not all.
    pub(super) recent: Option<RecentFiles>,
}

impl Synchronized {
    pub(super) fn new(read: &mut ReadResult, writer: &mut Writer<'_>) -> Self {
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
        Self {
            sessions: std::mem::take(&mut read.sessions),
            without_responses: std::mem::take(&mut read.without_responses),
            changes: std::mem::take(&mut writer.changes),
            cost_changes: writer.take_costs(),
            errors,
            unattributed,
            is_about_all: read.plan.is_about_all(),
            is_of_changes: read.plan.is_of_changes(),
            left: BTreeMap::new(),
            recorded: BTreeSet::new(),
            recent: None,
        }
    }

    /// Looks up what is recorded of the sessions that are asked for. For many files this takes a while, so nothing else is.
    pub(super) fn look_up(&mut self, plan: &ReadPlan, sessions: &BTreeSet<SessionId>, all: bool) {
        self.left = plan.known_sessions((!all).then_some(sessions));
        self.recorded = plan.recorded_among(sessions);
    }

    /// Notes the failures as reported. A few changed files say nothing about the failures of others.
    pub(super) fn note_reported(&self, reported: &mut Failures) {
        if self.is_of_changes {
            reported.extend(self.errors.clone());
        } else {
            reported.clone_from(&self.errors);
        }
    }

    /// Returns the sessions with a change, or with an error that is not reported yet.
    pub(super) fn sessions_to_report(&self, reported: &Failures) -> Vec<SessionId> {
        let changed =
            self.changes.iter().filter(|(_, changes)| !changes.is_empty()).map(|(session, _)| session);
        let failed = self.errors.iter().filter(|(session, errors)| reported.get(*session) != Some(*errors));
        let sessions: BTreeSet<_> = changed.chain(failed.map(|(session, _)| session)).collect();
        sessions.into_iter().cloned().collect()
    }
}

/// A synchronization that is done, with the stored totals of the sessions that were asked for.
#[derive(Debug)]
pub(crate) struct Synchronization {
    pub(super) synchronized: Synchronized,
    pub(super) totals: StoredSessions,
}

impl Synchronization {
    /// Returns whether a source knows, or may know, the session, or the store does.
    pub(super) fn knows(&self, session: &SessionId) -> bool {
        let done = &self.synchronized;
        done.sessions.contains_key(session)
            || done.without_responses.contains(session)
            || done.changes.contains_key(session)
            || done.errors.contains_key(session)
            || done.recorded.contains(session)
            || !done.unattributed.is_empty()
            || self.totals.contains_key(session.as_str())
    }

    /// The sessions that were processed; of a synchronization of all files, all sessions with stored totals as well.
    pub(super) fn sessions(&self) -> BTreeSet<SessionId> {
        let done = &self.synchronized;
        let read = done.sessions.keys().chain(done.left.keys()).chain(done.changes.keys());
        let mut sessions: BTreeSet<SessionId> = read.chain(done.errors.keys()).cloned().collect();
        if done.is_about_all {
            // A name that is not a session id is not the bridge's. The integrity check reports it.
            sessions.extend(self.totals.keys().filter_map(|name| SessionId::new(name).ok()));
        }
        sessions
    }

    /// Returns the result of a session, with the errors without a session, which may be in the unreadable sources.
    pub(super) fn result_with_unattributed(&self, session: &SessionId, watch: &Stopwatch) -> SyncResult {
        let mut errors = self.synchronized.errors.get(session).cloned().unwrap_or_default();
        if !self.synchronized.unattributed.is_empty() {
            errors.extend_from_slice(&self.synchronized.unattributed);
            errors.sort_unstable();
            errors.dedup();
        }
        self.result_of(session.clone(), errors, watch)
    }

    pub(super) fn result(&self, session: SessionId, watch: &Stopwatch) -> SyncResult {
        let errors = self.synchronized.errors.get(&session).cloned().unwrap_or_default();
        self.result_of(session, errors, watch)
    }

    fn result_of(&self, session: SessionId, errors: Vec<String>, watch: &Stopwatch) -> SyncResult {
        let done = &self.synchronized;
        let changes = done.changes.get(&session).copied().unwrap_or_default();
        let read = done.sessions.get(&session).copied().unwrap_or_default();
        let stored = self.totals.get(session.as_str()).copied().unwrap_or_default();
        let tokens_after = stored.tokens;
        let left = done.left.get(&session).filter(|_| read.files == 0);
        let status = match (errors.is_empty(), changes.is_empty(), left) {
            (false, _, _) => SyncStatus::Failed,
            (true, false, _) => SyncStatus::Changed,
            (true, true, Some(SourceLeft::Nothing)) => SyncStatus::SourceGone,
            (true, true, Some(SourceLeft::Stream)) => SyncStatus::Streamed,
            (true, true, _) => SyncStatus::Unchanged,
        };
        let cost_change = done.cost_changes.get(&session).copied().filter(|_| !changes.is_empty());
        let mut result = SyncResult::unchanged(session);
        result.status = status;
        result.tokens_before = tokens_after.saturating_add_signed(changes.tokens().saturating_neg());
        result.tokens_after = tokens_after;
        (result.changes, result.cost_change) = (changes, cost_change);
        (result.files_read, result.bytes_read) = (read.files, read.bytes);
        result.outdated_responses = stored.outdated;
        result.duration = watch.elapsed();
        result.errors = errors;
        result
    }
}

/// Returns a name for an unreadable source whose session is unknown: for a transcript its file name, which usually is the
/// session id; otherwise its path.
fn placeholder_session(path: &Path) -> Option<SessionId> {
    let is_transcript = path.extension().is_some_and(|extension| extension == "jsonl");
    let stem = path.file_stem().filter(|_| is_transcript);
    let names = [stem.unwrap_or(path.as_os_str()), path.file_name()?];
    names.into_iter().find_map(|name| SessionId::new(name.to_string_lossy()).ok())
}
