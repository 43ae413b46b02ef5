//! The facade for embedders that read transcripts themselves.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge_core::{BridgeError, BridgeResult, SessionId, Stopwatch, saturating_sum};
use tokio::sync::Mutex;
use tracing::Span;

use crate::EnhancedTokenDatabaseBridge;
use crate::ingest::analysis_died;
use crate::ingest::feed::{BatchProcessingResult, FeedState};
use crate::ingest::write::Writer;
use crate::telemetry::current::announce_written;
use crate::telemetry::operation::Operation;

/// Integration bridge for programs that read transcripts themselves. However a file is cut into batches, the store
/// ends up as after a synchronization of the file.
///
/// Holds, for each file being read, its position and the part of its last line that has arrived.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # use std::sync::Arc;
/// # use bridge::{BatchProcessingResult, EnhancedTokenDatabaseBridge, JsonlProcessorBridge, storage::InMemoryStore};
/// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default())).build();
/// let processor = JsonlProcessorBridge::new(bridge);
///
/// let line = br#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
/// let (head, tail) = line.split_at(40);
/// let batch =
///     |offset, content: &[u8]| BatchProcessingResult::new("projects/p/s.jsonl", offset, content.to_vec());
/// let result = processor.on_content_batch_processed(batch(0, head)).await?;
/// assert_eq!(result.records_stored, 0);
/// let result = processor.on_content_batch_processed(batch(40, &[tail, b"\n"].concat())).await?;
/// assert_eq!((result.records_stored, result.total_tokens), (1, 42));
/// // The file is read to its end.
/// processor.forget("projects/p/s.jsonl".as_ref()).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonlProcessorBridge {
    bridge: EnhancedTokenDatabaseBridge,
    /// Batches of one file are stored one at a time: each is stored before the next is counted.
    files: Mutex<HashMap<PathBuf, Arc<Mutex<FeedState>>>>,
}

impl JsonlProcessorBridge {
    /// Returns a processor that stores through this bridge.
    #[must_use]
    pub fn new(bridge: EnhancedTokenDatabaseBridge) -> Self {
        Self { bridge, files: Mutex::default() }
    }

    /// Counts what was read and stores it. The result is about the responses of this batch. Its session is the
    /// one that all of them belong to, if there is one.
    ///
    /// Bytes that arrived before are skipped. A failed batch can be passed again.
    ///
    /// # Errors
    ///
    /// [`BridgeError::OutOfOrder`], with the offsets, if bytes before the batch are missing.
    /// For invalid sessions, the result's errors include [`BridgeError::Validation`].
    /// [`BridgeError::Connection`] or [`BridgeError::Storage`] if the store fails.
    pub async fn on_content_batch_processed(
        &self,
        batch: BatchProcessingResult,
    ) -> Result<BridgeResult, BridgeError> {
        self.bridge.runner().run(Operation::OnContentBatchProcessed, None, self.store(batch)).await
    }

    async fn store(&self, batch: BatchProcessingResult) -> Result<BridgeResult, BridgeError> {
        let watch = Stopwatch::start();
        let file = Arc::clone(self.files.lock().await.entry(batch.path.clone()).or_default());
        let state = file.lock_owned().await;
        let ingest = self.bridge.ingest();
        let epoch = ingest.writable_epoch("store a batch").await?;
        let (counting, span) = (Arc::clone(ingest), Span::current());
        let fed = tokio::task::spawn_blocking(move || {
            span.in_scope(|| state.feed(&counting, epoch, &batch)).map(|fed| (state, batch, fed))
        });
        let (mut state, batch, (found, advance)) = fed.await.map_err(analysis_died)??;
        let responses: Vec<(SessionId, u64)> =
            found.rows.iter().map(|row| (row.session.clone(), row.counts.total())).collect();
        let mut writer = Writer::new(ingest, epoch);
        writer.write(found).await?;
        let (written, ()) = tokio::join!(writer.finish_cursors(), announce_written());
        written?;
        state.advance(advance, &batch.content);
        let first = responses.first().map(|(session, _)| session.clone());
        let errors: Vec<String> = writer.rejections().collect();
        Ok(BridgeResult {
            success: errors.is_empty(),
            records_stored: writer.written(),
            new_responses: writer.new,
            total_tokens: saturating_sum(responses.iter().map(|(_, tokens)| *tokens)),
            replaced_tokens: writer.tokens_replaced,
            covered_by_tokens: None,
            processing_time: watch.elapsed(),
            errors,
            session_id: first.filter(|first| responses.iter().all(|(session, _)| session == first)),
        })
    }

    /// Drops the state of a file, for example one that will not be read any further.
    pub async fn forget(&self, path: &Path) {
        self.files.lock().await.remove(path);
    }
}
