//! What stands in one transcript.

use std::collections::BTreeMap;

use bridge_core::{ContentCategories, DamageCounts, DamageKind, ProjectName, SessionId, Timestamp};

use crate::category::CategoryCounter;
use crate::part::{FileTask, PartReport};
use crate::{ReadPosition, SourceFile};

/// What stands in one transcript, beside its responses, which are in the [`History`](crate::History).
#[derive(Debug)]
#[non_exhaustive]
pub struct FileAnalysis {
    /// The file.
    pub file: SourceFile,
    /// Whether it was read to its end.
    pub complete: bool,
    /// Bytes read.
    pub bytes: u64,
    /// Lines that are not blank.
    pub lines: u64,
    /// What could not be read or counted.
    pub damage: DamageCounts,
    /// The first places of damage, at most [`FileAnalysis::DAMAGE_PLACES_MAX`].
    pub damage_places: Vec<DamagePlace>,
    /// What each session has in the file.
    pub sessions: BTreeMap<SessionId, SessionInFile>,
    /// The session that the lines, the damage and the categories are booked on: the one with the most
    /// snapshots (of several the first by name), or the file's stem where there are none.
    pub home_session: SessionId,
    /// Estimated tokens by category; empty where they were not asked for.
    pub content_categories: ContentCategories,
    /// Where reading began: what is told here stands behind.
    pub start: ReadPosition,
    /// Where reading goes on when the file has grown.
    pub end: ReadPosition,
}

impl FileAnalysis {
    /// So many places of damage are kept for each file; the counts are complete.
    pub const DAMAGE_PLACES_MAX: usize = 100;
}

/// Where in a file something could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagePlace {
    /// The line's number, from 1; blank lines count here.
    pub line: u64,
    /// The offset of the line's first byte.
    pub offset: u64,
    /// What is wrong.
    pub kind: DamageKind,
}

/// A session's part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInFile {
    /// Its snapshots.
    pub snapshots: u64,
    /// Their tokens.
    pub snapshot_tokens: u64,
    /// The project of the first snapshot that names one.
    pub project: Option<ProjectName>,
    /// The earliest snapshot's time.
    pub first_time: Timestamp,
    /// The latest snapshot's time.
    pub last_time: Timestamp,
}

impl SessionInFile {
    /// Joins what stands further down.
    pub fn join(&mut self, next: Self) {
        self.snapshots += next.snapshots;
        self.snapshot_tokens = self.snapshot_tokens.saturating_add(next.snapshot_tokens);
        self.first_time = self.first_time.min(next.first_time);
        self.last_time = self.last_time.max(next.last_time);
        self.project = self.project.take().or(next.project);
    }
}

/// A file of which some parts are read. They are joined in their order, whichever is read first.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// Parts before this one are joined.
    next: usize,
    /// Parts that are read before an earlier one.
    waiting: BTreeMap<usize, PartReport>,
    bytes: u64,
    lines: u64,
    damage: DamageCounts,
    damage_places: Vec<DamagePlace>,
    sessions: BTreeMap<SessionId, SessionInFile>,
    categories: Option<CategoryCounter>,
    end: ReadPosition,
}

impl OpenFile {
    /// A file of which everything before this position is read.
    pub(crate) fn new(from: ReadPosition) -> Self {
        Self {
            next: 0,
            waiting: BTreeMap::new(),
            bytes: 0,
            lines: 0,
            damage: DamageCounts::default(),
            damage_places: Vec::new(),
            sessions: BTreeMap::new(),
            categories: None,
            end: from,
        }
    }

    /// Takes a part's report; says how many parts are joined now.
    pub(crate) fn take(&mut self, part: usize, report: PartReport) -> usize {
        self.waiting.insert(part, report);
        while let Some(report) = self.waiting.remove(&self.next) {
            self.join(report);
            self.next += 1;
        }
        self.next
    }

    fn join(&mut self, report: PartReport) {
        let room = FileAnalysis::DAMAGE_PLACES_MAX - self.damage_places.len();
        let numbered = |place: DamagePlace| DamagePlace { line: self.end.newlines + place.line, ..place };
        self.damage_places.extend(report.damage_places.into_iter().take(room).map(numbered));
        self.bytes = self.bytes.max(report.read_to);
        self.lines += report.lines;
        self.damage += report.damage;
        for (session, part) in report.sessions {
            match self.sessions.get_mut(&session) {
                Some(known) => known.join(part),
                None => drop(self.sessions.insert(session, part)),
            }
        }
        if let Some(categories) = report.categories {
            self.categories.get_or_insert_default().join(categories);
        }
        self.end.newlines += report.newlines;
        // Parts that begin in a pending line have nothing to say.
        let is_pending = self.damage.pending_lines > 0;
        let was_pending = is_pending && report.damage.pending_lines == 0;
        self.end.offset = match (was_pending, is_pending) {
            (true, _) => self.end.offset,
            (false, true) => report.end,
            (false, false) => self.end.offset.max(report.end),
        };
        self.end.time = report.known_time.unwrap_or(self.end.time);
    }

    /// The analysis, when all parts are joined.
    pub(crate) fn finish(self, task: &FileTask<'_>, complete: bool) -> FileAnalysis {
        let most = |a: &(&SessionId, &SessionInFile), b: &(&SessionId, &SessionInFile)| {
            a.1.snapshots.cmp(&b.1.snapshots).then(b.0.cmp(a.0))
        };
        let home = self.sessions.iter().max_by(most).map(|(session, _)| session.clone());
        FileAnalysis {
            file: task.file.clone(),
            complete,
            bytes: self.bytes.saturating_sub(task.from.offset),
            lines: self.lines,
            damage: self.damage,
            damage_places: self.damage_places,
            home_session: home.unwrap_or_else(|| task.names.stem.clone()),
            sessions: self.sessions,
            content_categories: self.categories.map(|categories| categories.estimate()).unwrap_or_default(),
            start: task.from,
            end: self.end,
        }
    }
}
