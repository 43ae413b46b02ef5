//! Streams: sources that are no files. Each piece is stored before the next is counted, so that a stream takes no more
//! memory than a piece and its rows, however long it is.

use std::array;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Arc;

use bridge_analysis::incremental::{FileState, ReadPosition};
use bridge_core::{
    BridgeError, DamagedLine, Epoch, HostName, StreamPosition, StreamResult, Timestamp,
};
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

/// Maximum size of a piece of whole lines, in bytes: each costs the database a look-up and two inserts.
pub(crate) const PIECE_BYTES: usize = 4 << 20;

/// Maximum number of damaged lines that a result lists.
const DAMAGED_LINES_MAX: usize = 100;

/// The recorded identity of a stream that ends, for now, within a line over the limit: the rest of it is dropped.
pub(crate) const WITHIN_OVERSIZE_LINE: u64 = 1;

/// Number of streams that a process stores at once.
const TURNS: usize = 64;

/// Turns of streams: one stream is stored by one operation at a time.
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
    /// Waits until nothing else stores this stream. A few others may have to wait with it.
    pub(crate) async fn of(&self, recorded: &Path) -> MutexGuard<'_, ()> {
        let turn = self.hasher.hash_one(recorded) % TURNS as u64;
        self.turns[usize::try_from(turn).unwrap_or_default()].lock().await
    }
}

/// A stream as the store knows it.
#[derive(Debug, Default)]
pub(crate) struct KnownStream {
    pub(crate) epoch: Epoch,
    pub(crate) records: Vec<SourceRecord>,
    /// Its cursor; `None` where nothing of it counts: it is new, an older revision of the counting rule read it, or the
    /// store was rolled back since.
    pub(crate) cursor: Option<SourceCursor>,
}

impl KnownStream {
    /// Reads what is recorded, and the epoch in which an operation begins.
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

    /// Returns the stream of these records, which is recorded under this name.
    pub(crate) fn of(
        epoch: Epoch,
        records: Vec<SourceRecord>,
        recorded: &Path,
    ) -> Result<Self, BridgeError> {
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

/// Reads what is recorded of a stream.
pub(crate) async fn stream_records(
    ingest: &Ingest,
    host: &HostName,
    recorded: &Path,
) -> Result<Vec<SourceRecord>, BridgeError> {
    let filter = SourceFilter::on_host(host.clone()).of_paths(SourcePaths::Only(recorded.to_owned()));
    ingest.store.sources(&filter).await
}

/// The cursor of the newest record: all of a stream are written at once.
fn newest(records: &[SourceRecord]) -> Option<SourceCursor> {
    records.iter().max_by_key(|record| record.version()).map(|record| record.cursor)
}

pub(crate) fn position(cursor: &SourceCursor) -> StreamPosition {
    StreamPosition::new(cursor.offset, cursor.line)
}

/// The position of a cursor, with all that a reader must know of the lines before.
pub(crate) fn read_position(cursor: &SourceCursor) -> ReadPosition {
    let mut position = ReadPosition { offset: cursor.offset, newlines: cursor.line, ..Default::default() };
    (position.time.before, position.time.time) = (cursor.carried_before, cursor.carried_time);
    position
}

/// The recorded state of a stream of which nothing is known yet. It bears no time of modification: the newest one of
/// all files shows up to when they are stored.
pub(crate) fn unknown_state() -> FileState {
    FileState { size: 0, modified: Timestamp::MIN, changed_nanos: 0, identity: 0, fingerprint: 0 }
}

/// A stream that is being stored.
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
        Self { ingest, source, state, writer: Writer::new(ingest, known.epoch), result }
    }

    /// Returns where the next byte belongs.
    pub(crate) fn end(&self) -> u64 {
        self.state.end()
    }

    /// Notes lines that are stored already.
    pub(crate) fn pass_over(&mut self, lines: u64) {
        self.result.lines_known += lines;
    }

    /// Stores a piece that begins at this offset. Returns whether the next may follow: not where a session is not valid,
    /// for then the stream is recorded up to the piece before.
    pub(crate) async fn take(&mut self, offset: u64, content: Vec<u8>, is_last: bool) -> Result<bool, BridgeError> {
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

    /// Merges the rows of lines that are recorded already.
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

    /// Waits until the cursors of what was stored are.
    pub(crate) async fn stop(&mut self) -> Result<(), BridgeError> {
        self.writer.finish_cursors().await
    }

    /// Waits until everything is stored and on record.
    pub(crate) async fn finish(mut self) -> Result<StreamResult, BridgeError> {
        let (written, ()) = tokio::join!(self.writer.finish_cursors(), announce_written());
        written?;
        let mut result = self.result;
        result.errors = self.writer.rejections().collect();
        result.success = result.errors.is_empty();
        (result.records_stored, result.new_responses) = (self.writer.written(), self.writer.new);
        result.changes = std::mem::take(&mut self.writer.changes);
        result.changes.retain(|_, changes| !changes.is_empty());
        Ok(result)
    }
}
