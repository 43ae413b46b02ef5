//! Reading one transcript.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use bridge_core::{
    ContentCategories, DamageCounts, DamageKind, HostName, Origin, ProjectName, ReceiptLine, ResponseUsage,
    SessionId, Timestamp,
};
use memchr::memmem::Finder;

use crate::category::CategoryCounter;
use crate::json;
use crate::lines::{Line, Lines};
use crate::names::Names;
use crate::progress::AnalysisProgress;
use crate::record::{RecordSink, Snapshot, read_record};
use crate::table::{ResponseTable, Winner};
use crate::{AnalyzerOptions, SourceFile};

/// What stands in one transcript.
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
    pub(crate) snapshots: SnapshotSums,
    pub(crate) responses: Vec<Winner>,
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

/// The snapshots of a file by where they stand: the first four terms of the receipt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SnapshotSums {
    pub(crate) assistant_lines: ReceiptLine,
    pub(crate) nested: ReceiptLine,
    pub(crate) from_iterations: ReceiptLine,
    pub(crate) advisor: ReceiptLine,
}

/// Reads a transcript to its end. `buffer` is used for the lines and handed back.
pub(crate) fn analyze_file(
    file: &SourceFile,
    options: &AnalyzerOptions,
    buffer: &mut Vec<u8>,
    progress: &AnalysisProgress,
) -> (FileAnalysis, Option<io::Error>) {
    let every_line = options.strict || options.categories;
    let (scan, error) = Scan::run(file, options, every_line, buffer, progress);
    if !scan.needs_times || error.is_some() {
        return (scan.finish(error.is_none()), error);
    }
    // A snapshot without a time takes the nearest earlier one, which may stand in any line: read them all.
    progress.bytes.fetch_sub(scan.offset, Ordering::Relaxed);
    let (scan, error) = Scan::run(file, options, true, buffer, progress);
    (scan.finish(error.is_none()), error)
}

/// The state of reading one file.
struct Scan<'a> {
    file: &'a SourceFile,
    options: &'a AnalyzerOptions,
    /// Whether lines that hold no usage are parsed too.
    every_line: bool,
    stem: SessionId,
    names: Names,
    table: ResponseTable,
    sums: SnapshotSums,
    sessions: BTreeMap<SessionId, SessionInFile>,
    categories: Option<CategoryCounter>,
    damage: DamageCounts,
    damage_places: Vec<DamagePlace>,
    lines: u64,
    line_number: u64,
    line_offset: u64,
    offset: u64,
    last_time: Option<Timestamp>,
    needs_times: bool,
}

/// Report progress at least this often.
const PROGRESS_BYTES: u64 = 4 << 20;

impl<'a> Scan<'a> {
    fn run(
        file: &'a SourceFile,
        options: &'a AnalyzerOptions,
        every_line: bool,
        buffer: &mut Vec<u8>,
        progress: &AnalysisProgress,
    ) -> (Self, Option<io::Error>) {
        let mut scan = Self::new(file, options, every_line);
        let result = File::open(&file.path).and_then(|source| scan.read(source, buffer, progress));
        (scan, result.err())
    }

    fn new(file: &'a SourceFile, options: &'a AnalyzerOptions, every_line: bool) -> Self {
        let stem = SessionId::new(file.stem()).or_else(|_| SessionId::new("unnamed"));
        Self {
            file,
            options,
            every_line,
            stem: stem.expect("a constant is a session id"),
            names: Names::default(),
            table: ResponseTable::default(),
            sums: SnapshotSums::default(),
            sessions: BTreeMap::new(),
            categories: options.categories.then(CategoryCounter::default),
            damage: DamageCounts::default(),
            damage_places: Vec::new(),
            lines: 0,
            line_number: 0,
            line_offset: 0,
            offset: 0,
            last_time: None,
            needs_times: false,
        }
    }

    fn read(
        &mut self,
        source: impl Read,
        buffer: &mut Vec<u8>,
        progress: &AnalysisProgress,
    ) -> io::Result<()> {
        let mut lines = Lines::new(source, std::mem::take(buffer), self.options.line_bytes_max);
        let mut reported = 0;
        let result = loop {
            self.line_offset = lines.offset();
            self.line_number += 1;
            match lines.next_line() {
                Ok(None) => break Ok(()),
                Ok(Some(Line::Complete(line))) => self.read_line(line, true),
                Ok(Some(Line::Unterminated(line))) => self.read_line(line, false),
                Ok(Some(Line::Oversize)) => {
                    self.lines += 1;
                    self.damage.oversize_lines += 1;
                    self.note(DamageKind::Oversize);
                }
                Err(error) => break Err(error),
            }
            if lines.offset() - reported >= PROGRESS_BYTES {
                progress.bytes.fetch_add(lines.offset() - reported, Ordering::Relaxed);
                reported = lines.offset();
                if progress.is_cancelled() {
                    break Err(io::Error::new(io::ErrorKind::Interrupted, "cancelled"));
                }
            }
        };
        self.offset = lines.offset();
        progress.bytes.fetch_add(self.offset - reported, Ordering::Relaxed);
        *buffer = lines.into_buffer();
        result
    }

    fn read_line(&mut self, line: &[u8], complete: bool) {
        let Some(edges) = edges(line) else { return };
        self.lines += 1;
        // By default damage in a line without usage is looked for at its edges only.
        if !self.every_line && complete && edges == (b'{', b'}') && !may_hold_usage(line) {
            return;
        }
        if self.read_values(line).is_err() {
            if complete {
                self.damage.bad_lines += 1;
                self.note(DamageKind::BadLine);
            } else {
                self.damage.pending_lines += 1;
                self.note(DamageKind::Pending);
            }
        }
    }

    fn read_values(&mut self, line: &[u8]) -> Result<(), json::InvalidJson> {
        let line = std::str::from_utf8(line).map_err(|_| json::InvalidJson)?;
        json::values(line, |record| {
            read_record(record, self);
            if let Some(categories) = &mut self.categories {
                categories.add(record, self.file.is_subagent());
            }
        })
    }

    fn note(&mut self, kind: DamageKind) {
        if self.damage_places.len() < FileAnalysis::DAMAGE_PLACES_MAX {
            self.damage_places.push(DamagePlace { line: self.line_number, offset: self.line_offset, kind });
        }
    }

    fn finish(self, complete: bool) -> FileAnalysis {
        let most = |a: &(&SessionId, &SessionInFile), b: &(&SessionId, &SessionInFile)| {
            a.1.snapshots.cmp(&b.1.snapshots).then(b.0.cmp(a.0))
        };
        let home_session =
            self.sessions.iter().max_by(most).map_or(self.stem, |(session, _)| session.clone());
        FileAnalysis {
            file: self.file.clone(),
            complete,
            bytes: self.offset,
            lines: self.lines,
            damage: self.damage,
            damage_places: self.damage_places,
            sessions: self.sessions,
            home_session,
            content_categories: self.categories.map(|categories| categories.estimate()).unwrap_or_default(),
            snapshots: self.sums,
            responses: self.table.into_winners(),
        }
    }

    fn book_session(
        &mut self,
        session: &SessionId,
        project: Option<&ProjectName>,
        time: Timestamp,
        tokens: u64,
    ) {
        let new = || SessionInFile {
            snapshots: 0,
            snapshot_tokens: 0,
            project: None,
            first_time: time,
            last_time: time,
        };
        let booked = match self.sessions.get_mut(session) {
            Some(booked) => booked,
            None => self.sessions.entry(session.clone()).or_insert_with(new),
        };
        booked.snapshots += 1;
        booked.snapshot_tokens += tokens;
        booked.first_time = booked.first_time.min(time);
        booked.last_time = booked.last_time.max(time);
        if booked.project.is_none() {
            booked.project = project.cloned();
        }
    }
}

impl RecordSink for Scan<'_> {
    fn snapshot(&mut self, snapshot: &Snapshot<'_>) {
        let tokens = snapshot.counts.total();
        match (snapshot.origin, snapshot.nested) {
            (Origin::Advisor, _) => self.sums.advisor.add(tokens),
            (Origin::Iterations, nested) => {
                self.sums.from_iterations.add(tokens);
                if nested { self.sums.nested.add(0) } else { self.sums.assistant_lines.add(0) }
            }
            (_, true) => self.sums.nested.add(tokens),
            (_, false) => self.sums.assistant_lines.add(tokens),
        }
        let session =
            snapshot.session.and_then(|id| self.names.session(id)).unwrap_or_else(|| self.stem.clone());
        let project = self.names.project(self.file.project_folder.as_deref(), snapshot.cwd);
        self.book_session(&session, project.as_ref(), snapshot.time, tokens);
        let (names, host) = (&mut self.names, self.options.host.as_ref());
        self.table
            .offer(snapshot.key, snapshot.rank(), tokens, || row(snapshot, session, project, host, names));
    }

    fn bad_usage(&mut self) {
        self.damage.bad_usage += 1;
        self.note(DamageKind::BadUsage);
    }

    fn time_before(&mut self) -> Timestamp {
        self.needs_times |= !self.every_line;
        self.last_time.unwrap_or(self.file.modified)
    }

    fn record_time(&mut self, time: Timestamp) {
        self.last_time = Some(time);
    }
}

fn row(
    snapshot: &Snapshot<'_>,
    session: SessionId,
    project: Option<ProjectName>,
    host: Option<&HostName>,
    names: &mut Names,
) -> ResponseUsage {
    ResponseUsage {
        key: snapshot.key,
        session,
        time: snapshot.time,
        model: snapshot.model.and_then(|name| names.model(name)),
        project,
        host: host.cloned(),
        agent: snapshot.agent.and_then(|id| names.agent(id)),
        service_tier: snapshot.service_tier.and_then(|name| names.tier(name)),
        counts: snapshot.counts,
        cache_creation_5m: snapshot.cache_split.0,
        cache_creation_1h: snapshot.cache_split.1,
        finished: snapshot.finished,
        sidechain: snapshot.sidechain,
        nested: snapshot.nested,
        forked: snapshot.forked,
        origin: snapshot.origin,
        forced: 0,
    }
}

/// The first and the last byte that is no white space; `None` for a blank line.
fn edges(line: &[u8]) -> Option<(u8, u8)> {
    let inside = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\r');
    Some((*line.iter().find(inside)?, *line.iter().rev().find(inside)?))
}

/// Whether a key `usage` may stand in the line: as it is, or with letters escaped. Each of its letters has
/// an escape `\u006x` or `\u007x` and no other one.
fn may_hold_usage(line: &[u8]) -> bool {
    static KEY: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"usage\""));
    static ESCAPE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\\u00"));
    KEY.find(line).is_some() || ESCAPE.find_iter(line).any(|at| matches!(line.get(at + 4), Some(b'6' | b'7')))
}
