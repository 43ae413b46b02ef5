//! For embedders that read transcripts themselves: what they read is counted and stored batch by batch.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bridge_analysis::incremental::{FileState, ReadPosition, analyze_content};
use bridge_analysis::{FileAnalysis, History, SourceFile};
use bridge_core::{
    BridgeError, BridgeResult, Epoch, ResponseUsage, SessionId, Stopwatch, SupersededKey, Timestamp,
    saturating_sum,
};
use bridge_storage::SourceRecord;
use tokio::sync::Mutex;

use crate::EnhancedTokenDatabaseBridge;
use crate::ingest::cursors::{FileReading, KnownFile};
use crate::ingest::read::Batch;
use crate::ingest::write::Writer;
use crate::telemetry::operation::Operation;

/// What an embedder has read of a transcript: its bytes from an offset on.
#[derive(Clone, PartialEq, Eq)]
pub struct BatchProcessingResult {
    /// The transcript. Its name is the session of lines that name none, its folder their project.
    pub path: PathBuf,
    /// Where the content begins in the file, in bytes. 0 begins the file anew, also where it was read before.
    pub offset: u64,
    /// The bytes as they stand in the file. They may end anywhere.
    pub content: Vec<u8>,
    /// Whether the file ends here for now: then a last line without a newline counts if it is valid.
    pub ends_file: bool,
    /// When the file was modified last: the time of responses that have no other.
    pub modified: Timestamp,
}

impl fmt::Debug for BatchProcessingResult {
    /// Without the content, which is somebody's conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessingResult")
            .field("path", &self.path)
            .field("offset", &self.offset)
            .field("bytes", &self.content.len())
            .field("ends_file", &self.ends_file)
            .finish_non_exhaustive()
    }
}

/// Integration bridge for programs that read transcripts themselves. Whatever batches a file is cut into, the store
/// ends as a synchronization of the file would leave it.
///
/// Holds for each file that is being read its position and its last line, as far as it is there.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # use std::sync::Arc;
/// # use bridge::{BatchProcessingResult, EnhancedTokenDatabaseBridge, JsonlProcessorBridge, storage::InMemoryStore};
/// # use bridge::core::Timestamp;
/// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
/// let processor = JsonlProcessorBridge::new(bridge);
///
/// let line = br#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
/// let (head, tail) = line.split_at(40);
/// let batch = |offset, content: &[u8]| BatchProcessingResult {
///     path: "projects/p/s.jsonl".into(),
///     offset,
///     content: content.to_vec(),
///     ends_file: false,
///     modified: Timestamp::MIN,
/// };
/// let result = processor.on_content_batch_processed(batch(0, head)).await?;
/// assert_eq!(result.records_stored, 0);
/// let result = processor.on_content_batch_processed(batch(40, &[tail, b"\n"].concat())).await?;
/// assert_eq!((result.records_stored, result.total_tokens), (1, 42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonlProcessorBridge {
    bridge: EnhancedTokenDatabaseBridge,
    /// Batches of one file are taken one at a time: what is stored of one is there before the next comes.
    files: Mutex<HashMap<PathBuf, Arc<Mutex<FeedState>>>>,
}

/// How far a file came in.
#[derive(Default)]
struct FeedState {
    position: ReadPosition,
    /// What stands from there on: the last line, as far as it came.
    tail: Vec<u8>,
    /// The last line is over the limit: what comes of it is dropped.
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

impl FeedState {
    fn of_epoch(epoch: Epoch) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Where the next byte belongs.
    fn end(&self) -> u64 {
        self.position.offset + self.tail.len() as u64
    }

    /// Goes on behind a batch.
    fn advance(&mut self, advance: Advance, content: &[u8]) {
        if advance.ends_lines {
            self.tail.clear();
        }
        self.tail.extend_from_slice(&content[advance.tail_from..]);
        (self.position, self.records, self.skips_line) =
            (advance.position, advance.records, advance.skips_line);
    }
}

/// What a batch makes of a state. The state itself stays until all is stored, and is not copied.
struct Advance {
    position: ReadPosition,
    records: Vec<SourceRecord>,
    skips_line: bool,
    /// What stood in the tail is in the position now.
    ends_lines: bool,
    /// From there on the batch's content goes into the tail.
    tail_from: usize,
}

impl JsonlProcessorBridge {
    /// A processor that stores through this bridge.
    #[must_use]
    pub fn new(bridge: EnhancedTokenDatabaseBridge) -> Self {
        Self { bridge, files: Mutex::default() }
    }

    /// Counts what was read and stores it. The result tells of the responses of this batch; its session is the
    /// one that all of them belong to, if it is one.
    ///
    /// Bytes that came before are passed over. A batch that fails can be handed in again.
    ///
    /// # Errors
    ///
    /// [`BridgeError::OutOfOrder`] where bytes before the batch are missing; it says which.
    /// [`BridgeError::Validation`] is told in the result's errors, for the sessions that are not valid.
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] where the store fails.
    pub async fn on_content_batch_processed(
        &self,
        batch: BatchProcessingResult,
    ) -> Result<BridgeResult, BridgeError> {
        self.bridge.run(Operation::OnContentBatchProcessed, None, self.take(batch)).await
    }

    async fn take(&self, batch: BatchProcessingResult) -> Result<BridgeResult, BridgeError> {
        let watch = Stopwatch::start();
        let file = Arc::clone(self.files.lock().await.entry(batch.path.clone()).or_default());
        let mut state = file.lock().await;
        let epoch = self.bridge.writable_epoch("store a batch").await?;
        // What a rollback took back is handed in again.
        let begins = batch.offset == 0 || state.epoch != epoch;
        let before = if begins { &FeedState::of_epoch(epoch) } else { &*state };
        let fed = self.feed(before, &batch)?;
        let mut storing = Writer::new(&self.bridge, epoch);
        let responses: Vec<(SessionId, u64)> =
            fed.rows.iter().map(|row| (row.session.clone(), row.counts.total())).collect();
        storing
            .store(Batch {
                rows: fed.rows,
                superseded: fed.superseded,
                sources: fed.sources,
                sessions: fed.sessions,
            })
            .await?;
        let (written, ()) = tokio::join!(storing.cursors_written(), self.bridge.announce_written());
        written?;
        if begins {
            *state = FeedState::of_epoch(epoch);
        }
        state.advance(fed.advance, &batch.content);
        let first = responses.first().map(|(session, _)| session.clone());
        let errors: Vec<String> = storing.rejections().collect();
        Ok(BridgeResult {
            success: errors.is_empty(),
            records_stored: storing.new + storing.replaced,
            new_responses: storing.new,
            total_tokens: saturating_sum(responses.iter().map(|(_, tokens)| *tokens)),
            replaced_tokens: storing.tokens_replaced,
            covered_by_tokens: None,
            processing_time: watch.elapsed(),
            errors,
            session_id: first.filter(|first| responses.iter().all(|(session, _)| session == first)),
        })
    }

    /// Forgets a file, for instance one that will not be read further.
    pub async fn forget(&self, path: &std::path::Path) {
        self.files.lock().await.remove(path);
    }

    /// The way to the state after a batch, and the rows in it.
    fn feed(&self, state: &FeedState, batch: &BatchProcessingResult) -> Result<Fed, BridgeError> {
        let expected = state.end();
        if batch.offset > expected {
            let (path, offset) = (batch.path.clone(), batch.offset);
            return Err(BridgeError::OutOfOrder { path, expected, offset, context: Box::default() });
        }
        let known = usize::try_from(expected - batch.offset).unwrap_or(usize::MAX).min(batch.content.len());
        let (mut new, mut position, mut records) =
            (&batch.content[known..], state.position, state.records.clone());
        let mut skips_line = state.skips_line;
        if skips_line && !new.is_empty() {
            let end = new.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            skips_line = end.is_none();
            let (dropped, rest) = new.split_at(end.unwrap_or(new.len()));
            position.offset += dropped.len() as u64;
            // A line over the limit tells no time.
            position.time.before = position.offset;
            new = rest;
        }
        // No line ends in the tail, so it is not looked at again until one does.
        let mut whole = new.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
        let open = whole.map_or(state.tail.len() + new.len(), |whole| new.len() - whole);
        if open > self.bridge.inner.analyzer.line_bytes_max {
            whole = Some(new.len());
            skips_line = true;
        }
        let (lines, open) = new.split_at(whole.unwrap_or(0));
        let (mut history, mut sources, mut sessions) = (History::default(), Vec::new(), BTreeSet::new());
        if whole.is_some() {
            let content = [&state.tail, lines].concat();
            let analysis = self.analyze(position, batch, &content, &mut history)?;
            self.bridge.inner.metrics.read(analysis.bytes, analysis.lines, &analysis.damage);
            sessions.extend(sessions_in(&analysis));
            records = self.records(records, state.epoch, batch, &analysis);
            position = analysis.end;
            sources.clone_from(&records);
        }
        if batch.ends_file {
            let tail = if whole.is_some() { open.to_vec() } else { [&state.tail, open].concat() };
            sources.clone_from(&records);
            if !tail.is_empty() {
                // It counts if it is valid, and is looked at again when it goes on.
                let analysis = self.analyze(position, batch, &tail, &mut history)?;
                sessions.extend(sessions_in(&analysis));
                sources = self.records(sources, state.epoch, batch, &analysis);
            }
        }
        let (ends_lines, tail_from) = (whole.is_some(), batch.content.len() - open.len());
        let advance = Advance { position, records, skips_line, ends_lines, tail_from };
        let (rows, superseded) = (history.take_changed(), history.take_superseded());
        Ok(Fed { rows, superseded, sources, sessions, advance })
    }

    fn analyze(
        &self,
        position: ReadPosition,
        batch: &BatchProcessingResult,
        content: &[u8],
        history: &mut History,
    ) -> Result<FileAnalysis, BridgeError> {
        let file = SourceFile::of_path(&batch.path, position.offset, batch.modified);
        analyze_content(&file, position, content, &self.bridge.inner.analyzer, history).map_err(|error| {
            BridgeError::Source {
                path: batch.path.clone(),
                context: Box::default(),
                source: Some(Box::new(error)),
            }
        })
    }

    /// What the store keeps of the file, after what it has kept so far. A later synchronization takes it for changed
    /// and reads it once.
    fn records(
        &self,
        known: Vec<SourceRecord>,
        epoch: Epoch,
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
        let known = KnownFile::of_records(&known, epoch);
        let read_at = self.bridge.inner.clock.now();
        let project_names = &self.bridge.inner.analyzer.project_names;
        let (known, host) = (Some(&known), &self.bridge.host());
        FileReading { state, known, host, project_names, read_at, epoch }.records(analysis)
    }
}

/// The sessions with a snapshot in what was read.
fn sessions_in(analysis: &FileAnalysis) -> impl Iterator<Item = SessionId> {
    let read = analysis.sessions.iter().filter(|(_, part)| part.snapshots > 0);
    read.map(|(session, _)| session.clone())
}

/// What the store is told of a batch.
struct Fed {
    advance: Advance,
    rows: Vec<ResponseUsage>,
    superseded: Vec<SupersededKey>,
    sources: Vec<SourceRecord>,
    sessions: BTreeSet<SessionId>,
}
