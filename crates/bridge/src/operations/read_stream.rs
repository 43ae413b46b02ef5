//! Stores a transcript that an asynchronous reader delivers.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use bridge_analysis::SourceFile;
use bridge_analysis::incremental::FileState;
use bridge_core::{
    BridgeError, HostName, PositionUnit, SessionId, Stopwatch, StreamPosition, StreamResult, Timestamp,
};
use bridge_storage::SourceCursor;
use tokio::io::{AsyncRead, AsyncReadExt};
use xxhash_rust::xxh3::xxh3_128;

use crate::ingest::Ingest;
use crate::ingest::feed::{FeedSource, FeedState};
use crate::ingest::stream::{
    KnownStream, PIECE_BYTES, StreamFeed, WITHIN_OVERSIZE_LINE, position, read_position, stream_records,
    unknown_state,
};

/// A transcript without a file: an object in an object store, a pipe, the body of a response.
///
/// ```
/// use bridge::stream::TranscriptStream;
///
/// let object = TranscriptStream::new("s3://transcripts/projects/-home-me-app/8f14e45f.jsonl").with_etag("33a64df5");
/// assert_eq!(object.name(), "s3://transcripts/projects/-home-me-app/8f14e45f.jsonl");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TranscriptStream {
    name: String,
    offset: u64,
    etag: Option<String>,
    session: Option<SessionId>,
    project_key: Option<String>,
    host: Option<HostName>,
    modified: Option<Timestamp>,
}

impl TranscriptStream {
    /// Returns a stream with this name, for instance an object's URL without credentials. As with a path, the last
    /// component is the session, and the component after `projects` the project, of lines that name none.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            offset: 0,
            etag: None,
            session: None,
            project_key: None,
            host: None,
            modified: None,
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the stream with the offset at which the reader begins, in bytes. The default is 0.
    #[must_use]
    pub fn starting_at(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Returns the stream with an identifier of its content, such as an object's entity tag. If the stream was read to
    /// its end with the same one, nothing is read.
    #[must_use]
    pub fn with_etag(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// Returns the stream with the session of lines that name none.
    ///
    /// ```
    /// use bridge::stream::TranscriptStream;
    /// use bridge::{HostName, SessionId};
    ///
    /// let pipe = TranscriptStream::new("ci/run-7")
    ///     .starting_at(0)
    ///     .with_session(SessionId::new("8f14e45f")?)
    ///     .with_project_key("-home-me-app")
    ///     .with_host(HostName::new("ci-runner-3")?)
    ///     .with_modified("2026-01-31T12:00:00Z".parse()?);
    /// assert_eq!(pipe.name(), "ci/run-7");
    /// # Ok::<(), bridge::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn with_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Returns the stream with the client's name for the folder of the project's transcripts.
    #[must_use]
    pub fn with_project_key(mut self, key: impl Into<String>) -> Self {
        self.project_key = Some(key.into());
        self
    }

    /// Returns the stream with the host of the transcript. The default is the bridge's host.
    #[must_use]
    pub fn with_host(mut self, host: HostName) -> Self {
        self.host = Some(host);
        self
    }

    /// Returns the stream with the time at which it was last modified: the time of responses that have no other. The
    /// default is the time of the call.
    #[must_use]
    pub fn with_modified(mut self, modified: Timestamp) -> Self {
        self.modified = Some(modified);
        self
    }

    fn source(&self, ingest: &Ingest) -> FeedSource<'static> {
        let mut analyzer = ingest.analyzer.clone();
        let host = self.host.clone().unwrap_or_else(|| ingest.host.clone());
        analyzer.host = Some(host.clone());
        let modified = self.modified.unwrap_or_else(|| ingest.clock.now());
        let mut file = SourceFile::of_path(self.name.as_ref(), 0, modified);
        file.project_folder = self.project_key.clone().or(file.project_folder);
        let mut recorded = PathBuf::from("stream:").into_os_string();
        recorded.push(analyzer.project_names.recorded_path(self.name.as_ref()));
        FeedSource {
            file,
            session: self.session.clone(),
            recorded: recorded.into(),
            host,
            analyzer: Cow::Owned(analyzer),
            state: unknown_state(),
        }
    }

    fn fingerprint(&self) -> u128 {
        self.etag.as_ref().map_or(0, |etag| xxh3_128(etag.as_bytes()))
    }

    /// Returns whether it was read to its end with the same entity tag.
    fn is_read(&self, cursor: &SourceCursor) -> bool {
        self.etag.is_some() && cursor.fingerprint == self.fingerprint()
    }
}

/// Returns the position up to which the stream is stored.
pub(crate) async fn stored_position(
    ingest: &Ingest,
    stream: &TranscriptStream,
) -> Result<Option<StreamPosition>, BridgeError> {
    let source = stream.source(ingest);
    let (state, records) =
        tokio::try_join!(ingest.store.state(), stream_records(ingest, &source.host, &source.recorded))?;
    let known = KnownStream::of(state.epoch, records, &source.recorded)?;
    Ok(known.cursor.as_ref().map(position))
}

/// Stores the new part of the stream.
pub(crate) async fn read_stream(
    ingest: &Arc<Ingest>,
    stream: &TranscriptStream,
    mut reader: impl AsyncRead + Unpin + Send,
) -> Result<StreamResult, BridgeError> {
    let watch = Stopwatch::start();
    let mut source = stream.source(ingest);
    let _turn = ingest.stream_turns.of(&source.recorded).await;
    let mut known = KnownStream::read(ingest, "read a stream", &source.host, &source.recorded).await?;
    let continued = known.cursor.filter(|cursor| stream.offset > 0 || stream.is_read(cursor));
    let end = continued.as_ref().map(read_position).unwrap_or_default();
    if stream.offset > end.offset {
        let unit = PositionUnit::Byte;
        return Err(BridgeError::out_of_order(&source.recorded, unit, end.offset, stream.offset));
    }
    // The record of a later reading replaces that of an earlier one, even if the stream was longer then.
    let changed_nanos = u64::try_from(ingest.clock.now().as_millis()).unwrap_or_default() * 1_000_000;
    let recorded = known.cursor.map(|cursor| cursor.changed_nanos + u64::from(continued.is_none()));
    source.state = FileState { changed_nanos: changed_nanos.max(recorded.unwrap_or(0)), ..source.state };
    let mut state = FeedState::resumed(end, std::mem::take(&mut known.records), known.epoch);
    if continued.is_some_and(|cursor| cursor.identity == WITHIN_OVERSIZE_LINE) {
        state = state.within_oversize_line();
    }
    let mut feed = StreamFeed::new(ingest, source, state, &known);
    if continued.is_some_and(|cursor| stream.is_read(&cursor)) {
        feed.pass_over(end.newlines);
    } else {
        read(&mut feed, stream, &mut reader).await?;
    }
    let mut result = feed.finish().await?;
    result.processing_time = watch.elapsed();
    Ok(result)
}

async fn read(
    feed: &mut StreamFeed<'_>,
    stream: &TranscriptStream,
    reader: &mut (impl AsyncRead + Unpin + Send),
) -> Result<(), BridgeError> {
    let mut offset = stream.offset;
    loop {
        let mut content = Vec::new();
        let piece = PIECE_BYTES as u64;
        let read = reader.take(piece).read_to_end(&mut content).await;
        // What arrived before a failure is stored, so the next attempt can continue after it.
        let is_last = read.as_ref().is_ok_and(|bytes| (*bytes as u64) < piece);
        let bytes = content.len() as u64;
        if is_last {
            feed.source.state.fingerprint = stream.fingerprint();
        }
        let goes_on = feed.take(offset, content, is_last).await?;
        if let Err(error) = read {
            feed.stop().await?;
            return Err(BridgeError::unreadable(&feed.source.recorded, error));
        }
        if is_last || !goes_on {
            return Ok(());
        }
        offset += bytes;
    }
}
