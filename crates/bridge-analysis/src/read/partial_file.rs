//! A file whose parts are read by several threads: their reports become one.

use std::collections::BTreeMap;

use bridge_core::{DamageCounts, SessionActivity, SessionId};

use crate::count::categories::CategoryCounter;
use crate::position::ReadPosition;
use crate::read::part::{FileTask, PartReport};
use crate::report::{DamagePlace, FileAnalysis, SessionInFile};

/// A file of which some parts are read. They are merged in order, whichever is read first.
#[derive(Debug)]
pub(crate) struct PartialFile {
    /// Parts before this one are merged.
    next: usize,
    /// Parts that are read before an earlier one.
    waiting: BTreeMap<usize, PartReport>,
    bytes: u64,
    lines: u64,
    damage: DamageCounts,
    damage_places: Vec<DamagePlace>,
    sessions: BTreeMap<SessionId, SessionInFile>,
    categories: Option<CategoryCounter>,
    activity: Option<BTreeMap<SessionId, SessionActivity>>,
    end: ReadPosition,
}

impl PartialFile {
    /// Creates a file that was read up to this position.
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
            activity: None,
            end: from,
        }
    }

    /// Adds a part's report, and returns the number of parts merged so far.
    pub(crate) fn take(&mut self, part: usize, report: PartReport) -> usize {
        self.waiting.insert(part, report);
        while let Some(report) = self.waiting.remove(&self.next) {
            self.merge(report);
            self.next += 1;
        }
        self.next
    }

    fn merge(&mut self, report: PartReport) {
        let room = FileAnalysis::DAMAGE_PLACES_MAX - self.damage_places.len();
        let numbered = |place: DamagePlace| DamagePlace { line: self.end.newlines + place.line, ..place };
        self.damage_places.extend(report.damage_places.into_iter().take(room).map(numbered));
        self.bytes = self.bytes.max(report.read_to);
        self.lines += report.lines;
        self.damage += report.damage;
        for (session, part) in report.sessions {
            match self.sessions.get_mut(&session) {
                Some(known) => known.merge(part),
                None => drop(self.sessions.insert(session, part)),
            }
        }
        if let Some(categories) = report.categories {
            self.categories.get_or_insert_default().merge(categories);
        }
        if let Some(activity) = report.activity {
            activity.merge_into(self.activity.get_or_insert_default());
        }
        self.end.newlines += report.newlines;
        // Parts that begin in a pending line contribute nothing.
        let is_pending = self.damage.pending_lines > 0;
        let was_pending = is_pending && report.damage.pending_lines == 0;
        self.end.offset = match (was_pending, is_pending) {
            (true, _) => self.end.offset,
            (false, true) => report.end,
            (false, false) => self.end.offset.max(report.end),
        };
        self.end.time = report.known_time.unwrap_or(self.end.time);
    }

    /// Returns the report of the file, when all parts are merged.
    pub(crate) fn finish(self, task: &FileTask<'_>, complete: bool) -> FileAnalysis {
        let most = |a: &(&SessionId, &SessionInFile), b: &(&SessionId, &SessionInFile)| {
            a.1.snapshots.cmp(&b.1.snapshots).then(b.0.cmp(a.0))
        };
        let depth = task.file.subagent_depth();
        let activity = self.activity.map(|activity| {
            let of_file = |activity| SessionActivity { depth, ..activity };
            activity.into_iter().map(|(session, activity)| (session, of_file(activity))).collect()
        });
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
            activity,
            start: task.from,
            end: self.end,
        }
    }
}
