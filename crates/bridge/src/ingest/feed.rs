//! Counts a source that arrives in pieces of bytes, cut anywhere.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use bridge_analysis::incremental::{FileState, ReadPosition, analyze_content};
use bridge_analysis::{AnalyzerOptions, DamagePlace, FileAnalysis, History, SourceFile};
use bridge_core::{BridgeError, DamageCounts, Epoch, HostName, PositionUnit, SessionId, Timestamp};
use bridge_storage::SourceRecord;

use crate::ingest::Ingest;
use crate::ingest::cursors::{FileReading, KnownFile};
use crate::ingest::read::Batch;

/// A part of a transcript that an embedder has read: its bytes from an offset on.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchProcessingResult {
    /// The transcript. Its name is the session, and its folder the project, of lines that name none.
    pub path: PathBuf,
    /// Offset of the content in the file, in bytes. 0 starts the file over, even if it was read before.
    pub offset: u64,
    /// The bytes of the file. They may end anywhere.
    pub content: Vec<u8>,
    /// The file ends here for now: a last line without a newline counts if it is valid.
    pub ends_file: bool,
    /// When the file was last modified: the time of responses that have no other.
    pub modified: Timestamp,
}

impl BatchProcessingResult {
    /// Returns a batch of a transcript that begins at this offset, of unknown time.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, offset: u64, content: Vec<u8>) -> Self {
        Self { path: path.into(), offset, content, ends_file: false, modified: Timestamp::MIN }
    }

    /// Returns the batch with the time at which the file was last modified.
    #[must_use]
    pub fn with_modified(mut self, modified: Timestamp) -> Self {
        self.modified = modified;
        self
    }

    /// Returns the batch as the last one of the file for now.
    #[must_use]
    pub fn with_end_of_file(mut self) -> Self {
        self.ends_file = true;
        self
    }
}

impl fmt::Debug for BatchProcessingResult {
    /// Omits the content, which is conversation text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessingResult")
            .field("path", &self.path)
            .field("offset", &self.offset)
            .field("bytes", &self.content.len())
            .field("ends_file", &self.ends_file)
            .finish_non_exhaustive()
    }
}

/// The source of the pieces: the default names of its lines, and the name that it is recorded under.
#[derive(Debug, Clone)]
pub(crate) struct FeedSource<'a> {
    /// Its name is the session, and its folder the project, of lines that name none. Its time of modification is the
    /// time of responses that have no other.
    pub(crate) file: SourceFile,
    /// The session of lines that name none, if it is not the file's name.
    pub(crate) session: Option<SessionId>,
    /// The path or name under which it is recorded.
    pub(crate) recorded: PathBuf,
    pub(crate) host: HostName,
    pub(crate) analyzer: Cow<'a, AnalyzerOptions>,
    /// The recorded state, except for the size, which is that of the pieces.
    pub(crate) state: FileState,
}

impl<'a> FeedSource<'a> {
    fn of_batch(ingest: &'a Ingest, batch: &BatchProcessingResult) -> Self {
        Self {
            file: SourceFile::of_path(&batch.path, 0, batch.modified),
            session: None,
            recorded: ingest.analyzer.project_names.recorded_path(&batch.path),
            host: ingest.host.clone(),
            analyzer: Cow::Borrowed(&ingest.analyzer),
            state: FileState {
                size: 0,
                modified: batch.modified,
                changed_nanos: 0,
                identity: 0,
                fingerprint: 0,
            },
        }
    }
}

/// A piece of a source.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) offset: u64,
    pub(crate) content: &'a [u8],
    /// The source ends after it for now.
    pub(crate) is_last: bool,
}

/// The part of a source that has arrived.
#[derive(Default)]
pub(crate) struct FeedState {
    position: ReadPosition,
    /// The content from there on: the part of the last line that has arrived.
    tail: Vec<u8>,
    /// The last line exceeds the limit, so the rest of it is dropped.
    skips_line: bool,
    records: Vec<SourceRecord>,
    /// The epoch in which all of it was stored.
    epoch: Epoch,
}

impl fmt::Debug for FeedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedState").field("position", &self.position).finish_non_exhaustive()
    }
}

/// The changes that a piece makes to a state. The state itself stays unchanged until all is stored, and is not copied.
#[derive(Debug)]
pub(crate) struct Advance {
    /// The piece starts the source over.
    begins: Option<Epoch>,
    position: ReadPosition,
    records: Vec<SourceRecord>,
    pub(crate) skips_line: bool,
    /// The tail is in the position now.
    ends_lines: bool,
    /// From there on the piece's content goes into the tail.
    tail_from: usize,
    pub(crate) read: LinesRead,
}

/// New content, cut where its last whole line ends.
struct Cut<'a> {
    /// Whole lines, of which the first begins in the tail; `None` if no line ends.
    lines: Option<&'a [u8]>,
    /// The part of the last line that has arrived.
    open: &'a [u8],
    /// The last line exceeds the limit: what arrived of it is among the lines, and the rest of it is dropped.
    exceeds: bool,
}

/// The lines that were read of a piece.
#[derive(Debug, Default)]
pub(crate) struct LinesRead {
    pub(crate) lines: u64,
    pub(crate) damage: DamageCounts,
    pub(crate) places: Vec<DamagePlace>,
}

impl LinesRead {
    fn add(&mut self, analysis: &FileAnalysis) {
        self.lines += analysis.lines;
        self.damage += analysis.damage;
        self.places.extend_from_slice(&analysis.damage_places);
    }
}

impl FeedState {
    /// Returns the state of a source whose reading continues at this position.
    pub(crate) fn resumed(position: ReadPosition, records: Vec<SourceRecord>, epoch: Epoch) -> Self {
        Self { position, records, epoch, ..Self::default() }
    }

    /// Returns the state inside of a line that exceeds the limit, so the rest of it is dropped.
    pub(crate) fn within_oversize_line(mut self) -> Self {
        self.skips_line = true;
        self
    }

    /// Returns where the next byte belongs.
    pub(crate) fn end(&self) -> u64 {
        self.position.offset + self.tail.len() as u64
    }

    /// Counts a batch, for a store in this epoch.
    pub(crate) fn feed(
        &self,
        ingest: &Ingest,
        epoch: Epoch,
        batch: &BatchProcessingResult,
    ) -> Result<(Batch, Advance), BridgeError> {
        let source = FeedSource::of_batch(ingest, batch);
        let piece = Piece { offset: batch.offset, content: &batch.content, is_last: batch.ends_file };
        // After a rollback, the file must be passed again.
        if batch.offset == 0 || self.epoch != epoch {
            let (found, advance) = Self { epoch, ..Self::default() }.continue_with(ingest, &source, piece)?;
            return Ok((found, Advance { begins: Some(epoch), ..advance }));
        }
        self.continue_with(ingest, &source, piece)
    }

    /// Counts a piece that continues the source.
    pub(crate) fn continue_with(
        &self,
        ingest: &Ingest,
        source: &FeedSource<'_>,
        piece: Piece<'_>,
    ) -> Result<(Batch, Advance), BridgeError> {
        let expected = self.end();
        if piece.offset > expected {
            let unit = PositionUnit::Byte;
            return Err(BridgeError::out_of_order(&source.file.path, unit, expected, piece.offset));
        }
        let known = usize::try_from(expected - piece.offset).unwrap_or(usize::MAX).min(piece.content.len());
        let (mut position, mut records) = (self.position, self.records.clone());
        let (new, within_long_line) = self.skip_long_line(&piece.content[known..], &mut position);
        let Cut { lines, open, exceeds } = self.cut(new, source.analyzer.line_bytes_max);
        let mut analysis = PieceAnalysis::new(self, ingest, source);
        let mut sources = Vec::new();
        if let Some(lines) = lines {
            let (found, after) = analysis.add(position, &[&self.tail, lines].concat(), records)?;
            ingest.telemetry.metrics.read(found.bytes, found.lines, &found.damage);
            (position, records) = (found.end, after);
            sources.clone_from(&records);
        }
        if piece.is_last {
            let tail = if lines.is_some() { open.to_vec() } else { [&self.tail, open].concat() };
            sources.clone_from(&records);
            if !tail.is_empty() {
                // It counts if it is valid, and is read again when it continues.
                sources = analysis.add(position, &tail, sources)?.1;
            }
        }
        let (batch, read) = analysis.into_batch(sources);
        let advance = Advance {
            begins: None,
            position,
            records,
            skips_line: within_long_line || exceeds,
            ends_lines: lines.is_some(),
            tail_from: piece.content.len() - open.len(),
            read,
        };
        Ok((batch, advance))
    }

    /// Drops the rest of a line over the limit, and moves the position past it. Returns the other content, and whether
    /// the line goes on.
    fn skip_long_line<'a>(&self, new: &'a [u8], position: &mut ReadPosition) -> (&'a [u8], bool) {
        if !self.skips_line || new.is_empty() {
            return (new, self.skips_line);
        }
        let end = new.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
        let (dropped, rest) = new.split_at(end.unwrap_or(new.len()));
        position.offset += dropped.len() as u64;
        // A line over the limit has no time.
        position.time.before = position.offset;
        (rest, end.is_none())
    }

    fn cut<'a>(&self, new: &'a [u8], line_bytes_max: usize) -> Cut<'a> {
        // No line ends in the tail, so it is not searched again until one does.
        let end = new.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
        let open = end.map_or(self.tail.len() + new.len(), |end| new.len() - end);
        let exceeds = open > line_bytes_max;
        let end = if exceeds { Some(new.len()) } else { end };
        let (lines, open) = new.split_at(end.unwrap_or(0));
        Cut { lines: end.map(|_| lines), open, exceeds }
    }

    /// Returns the new records of the source. A later synchronization treats a file as changed and reads it once.
    fn records_after(
        &self,
        known: Vec<SourceRecord>,
        ingest: &Ingest,
        source: &FeedSource<'_>,
        analysis: &FileAnalysis,
    ) -> Vec<SourceRecord> {
        FileReading {
            state: FileState { size: analysis.end.offset, ..source.state },
            known: Some(&KnownFile::of_records(&known, self.epoch)),
            host: &source.host,
            recorded: &source.recorded,
            read_at: ingest.clock.now(),
            epoch: self.epoch,
        }
        .records(analysis)
    }

    /// Advances past a piece that is stored.
    pub(crate) fn advance(&mut self, advance: Advance, content: &[u8]) {
        if let Some(epoch) = advance.begins {
            *self = Self { epoch, ..Self::default() };
        }
        if advance.ends_lines {
            self.tail.clear();
        }
        self.tail.extend_from_slice(&content[advance.tail_from..]);
        (self.position, self.records, self.skips_line) =
            (advance.position, advance.records, advance.skips_line);
    }
}

/// The analysis of the lines of a piece.
struct PieceAnalysis<'a> {
    state: &'a FeedState,
    ingest: &'a Ingest,
    source: &'a FeedSource<'a>,
    history: History,
    sessions: BTreeSet<SessionId>,
    read: LinesRead,
}

impl<'a> PieceAnalysis<'a> {
    fn new(state: &'a FeedState, ingest: &'a Ingest, source: &'a FeedSource<'a>) -> Self {
        let (history, sessions, read) = (History::default(), BTreeSet::new(), LinesRead::default());
        Self { state, ingest, source, history, sessions, read }
    }

    /// Counts the lines at this position. Returns the records that follow those which are known.
    fn add(
        &mut self,
        position: ReadPosition,
        content: &[u8],
        known: Vec<SourceRecord>,
    ) -> Result<(FileAnalysis, Vec<SourceRecord>), BridgeError> {
        let analysis = self.source.analyze(position, content, &mut self.history)?;
        let found = analysis.sessions.iter().filter(|(_, part)| part.snapshots > 0);
        self.sessions.extend(found.map(|(session, _)| session.clone()));
        self.read.add(&analysis);
        let records = self.state.records_after(known, self.ingest, self.source, &analysis);
        Ok((analysis, records))
    }

    fn into_batch(mut self, sources: Vec<SourceRecord>) -> (Batch, LinesRead) {
        let (rows, superseded) = (self.history.take_changed(), self.history.take_superseded());
        (Batch { rows, superseded, sources, sessions: self.sessions }, self.read)
    }
}

impl FeedSource<'_> {
    /// Counts the lines at this position.
    fn analyze(
        &self,
        position: ReadPosition,
        content: &[u8],
        history: &mut History,
    ) -> Result<FileAnalysis, BridgeError> {
        let file = SourceFile { size: position.offset, ..self.file.clone() };
        analyze_content(&file, self.session.as_ref(), position, content, &self.analyzer, history)
            .map_err(|error| BridgeError::unreadable(&self.recorded, error))
    }

    /// Counts lines that are already recorded, only for their rows.
    pub(crate) fn analyze_again(&self, position: ReadPosition, content: &[u8]) -> Result<Batch, BridgeError> {
        let mut history = History::default();
        let analysis = self.analyze(position, content, &mut history)?;
        let found = analysis.sessions.iter().filter(|(_, part)| part.snapshots > 0);
        let sessions = found.map(|(session, _)| session.clone()).collect();
        let (rows, superseded) = (history.take_changed(), history.take_superseded());
        Ok(Batch { rows, superseded, sources: Vec::new(), sessions })
    }
}
