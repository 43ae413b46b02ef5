//! A part of a transcript (the lines that begin in a range of it): the task, and the report after reading.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bridge_core::{DamageCounts, SessionId, Timestamp};

use crate::count::activity::ActivityCollector;
use crate::count::categories::CategoryCounter;
use crate::count::context::FileNames;
use crate::options::AnalyzerOptions;
use crate::position::{FileRead, KnownTime, ReadPosition};
use crate::read::lines::Limits;
use crate::report::{DamagePlace, SessionInFile};
use crate::source::SourceFile;

/// A file to read, and from where.
#[derive(Debug)]
pub(crate) struct FileTask<'a> {
    pub(crate) file: &'a SourceFile,
    pub(crate) names: FileNames,
    /// The position at which reading begins, and known facts about the lines before.
    pub(crate) from: ReadPosition,
    /// The offset up to which the file is read, in bytes.
    pub(crate) until: u64,
    /// Times that had to be searched for, by the offset before which they are, so that no part searches further
    /// back than the one before it.
    looked_back: Mutex<BTreeMap<u64, Option<Timestamp>>>,
}

impl<'a> FileTask<'a> {
    pub(crate) fn new(read: &'a FileRead, options: &AnalyzerOptions) -> Self {
        let FileRead { file, from, until } = read;
        let stem = SessionId::new(file.stem()).or_else(|_| SessionId::new("unnamed"));
        let names = FileNames {
            stem: stem.expect("a constant is a session id"),
            project_folder: file.project_folder.clone(),
            host: options.host.clone(),
            project_names: options.project_names.clone(),
            path: file.path.clone(),
            assignments: options.assignments.clone(),
            seen_projects: options.seen_projects.clone(),
        };
        Self { file, names, from: *from, until: *until, looked_back: Mutex::default() }
    }

    /// Returns the nearest offset up to this one before which the time is known.
    pub(crate) fn known_before(&self, offset: u64) -> KnownTime {
        let looked_back = self.looked_back.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = looked_back.range(..=offset).next_back();
        nearest.map_or(self.from.time, |(before, time)| KnownTime { before: *before, time: *time })
    }

    pub(crate) fn note_time(&self, before: u64, time: Option<Timestamp>) {
        self.looked_back.lock().unwrap_or_else(PoisonError::into_inner).insert(before, time);
    }
}

/// The report of a part of a file. Its snapshots go to the history.
#[derive(Debug, Default)]
pub(crate) struct PartReport {
    /// Lines that are not blank.
    pub(crate) lines: u64,
    /// Line ends.
    pub(crate) newlines: u64,
    /// The offset after the last line read, or the start of a pending line.
    pub(crate) end: u64,
    /// The offset after the last byte read.
    pub(crate) read_to: u64,
    pub(crate) damage: DamageCounts,
    /// Line numbers count from the part's first, which is 1.
    pub(crate) damage_places: Vec<DamagePlace>,
    /// In the order of their first snapshots.
    pub(crate) sessions: Vec<(SessionId, SessionInFile)>,
    pub(crate) categories: Option<CategoryCounter>,
    pub(crate) activity: Option<ActivityCollector>,
    pub(crate) known_time: Option<KnownTime>,
}

/// Options of reading parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartOptions {
    pub(crate) limits: Limits,
    /// True if lines without usage are parsed too.
    pub(crate) every_line: bool,
    pub(crate) categories: bool,
    pub(crate) activity: bool,
}

impl PartOptions {
    pub(crate) fn new(options: &AnalyzerOptions) -> Self {
        Self {
            limits: Limits { block_bytes: options.block_bytes, line_bytes_max: options.line_bytes_max },
            every_line: options.strict || options.categories,
            categories: options.categories,
            activity: options.activity,
        }
    }
}
