//! The report of a file that was read.

use std::collections::BTreeMap;

use bridge_core::{
    ContentCategories, DamageCounts, DamageKind, ProjectName, SessionActivity, SessionId, Timestamp,
};

use crate::position::ReadPosition;
use crate::source::SourceFile;

/// The report of one transcript. Its responses are in the [`History`](crate::History).
#[derive(Debug)]
#[non_exhaustive]
pub struct FileAnalysis {
    /// The file.
    pub file: SourceFile,
    /// True if it was read to its end.
    pub complete: bool,
    /// Bytes read.
    pub bytes: u64,
    /// Lines that are not blank.
    pub lines: u64,
    /// The lines and snapshots that could not be read or counted.
    pub damage: DamageCounts,
    /// The first places of damage, at most [`FileAnalysis::DAMAGE_PLACES_MAX`].
    pub damage_places: Vec<DamagePlace>,
    /// The sessions in the file.
    pub sessions: BTreeMap<SessionId, SessionInFile>,
    /// The session to which the lines, the damage and the categories are attributed: the one with the most
    /// snapshots (the first by name if there are several), or the file's stem if there are none.
    pub home_session: SessionId,
    /// Estimated tokens by category; empty unless requested.
    pub content_categories: ContentCategories,
    /// The activity of the sessions, including those without a response; `None` unless requested.
    pub activity: Option<BTreeMap<SessionId, SessionActivity>>,
    /// The position at which reading began; the report covers the lines from there.
    pub start: ReadPosition,
    /// The position at which reading continues when the file has grown.
    pub end: ReadPosition,
}

impl FileAnalysis {
    /// Maximum number of damaged places kept for each file; the counts are complete.
    pub const DAMAGE_PLACES_MAX: usize = 100;
}

/// A place in a file that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagePlace {
    /// The line's number, from 1; blank lines count here.
    pub line: u64,
    /// The offset of the line's first byte.
    pub offset: u64,
    /// The kind of damage.
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
    /// Adds a later part of the file.
    pub fn merge(&mut self, next: Self) {
        self.snapshots += next.snapshots;
        self.snapshot_tokens = self.snapshot_tokens.saturating_add(next.snapshot_tokens);
        self.first_time = self.first_time.min(next.first_time);
        self.last_time = self.last_time.max(next.last_time);
        self.project = self.project.take().or(next.project);
    }
}
