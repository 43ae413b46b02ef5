//! Streams: sources without files. Each piece is stored before the next one is counted, so a stream of any length takes no
//! more memory than a piece and its rows.

use std::array;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Arc;

use bridge_analysis::incremental::{FileState, ReadPosition};
use bridge_core::{BridgeError, DamagedLine, Epoch, HostName, StreamPosition, StreamResult, Timestamp};
use bridge_storage::{SourceCursor, SourceFilter, SourcePaths, SourceRecord};
use tokio::sync::{Mutex, MutexGuard};
use tracing::Span;

use crate::ingest::cursors::KnownFile;
use crate::ingest::feed::{FeedSource, FeedState, LinesRead, Piece};
use crate::ingest::plan::unknown_revision;
use crate::ingest::read::Batch;
use crate::ingest::write::Writer;
use crate::ingest::{Ingest, analysis_died};
use crate::telemetry::current::announce_written;

/// Maximum size of a piece, in bytes. Each piece costs the database a look-up and two inserts.
pub(crate) const PIECE_BYTES: usize = 4 << 20;

/// Maximum number of damaged lines listed in a result.
const DAMAGED_LINES_MAX: usize = 100;

/// The recorded identity of a stream that currently ends inside of a line over the limit, the rest of which is dropped.
pub(crate) const WITHIN_OVERSIZE_LINE: u64 = 1;

/// Maximum number of streams that a process stores at once.
const TURNS: usize = 64;

/// Locks that let one operation at a time store a stream.
#[derive(Debug)]
pub(crate) struct StreamTurns {
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

impl Default for StreamTurns {
    fn default() -> Self {
        Self { turns: array::from_fn(|_| Mutex::default()), hasher: RandomState::default() }
    }
}

impl StreamTurns {
    /// Waits until no other operation stores this stream, or one of the few that share its lock.
    pub(crate) async fn of(&self, recorded: &Path) -> MutexGuard<'_, ()> {
        let turn = self.hasher.hash_one(recorded) % TURNS as u64;
        self.turns[usize::try_from(turn).unwrap_or_default()].lock().await
    }
}

/// The stored state of a stream.
#[derive(Debug, Default)]
pub(crate) struct KnownStream {
    pub(crate) epoch: Epoch,
    pub(crate) records: Vec<SourceRecord>,
    /// Its cursor; `None` if it is new, was read under an older revision of the counting rule, or the store was rolled
    /// back since.
    pub(crate) cursor: Option<SourceCursor>,
}

impl KnownStream {
    /// Reads the records, and the epoch in which the operation begins.
    pub(crate) async fn read(
        ingest: &Ingest,
        operation: &'static str,
        host: &HostName,
        recorded: &Path,
    ) -> Result<Self, BridgeError> {
        let epoch = ingest.writable_epoch(operation);
        let records = stream_records(ingest, host, recorded);
        let (epoch, records) = tokio::try_join!(epoch, records)?;
        Self::of(epoch, records, recorded)
    }

    /// Returns the stream with these records and this name.
    pub(crate) fn of(epoch: Epoch, records: Vec<SourceRecord>, recorded: &Path) -> Result<Self, BridgeError> {
        let known = KnownFile::of_records(&records, epoch);
        if let Some(revision) = known.newer_revision() {
            return Err(BridgeError::unreadable(recorded, unknown_revision(revision)));
        }
        Ok(Self { epoch, cursor: known.cursor().and_then(|_| newest(&records)), records })
    }

    pub(crate) fn position(&self) -> StreamPosition {
        self.cursor.map_or_else(StreamPosition::default, |cursor| position(&cursor))
    }
}

/// Reads the records of a stream.
pub(crate) async fn stream_records(
    ingest: &Ingest,
    host: &HostName,
    recorded: &Path,
) -> Result<Vec<SourceRecord>, BridgeError> {
    let filter = SourceFilter::on_host(host.clone()).of_paths(SourcePaths::Only(recorded.to_owned()));
    ingest.store.sources(&filter).await
}

/// Returns the cursor of the newest record.
fn newest(records: &[SourceRecord]) -> Option<SourceCursor> {
    records.iter().max_by_key(|record| record.version()).map(|record| record.cursor)
}

pub(crate) fn position(cursor: &SourceCursor) -> StreamPosition {
    StreamPosition::new(cursor.offset, cursor.line)
}

/// Returns the position of a cursor, with what a reader must know about the lines before.
pub(crate) fn read_position(cursor: &SourceCursor) -> ReadPosition {
    let mut position = ReadPosition { offset: cursor.offset, newlines: cursor.line, ..Default::default() };
    (position.time.before, position.time.time) = (cursor.carried_before, cursor.carried_time);
    position
}

/// Returns the recorded state of a new stream. It has no time of modification, because the newest such time in the store
/// says which changes of files are stored.
pub(crate) fn unknown_state() -> FileState {
    FileState { size: 0, modified: Timestamp::MIN, changed_nanos: 0, identity: 0, fingerprint: 0 }
}

/// An operation that stores a stream.
pub(crate) struct StreamFeed<'a> {
    ingest: &'a Arc<Ingest>,
    pub(crate) source: FeedSource<'static>,
    state: FeedState,
    writer: Writer<'a>,
    result: StreamResult,
}

impl<'a> StreamFeed<'a> {
    pub(crate) fn new(
        ingest: &'a Arc<Ingest>,
        source: FeedSource<'static>,
        state: FeedState,
        known: &KnownStream,
    ) -> Self {
        let mut result = StreamResult::default();
        result.source.clone_from(&source.recorded);
        result.position = known.position();
        Self { ingest, source, state, writer: Writer::new(ingest, known.epoch).with_costs(), result }
    }

    /// Returns the offset of the next byte.
    pub(crate) fn end(&self) -> u64 {
        self.state.end()
    }

    /// Counts lines that are already stored.
    pub(crate) fn pass_over(&mut self, lines: u64) {
        self.result.lines_known += lines;
    }

    /// Stores a piece that begins at this offset. Returns whether the next piece may follow. If a session is invalid, it
    /// may not: the cursor stays before this piece.
    pub(crate) async fn take(
        &mut self,
        offset: u64,
        content: Vec<u8>,
        is_last: bool,
    ) -> Result<bool, BridgeError> {
        let state = std::mem::take(&mut self.state);
        let (counting, span) = (Arc::clone(self.ingest), Span::current());
        let source = self.source.clone();
        let counted = tokio::task::spawn_blocking(move || {
            let piece = Piece { offset, content: &content, is_last };
            let counted = span.in_scope(|| state.continue_with(&counting, &source, piece));
            counted.map(|(found, advance)| (state, content, found, advance))
        });
        let (mut state, content, mut found, mut advance) = counted.await.map_err(analysis_died)??;
        if advance.skips_line {
            found.sources.iter_mut().for_each(|record| record.cursor.identity = WITHIN_OVERSIZE_LINE);
        }
        let stored_to = newest(&found.sources).map(|cursor| position(&cursor));
        let read = std::mem::take(&mut advance.read);
        self.writer.write(found).await?;
        if !self.writer.rejected.is_empty() {
            return Ok(false);
        }
        state.advance(advance, &content);
        self.state = state;
        self.note(read);
        self.result.position = stored_to.unwrap_or(self.result.position);
        Ok(true)
    }

    /// Merges the rows of lines that are already recorded.
    pub(crate) async fn merge_again(
        &mut self,
        position: ReadPosition,
        content: Vec<u8>,
    ) -> Result<(), BridgeError> {
        let (source, span) = (self.source.clone(), Span::current());
        let analyzing = move || span.in_scope(|| source.analyze_again(position, &content));
        let found: Batch = tokio::task::spawn_blocking(analyzing).await.map_err(analysis_died)??;
        self.writer.write(found).await
    }

    fn note(&mut self, read: LinesRead) {
        self.result.lines_read += read.lines;
        self.result.damage += read.damage;
        let room = DAMAGED_LINES_MAX - self.result.damaged_lines.len();
        let path = &self.source.recorded;
        let listed = read.places.into_iter().take(room).map(|place| DamagedLine {
            path: path.clone(),
            line: place.line,
            offset: place.offset,
            kind: place.kind,
        });
        self.result.damaged_lines.extend(listed);
    }

    /// Waits until the cursors of the stored pieces are stored.
    pub(crate) async fn stop(&mut self) -> Result<(), BridgeError> {
        self.writer.finish_cursors().await
    }

    /// Waits until everything is stored and recorded, and returns the result.
    pub(crate) async fn finish(mut self) -> Result<StreamResult, BridgeError> {
        let (written, ()) = tokio::join!(self.writer.finish_cursors(), announce_written());
        written?;
        let mut result = self.result;
        result.errors = self.writer.rejections().collect();
        result.success = result.errors.is_empty();
        (result.records_stored, result.new_responses) = (self.writer.written(), self.writer.new);
        result.changes = std::mem::take(&mut self.writer.changes);
        result.changes.retain(|_, changes| !changes.is_empty());
        result.cost_changes = self.writer.take_costs();
        result.cost_changes.retain(|session, _| result.changes.contains_key(session));
        Ok(result)
    }
}
