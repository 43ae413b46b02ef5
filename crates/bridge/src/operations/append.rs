//! Stores pushed entries of a session.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use bridge_analysis::SourceFile;
use bridge_analysis::incremental::ReadPosition;
use bridge_core::{BridgeError, PositionUnit, SessionId, Stopwatch, StreamResult};

use crate::entries::SessionEntries;
use crate::ingest::feed::{FeedSource, FeedState};
use crate::ingest::overlap::{Chain, Gap, Overlap, Placement, place};
use crate::ingest::push_cursor::PushCursor;
use crate::ingest::stream::{KnownStream, PIECE_BYTES, StreamFeed, read_position, unknown_state};
use crate::ingest::{Ingest, analysis_died};

/// Stores the entries that are new.
pub(crate) async fn append(
    ingest: &Arc<Ingest>,
    session: &SessionId,
    entries: SessionEntries,
) -> Result<StreamResult, BridgeError> {
    let watch = Stopwatch::start();
    let source = source(ingest, session, &entries);
    let _turn = ingest.stream_turns.of(&source.recorded).await;
    let known = KnownStream::read(ingest, "append", &source.host, &source.recorded).await?;
    let cursor = known.cursor.as_ref().map(PushCursor::from).unwrap_or_default();
    let placing = move || (place(entries.entries(), entries.first, cursor.stored), entries);
    let (placement, entries) = tokio::task::spawn_blocking(placing).await.map_err(analysis_died)?;
    let placement = placement.map_err(|Gap(expected)| {
        let first = entries.first.unwrap_or_default();
        BridgeError::out_of_order(&source.recorded, PositionUnit::Entry, expected, first)
    })?;
    let mut push = Push::begin(ingest, source, known, cursor, placement);
    push.store(entries, placement).await?;
    let mut result = push.feed.finish().await?;
    result.processing_time = watch.elapsed();
    Ok(result)
}

/// Returns the stream of the entries.
fn source(ingest: &Ingest, session: &SessionId, entries: &SessionEntries) -> FeedSource<'static> {
    let mut analyzer = ingest.analyzer.clone();
    let host = entries.host.clone().unwrap_or_else(|| ingest.host.clone());
    analyzer.host = Some(host.clone());
    FeedSource {
        file: SourceFile {
            // Only its name matters, which identifies a subagent's transcript.
            path: entries.subpath.as_deref().map_or_else(PathBuf::new, PathBuf::from),
            size: 0,
            modified: entries.received.unwrap_or_else(|| ingest.clock.now()),
            project_folder: entries.project_key.clone(),
        },
        session: Some(session.clone()),
        recorded: entries.recorded_name(session).into(),
        host,
        analyzer: Cow::Owned(analyzer),
        state: unknown_state(),
    }
}

/// An operation that stores a push.
struct Push<'a> {
    feed: StreamFeed<'a>,
    /// The stored entries, up to the last piece.
    cursor: PushCursor,
    /// The end of the entries that were stored before.
    end: ReadPosition,
}

impl<'a> Push<'a> {
    fn begin(
        ingest: &'a Arc<Ingest>,
        mut source: FeedSource<'static>,
        mut known: KnownStream,
        cursor: PushCursor,
        placement: Placement,
    ) -> Self {
        let is_replaced = placement.overlap == Overlap::Replaced;
        let mut cursor = if is_replaced { cursor.replaced() } else { cursor };
        cursor.stored.before_last_push = placement.before;
        cursor.write_to(&mut source.state);
        let continued = known.cursor.filter(|_| !is_replaced);
        let end = continued.as_ref().map(read_position).unwrap_or_default();
        let state = FeedState::resumed(end, std::mem::take(&mut known.records), known.epoch);
        let feed = StreamFeed::new(ingest, source, state, &known);
        Self { feed, cursor, end }
    }

    async fn store(&mut self, entries: SessionEntries, placement: Placement) -> Result<(), BridgeError> {
        let line_bytes_max = self.feed.source.analyzer.line_bytes_max;
        let first = entries.first.unwrap_or(self.cursor.stored.number);
        let mut lines = entries.lines;
        let pending = lines.len() - lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if pending > line_bytes_max {
            // It is dropped as a whole, and is not expected again.
            lines.push(b'\n');
        }
        let known_bytes = line_starts(&lines).nth(placement.known).unwrap_or(lines.len());
        let new = lines.split_off(known_bytes);
        self.feed.pass_over(placement.known as u64);
        if placement.overlap == Overlap::Unproved {
            self.merge_again(lines, first).await?;
        }
        let mut rest = new.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_end(rest));
            let whole = piece.split_inclusive(|byte| *byte == b'\n');
            let complete = whole.filter_map(|line| line.strip_suffix(b"\n"));
            self.cursor.stored.chain = complete.fold(self.cursor.stored.chain, Chain::then);
            self.cursor.write_to(&mut self.feed.source.state);
            let offset = self.feed.end();
            if !self.feed.take(offset, piece.to_vec(), after.is_empty()).await? {
                break;
            }
            rest = after;
        }
        Ok(())
    }

    /// Merges the rows of entries that may differ from the stored ones with the same numbers, so that none is lost.
    async fn merge_again(&mut self, lines: Vec<u8>, first: u64) -> Result<(), BridgeError> {
        // Times before the middle are unknown. A response without a time gets a late one, which ranks below the stored
        // one.
        let mut middle = ReadPosition { offset: self.end.offset, newlines: first, ..Default::default() };
        middle.time.before = middle.offset;
        let position = if first == 0 { ReadPosition::default() } else { middle };
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_end(rest));
            self.feed.merge_again(position, piece.to_vec()).await?;
            rest = after;
        }
        Ok(())
    }
}

fn line_starts(lines: &[u8]) -> impl Iterator<Item = usize> {
    let behind = lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    [0].into_iter().chain(behind)
}

/// Returns the end of the first piece, which is at least one whole line.
fn piece_end(lines: &[u8]) -> usize {
    let newline = |byte: &u8| *byte == b'\n';
    let Some(piece) = lines.get(..PIECE_BYTES) else { return lines.len() };
    let end = piece.iter().rposition(newline).or_else(|| lines.iter().position(newline));
    end.map_or(lines.len(), |end| end + 1)
}
