//! Counts a file that arrives in batches of bytes, cut anywhere.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use bridge_analysis::incremental::{FileState, ReadPosition, analyze_content};
use bridge_analysis::{FileAnalysis, History, SourceFile};
use bridge_core::{BridgeError, Epoch, Timestamp};
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

/// The part of a file that has arrived.
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

/// The changes that a batch makes to a state. The state itself stays unchanged until all is stored, and is not copied.
#[derive(Debug)]
pub(crate) struct Advance {
    /// The batch starts the file over.
    begins: Option<Epoch>,
    position: ReadPosition,
    records: Vec<SourceRecord>,
    skips_line: bool,
    /// The tail is in the position now.
    ends_lines: bool,
    /// From there on the batch's content goes into the tail.
    tail_from: usize,
}

impl FeedState {
    /// Returns where the next byte belongs.
    fn end(&self) -> u64 {
        self.position.offset + self.tail.len() as u64
    }

    /// Counts a batch, for a store in this epoch.
    pub(crate) fn feed(
        &self,
        ingest: &Ingest,
        epoch: Epoch,
        batch: &BatchProcessingResult,
    ) -> Result<(Batch, Advance), BridgeError> {
        // After a rollback, the file must be passed again.
        if batch.offset == 0 || self.epoch != epoch {
            let (found, advance) = Self { epoch, ..Self::default() }.continue_with(ingest, batch)?;
            return Ok((found, Advance { begins: Some(epoch), ..advance }));
        }
        self.continue_with(ingest, batch)
    }

    fn continue_with(
        &self,
        ingest: &Ingest,
        batch: &BatchProcessingResult,
    ) -> Result<(Batch, Advance), BridgeError> {
        let expected = self.end();
        if batch.offset > expected {
            return Err(BridgeError::out_of_order(&batch.path, expected, batch.offset));
        }
        let known = usize::try_from(expected - batch.offset).unwrap_or(usize::MAX).min(batch.content.len());
        let mut new = &batch.content[known..];
        let (mut position, mut records, mut skips_line) =
            (self.position, self.records.clone(), self.skips_line);
        if skips_line && !new.is_empty() {
            let end = new.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            skips_line = end.is_none();
            let (dropped, rest) = new.split_at(end.unwrap_or(new.len()));
            position.offset += dropped.len() as u64;
            // A line over the limit has no time.
            position.time.before = position.offset;
            new = rest;
        }
        // No line ends in the tail, so it is not searched again until one does.
        let mut whole = new.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
        let open = whole.map_or(self.tail.len() + new.len(), |whole| new.len() - whole);
        if open > ingest.analyzer.line_bytes_max {
            whole = Some(new.len());
            skips_line = true;
        }
        let (lines, open) = new.split_at(whole.unwrap_or(0));
        let (mut history, mut sources, mut sessions) = (History::default(), Vec::new(), BTreeSet::new());
        let mut analyze = |position: ReadPosition, content: &[u8], known: Vec<SourceRecord>| {
            let file = SourceFile::of_path(&batch.path, position.offset, batch.modified);
            let analysis = analyze_content(&file, position, content, &ingest.analyzer, &mut history)
                .map_err(|error| BridgeError::unreadable(&batch.path, error))?;
            let read = analysis.sessions.iter().filter(|(_, part)| part.snapshots > 0);
            sessions.extend(read.map(|(session, _)| session.clone()));
            let records = self.records_after(known, ingest, batch, &analysis);
            Ok::<_, BridgeError>((analysis, records))
        };
        if whole.is_some() {
            let (analysis, after) = analyze(position, &[&self.tail, lines].concat(), records)?;
            ingest.telemetry.metrics.read(analysis.bytes, analysis.lines, &analysis.damage);
            (position, records) = (analysis.end, after);
            sources.clone_from(&records);
        }
        if batch.ends_file {
            let tail = if whole.is_some() { open.to_vec() } else { [&self.tail, open].concat() };
            sources.clone_from(&records);
            if !tail.is_empty() {
                // It counts if it is valid, and is read again when it continues.
                sources = analyze(position, &tail, sources)?.1;
            }
        }
        let (ends_lines, tail_from) = (whole.is_some(), batch.content.len() - open.len());
        let advance = Advance { begins: None, position, records, skips_line, ends_lines, tail_from };
        let (rows, superseded) = (history.take_changed(), history.take_superseded());
        Ok((Batch { rows, superseded, sources, sessions }, advance))
    }

    /// Returns the new records of the file. A later synchronization treats it as changed and reads it once.
    fn records_after(
        &self,
        known: Vec<SourceRecord>,
        ingest: &Ingest,
        batch: &BatchProcessingResult,
        analysis: &FileAnalysis,
    ) -> Vec<SourceRecord> {
        let state = FileState {
            size: analysis.end.offset,
            modified: batch.modified,
            changed_nanos: 0,
            identity: 0,
            fingerprint: 0,
        };
        FileReading {
            state,
            known: Some(&KnownFile::of_records(&known, self.epoch)),
            host: &ingest.host,
            project_names: &ingest.analyzer.project_names,
            read_at: ingest.clock.now(),
            epoch: self.epoch,
        }
        .records(analysis)
    }

    /// Advances past a batch that is stored.
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
