//! For embedders that read transcripts themselves: what they read is counted and stored batch by batch.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use bridge_analysis::{FileAnalysis, FileMark, History, ReadPosition, SourceFile, analyze_content};
use bridge_core::{BridgeError, BridgeResult, Epoch, ResponseUsage, SessionId, Stopwatch, Timestamp};
use bridge_storage::SourceRecord;
use tokio::sync::Mutex;

use crate::EnhancedTokenDatabaseBridge;
use crate::operation::Operation;
use crate::reading::Found;
use crate::sources::{FileReading, KnownFile};
use crate::storing::Storing;

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
/// ends as a synchronisation of the file would leave it.
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
    /// Batches of all files are taken one at a time: what is stored of one is there before the next comes.
    files: Mutex<HashMap<PathBuf, FeedState>>,
}

/// How far a file came in.
#[derive(Clone, Default)]
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

impl FeedState {
    /// Takes what follows on what came before.
    fn take(&mut self, content: &[u8]) {
        let dropped = match content.iter().position(|byte| *byte == b'\n') {
            _ if !self.skips_line => 0,
            Some(end) => end + 1,
            None => content.len(),
        };
        self.skips_line &= dropped == content.len() && content.last() != Some(&b'\n');
        self.position.offset += dropped as u64;
        // A line over the limit tells no time.
        self.position.time.before = self.position.offset;
        self.tail.extend(&content[dropped..]);
    }
}

impl fmt::Debug for FeedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedState").field("position", &self.position).finish_non_exhaustive()
    }
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
        let mut files = self.files.lock().await;
        let epoch = self.bridge.writable_epoch("store a batch").await?;
        let state = match files.get(&batch.path) {
            // What a rollback took back is handed in again.
            Some(state) if batch.offset > 0 && state.epoch == epoch => state.clone(),
            _ => FeedState { epoch, ..FeedState::default() },
        };
        let fed = self.feed(state, &batch)?;
        let mut storing = Storing::new(&self.bridge, epoch);
        let responses: Vec<(SessionId, u64)> =
            fed.rows.iter().map(|row| (row.session.clone(), row.counts.total())).collect();
        storing.store(Found { rows: fed.rows, sources: fed.sources }).await?;
        storing.cursors_written().await?;
        files.insert(batch.path, fed.state);
        let first = responses.first().map(|(session, _)| session.clone());
        let errors: Vec<String> = storing.rejections().collect();
        Ok(BridgeResult {
            success: errors.is_empty(),
            records_stored: storing.new + storing.replaced,
            new_responses: storing.new,
            total_tokens: responses.iter().map(|(_, tokens)| tokens).sum(),
            processing_time: watch.elapsed(),
            errors,
            session_id: first.filter(|first| responses.iter().all(|(session, _)| session == first)),
        })
    }

    /// Forgets a file, for instance one that will not be read further.
    pub async fn forget(&self, path: &std::path::Path) {
        self.files.lock().await.remove(path);
    }

    /// The state after a batch, and the rows in it.
    fn feed(&self, mut state: FeedState, batch: &BatchProcessingResult) -> Result<Fed, BridgeError> {
        let expected = state.position.offset + state.tail.len() as u64;
        let known = usize::try_from(expected.saturating_sub(batch.offset)).unwrap_or(usize::MAX);
        if batch.offset > expected {
            let (path, offset) = (batch.path.clone(), batch.offset);
            return Err(BridgeError::OutOfOrder { path, expected, offset, context: Box::default() });
        }
        state.take(batch.content.get(known..).unwrap_or_default());
        let mut whole = state.tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if state.tail.len() - whole > self.bridge.inner.analyzer.line_bytes_max {
            whole = state.tail.len();
            state.skips_line = true;
        }
        let mut history = History::default();
        let content: Vec<u8> = state.tail.drain(..whole).collect();
        if !content.is_empty() {
            let analysis = self.analyze(&state, batch, &content, &mut history)?;
            self.bridge.inner.metrics.read(analysis.bytes, analysis.lines, &analysis.damage);
            state.records = self.records(&state, batch, &analysis);
            state.position = analysis.end;
        }
        let mut sources = state.records.clone();
        if batch.ends_file && !state.tail.is_empty() {
            // It counts if it is valid, and is looked at again when it goes on.
            let analysis = self.analyze(&state, batch, &state.tail, &mut history)?;
            sources = self.records(&state, batch, &analysis);
        }
        Ok(Fed { rows: history.take_changed(), sources, state })
    }

    fn analyze(
        &self,
        state: &FeedState,
        batch: &BatchProcessingResult,
        content: &[u8],
        history: &mut History,
    ) -> Result<FileAnalysis, BridgeError> {
        let file = SourceFile::of_path(&batch.path, state.position.offset, batch.modified);
        analyze_content(&file, state.position, content, &self.bridge.inner.analyzer, history).map_err(
            |error| BridgeError::Source {
                path: batch.path.clone(),
                context: Box::default(),
                source: Some(Box::new(error)),
            },
        )
    }

    /// What the store keeps of the file. A later synchronisation takes it for changed and reads it once.
    fn records(
        &self,
        state: &FeedState,
        batch: &BatchProcessingResult,
        analysis: &FileAnalysis,
    ) -> Vec<SourceRecord> {
        let mark = FileMark {
            size: analysis.end.offset,
            modified: batch.modified,
            changed_nanos: 0,
            identity: 0,
            fingerprint: 0,
        };
        let known = KnownFile::of_records(state.records.clone(), state.epoch);
        let read_at = self.bridge.inner.clock.now();
        let project_names = &self.bridge.inner.analyzer.project_names;
        let (known, host, epoch) = (Some(&known), &self.bridge.host(), state.epoch);
        FileReading { mark, known, host, project_names, read_at, epoch }.records(analysis)
    }
}

/// A state, and what the store is told of the way to it.
struct Fed {
    state: FeedState,
    rows: Vec<ResponseUsage>,
    sources: Vec<SourceRecord>,
}
