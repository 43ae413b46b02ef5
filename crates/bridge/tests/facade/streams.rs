//! Sources that are no files: entries that are pushed, and readers.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bridge::analysis::AnalyzerOptions;
use bridge::storage::{InMemoryStore, ResponseFilter, SourceFilter, SourcePaths, SourceRecord, TokenStore};
use bridge::stream::{PositionUnit, SessionEntries, StreamResult, TranscriptStream};
use bridge::{
    BridgeError, EnhancedTokenDatabaseBridge, HostName, IntegrityOptions, ProjectNames, Repair,
    ResponseUsage, RollbackMode, SessionId, SyncMode, SyncOptions, SyncStatus, Timestamp,
};
use bridge_testkit::adversarial;
use bridge_testkit::history::{GeneratedFile, HistoryPlan};
use fastrand::Rng;
use tempfile::TempDir;
use tokio::io::{AsyncRead, ReadBuf};

use crate::facade::{bridge, in_memory, now};

fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

fn line(id: u64, output: u64) -> String {
    format!(
        r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_{id:024}","stop_reason":"end_turn","usage":{{"output_tokens":{output}}}}}}}"#
    ) + "\n"
}

async fn responses(store: &dyn TokenStore) -> Vec<ResponseUsage> {
    store.responses(&ResponseFilter::default()).await.unwrap()
}

async fn tokens(store: &dyn TokenStore) -> u64 {
    store.totals(&ResponseFilter::default()).await.unwrap().counts.total()
}

async fn streams(store: &dyn TokenStore) -> Vec<SourceRecord> {
    store.sources(&SourceFilter::default().of_paths(SourcePaths::Streams)).await.unwrap()
}

/// The statistics of the transcripts of one name: lines, bad lines and bad usage, and by session snapshots and tokens.
type Statistics = (u64, u64, u64, BTreeMap<SessionId, (u64, u64)>);

fn statistics(records: &[SourceRecord]) -> BTreeMap<String, Statistics> {
    let mut all: BTreeMap<String, Statistics> = BTreeMap::new();
    for record in records {
        let name = record.path.file_name().unwrap().to_str().unwrap();
        let name = name.trim_start_matches("push:").trim_end_matches(".jsonl").to_owned();
        let (lines, bad_lines, bad_usage, sessions) = all.entry(name).or_default();
        *lines += record.lines - record.damage.pending_lines;
        *bad_lines += record.damage.bad_lines;
        *bad_usage += record.damage.bad_usage;
        if record.snapshots > 0 {
            sessions.insert(record.session.clone(), (record.snapshots, record.snapshot_tokens));
        }
    }
    all
}

/// Transcripts on disk, and what one synchronization makes of them.
struct Expected {
    folder: TempDir,
    files: Vec<GeneratedFile>,
    responses: Vec<ResponseUsage>,
    statistics: BTreeMap<String, Statistics>,
}

impl Expected {
    async fn of(files: Vec<GeneratedFile>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let truth = bridge_testkit::history::HistoryTruth::default();
        let history = bridge_testkit::history::GeneratedHistory { files, truth };
        history.write_below(&folder.path().join("projects")).unwrap();
        let store = Arc::new(InMemoryStore::default());
        // Of what is streamed every line is validated.
        let mut analyzer = AnalyzerOptions::default();
        (analyzer.host, analyzer.strict) = (HostName::new("host").ok(), true);
        let _ = crate::builder(store.clone(), &[folder.path()])
            .analyzer(analyzer)
            .build()
            .sync_all_sessions(SyncOptions::default())
            .await
            .unwrap();
        let responses = responses(&*store).await;
        let statistics = statistics(&store.sources(&SourceFilter::default()).await.unwrap());
        let mut files = history.files;
        let is_transcript = |name: &str| name.ends_with(".jsonl") && !name.ends_with("journal.jsonl");
        files.retain(|file| is_transcript(&file.relative_path));
        Self { folder, files, responses, statistics }
    }

    async fn history(seed: u64) -> Self {
        Self::of(HistoryPlan { seed, sessions: 2, ..HistoryPlan::default() }.generate().files).await
    }

    /// A transcript of everything that the grammar allows, and of damage.
    async fn adversarial(seed: u64) -> Self {
        let content = adversarial::transcript(&mut Rng::with_seed(seed), 40);
        let relative_path = "-home-user-app/s.jsonl".to_owned();
        Self::of(vec![GeneratedFile { relative_path, content, modified_millis: now().as_millis() }]).await
    }

    fn path(&self, file: &GeneratedFile) -> String {
        self.folder.path().join("projects").join(&file.relative_path).to_str().unwrap().to_owned()
    }
}

/// The session that a file's lines belong to where they name none, and its entries.
fn pushed(file: &GeneratedFile) -> (SessionId, impl Fn(&[&[u8]]) -> SessionEntries) {
    let path = Path::new(&file.relative_path);
    let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let project = file.relative_path.split('/').next().unwrap().to_owned();
    let modified = Timestamp::from_millis(file.modified_millis).unwrap();
    let subpath = stem.starts_with("agent-").then(|| format!("subagents/{stem}"));
    let entries = move |lines: &[&[u8]]| {
        let mut entries = SessionEntries::from_ndjson(lines.concat())
            .with_project_key(project.clone())
            .with_received(modified);
        if let Some(subpath) = &subpath {
            entries = entries.with_subpath(subpath.clone());
        }
        entries
    };
    (session(&stem), entries)
}

/// Pushes the file's lines in parts of any size, some of them again, with or without their numbers.
async fn push(bridge: &EnhancedTokenDatabaseBridge, file: &GeneratedFile, synced: bool, rng: &mut Rng) {
    let (session, entries) = pushed(file);
    let lines: Vec<&[u8]> = file.content.split_inclusive(|byte| *byte == b'\n').collect();
    let number = |end: usize| entries(&lines[..end]).len() as u64;
    let is_numbered = rng.bool();
    let mut done = 0;
    while done < lines.len() {
        let end = rng.usize(done..lines.len()) + 1;
        // Repeated: from the last push on, or from any line where these have numbers.
        let starts = if is_numbered { [0, done, rng.usize(..=done)] } else { [done, done, done] };
        for start in starts {
            let mut part = entries(&lines[start..end]);
            if is_numbered {
                part = part.with_first(number(start));
            }
            let result = bridge.append(&session, part).await.unwrap();
            assert!(result.success, "{:?}", result.errors);
            assert_eq!(result.position.lines, number(end));
        }
        if !is_numbered && rng.bool() {
            // All of it once more, as a run does that has no place to remember what it sent.
            let _ = bridge.append(&session, entries(&lines[..end])).await.unwrap();
        }
        if synced && rng.bool() {
            let _ = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
        }
        done = end;
    }
}

async fn check_pushes(expected: &Expected, seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    for synced in [false, true] {
        let store = Arc::new(InMemoryStore::default());
        let sources = if synced { vec![expected.folder.path()] } else { Vec::new() };
        let bridge = bridge(store.clone(), &sources);
        for file in &expected.files {
            push(&bridge, file, synced, rng).await;
        }
        if !synced {
            assert_eq!(responses(&*store).await, expected.responses, "{seed}");
            assert_eq!(statistics(&streams(&*store).await), expected.statistics, "{seed}");
        }
        let _ = crate::facade::bridge(store.clone(), &[expected.folder.path()])
            .sync_all_sessions(SyncOptions::default())
            .await
            .unwrap();
        assert_eq!(responses(&*store).await, expected.responses, "{seed} {synced}");
    }
}

#[tokio::test]
async fn entries_pushed_in_any_parts_again_and_beside_the_file_store_the_same_as_a_sync() {
    for seed in 0..6 {
        check_pushes(&Expected::history(seed).await, seed).await;
    }
    for seed in 0..40 {
        check_pushes(&Expected::adversarial(seed).await, seed).await;
    }
}

/// Delivers the content in small pieces, and fails behind it where it is cut off.
struct Connection<'a> {
    content: &'a [u8],
    is_cut_off: bool,
    rng: Rng,
}

impl AsyncRead for Connection<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.content.is_empty() && self.is_cut_off {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let bytes = self.rng.usize(1..300).min(self.content.len()).min(buffer.remaining());
        let (piece, rest) = self.content.split_at(bytes);
        buffer.put_slice(piece);
        self.content = rest;
        Poll::Ready(Ok(()))
    }
}

/// Reads the file as an object that grows, each time from where it is stored to, over a connection that fails at times.
async fn read_growing(
    bridge: &EnhancedTokenDatabaseBridge,
    stream: &TranscriptStream,
    content: &[u8],
    rng: &mut Rng,
) {
    let mut size = 0;
    while size < content.len() {
        size = rng.usize(size..content.len()) + 1;
        loop {
            let stored = bridge.stored_stream_position(stream).await.unwrap().unwrap_or_default();
            let from = usize::try_from(stored.bytes).unwrap();
            let end = if rng.u8(..3) == 0 { rng.usize(from..=size) } else { size };
            let content = &content[from..end];
            let connection = Connection { content, is_cut_off: end < size, rng: rng.fork() };
            match bridge.read_stream(&stream.clone().starting_at(stored.bytes), connection).await {
                Ok(result) => {
                    assert!(result.success, "{:?}", result.errors);
                    break;
                }
                Err(error) => assert_eq!(error.kind(), "source", "{error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_growing_object_stores_the_same_as_a_sync() {
    let mut all = Vec::new();
    for seed in 0..4 {
        all.push(Expected::history(seed).await);
    }
    for seed in 0..30 {
        all.push(Expected::adversarial(seed).await);
    }
    for (seed, expected) in (0..).zip(&all) {
        let rng = &mut Rng::with_seed(seed);
        let store = Arc::new(InMemoryStore::default());
        let bridge = bridge(store.clone(), &[]);
        for file in &expected.files {
            let modified = Timestamp::from_millis(file.modified_millis).unwrap();
            let stream = TranscriptStream::new(expected.path(file)).with_modified(modified);
            read_growing(&bridge, &stream, &file.content, rng).await;
        }
        assert_eq!(responses(&*store).await, expected.responses, "{seed}");
        // Read once more as a whole.
        for file in &expected.files {
            let modified = Timestamp::from_millis(file.modified_millis).unwrap();
            let stream = TranscriptStream::new(expected.path(file)).with_modified(modified);
            let _ = bridge.read_stream(&stream, file.content.as_slice()).await.unwrap();
        }
        assert_eq!(responses(&*store).await, expected.responses, "{seed}");
        assert_eq!(statistics(&streams(&*store).await), expected.statistics, "{seed}");
    }
}

/// Dropped at any point, and pushed by two bridges at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_that_are_cancelled_or_race_lose_nothing_and_count_nothing_twice() {
    let expected = Expected::history(3).await;
    let store = Arc::new(InMemoryStore::default());
    let (a, b) = (bridge(store.clone(), &[]), bridge(store.clone(), &[]));
    for file in &expected.files {
        let (session, entries) = pushed(file);
        let lines: Vec<&[u8]> = file.content.split_inclusive(|byte| *byte == b'\n').collect();
        let (head, tail) = lines.split_at(lines.len() / 2);
        for yields in 0..8 {
            let give_up = async {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                () = give_up => {}
                result = a.append(&session, entries(head)) => assert!(result.unwrap().success),
            }
        }
        let first = entries(head).len() as u64;
        let all = || entries(&lines).with_first(0);
        let later = entries(tail).with_first(first);
        let (of_a, of_b) = tokio::join!(a.append(&session, all()), b.append(&session, all()));
        assert!(of_a.unwrap().success && of_b.unwrap().success);
        let (of_a, of_b) = tokio::join!(a.append(&session, later), b.append(&session, entries(tail)));
        assert!(of_a.unwrap().success && of_b.unwrap().success);
    }
    assert_eq!(responses(&*store).await, expected.responses);
}

#[tokio::test]
async fn missing_entries_are_an_error_that_says_which_are_expected() {
    let (store, bridge) = in_memory();
    let s = session("s");
    let entries = |ids: std::ops::Range<u64>| {
        SessionEntries::from_ndjson(ids.clone().map(|id| line(id, 1)).collect::<String>())
            .with_first(ids.start)
    };
    let _ = bridge.append(&s, entries(0..2)).await.unwrap();
    let error = bridge.append(&s, entries(3..4)).await.unwrap_err();
    assert!(
        matches!(error, BridgeError::OutOfOrder { expected: 2, offset: 3, unit: PositionUnit::Entry, .. }),
        "{error}"
    );
    assert_eq!(error.to_string(), "push:s: lines start at entry 3, expected at entry 2");
    let result = bridge.append(&s, entries(1..4)).await.unwrap();
    assert_eq!((result.lines_known, result.lines_read, tokens(&*store).await), (1, 2, 4));
}

#[tokio::test]
async fn damage_is_counted_and_an_incomplete_line_is_expected_again() {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.line_bytes_max = 1_000;
    let store = Arc::new(InMemoryStore::default());
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).analyzer(analyzer).build();
    let s = session("s");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(50_000));
    let text = format!("{}{long}\n{{\"type\":\n{}", line(1, 2), &line(2, 40)[..60]);
    let damage = |result: &StreamResult| {
        (result.damage.oversize_lines, result.damage.bad_lines, result.damage.pending_lines)
    };
    for _ in 0..2 {
        let result = bridge.append(&s, SessionEntries::from_ndjson(&text)).await.unwrap();
        assert_eq!((result.position.lines, result.damage.pending_lines), (3, 1));
        assert!(result.damaged_lines.iter().all(|damaged| damaged.path == Path::new("push:s")));
    }
    let numbered = SessionEntries::from_ndjson(line(2, 40)).with_first(3);
    let result = bridge.append(&s, numbered).await.unwrap();
    assert_eq!((damage(&result), result.position.lines), ((0, 0, 0), 4));
    // A last line over the limit is dropped, complete or not.
    let result = bridge.append(&s, SessionEntries::from_ndjson(&long[..2_000])).await.unwrap();
    assert_eq!((damage(&result), result.position.lines), ((1, 0, 0), 5));
    let records = streams(&*store).await;
    let damage = records[0].damage;
    assert_eq!((records.len(), records[0].lines, damage.oversize_lines, damage.bad_lines), (1, 5, 2, 1));
    assert_eq!((damage.pending_lines, tokens(&*store).await), (0, 42));
}

#[tokio::test]
async fn a_line_over_the_limit_is_dropped_whole_wherever_the_reader_begins() {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.line_bytes_max = 1_000;
    let store = Arc::new(InMemoryStore::default());
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).analyzer(analyzer).build();
    let object = format!("{}{}{}{}", line(1, 2), "x".repeat(3_000), line(9, 900), line(2, 40));
    let stream = TranscriptStream::new("s3://b/s.jsonl");
    read_growing(&bridge, &stream, object.as_bytes(), &mut Rng::with_seed(5)).await;
    let records = streams(&*store).await;
    assert_eq!((records[0].lines, records[0].damage.oversize_lines), (3, 1));
    assert_eq!(tokens(&*store).await, 42);
}

#[tokio::test]
async fn other_entries_under_known_numbers_are_not_lost() {
    let (store, bridge) = in_memory();
    let s = session("s");
    let text = |ids: &[u64]| ids.iter().map(|id| line(*id, 1)).collect::<String>();
    let push =
        |ids: &[u64], first| bridge.append(&s, SessionEntries::from_ndjson(text(ids)).with_first(first));
    let _ = push(&[1, 2, 3], 0).await.unwrap();
    // Nothing shows that these are others: their rows are merged, and the record stays.
    let result = push(&[4], 1).await.unwrap();
    assert_eq!((result.lines_known, result.position.lines, tokens(&*store).await), (1, 3, 4));
    // Another stream in the place of the first one replaces its record.
    let result = push(&[5, 6, 7], 0).await.unwrap();
    assert_eq!((result.lines_read, result.position.lines, tokens(&*store).await), (3, 3, 7));
    assert_eq!(streams(&*store).await[0].snapshots, 3);
    assert_eq!(push(&[8], 3).await.unwrap().position.lines, 4);
}

#[tokio::test]
async fn an_object_with_a_known_etag_is_not_read_and_a_shorter_one_replaces_its_record() {
    let (store, bridge) = in_memory();
    let object = |etag: &str| TranscriptStream::new("s3://b/s.jsonl").with_etag(etag);
    let content = line(1, 2) + &line(2, 40);
    let _ = bridge.read_stream(&object("one"), content.as_bytes()).await.unwrap();
    let unread = Connection { content: b"", is_cut_off: true, rng: Rng::with_seed(0) };
    let result = bridge.read_stream(&object("one"), unread).await.unwrap();
    assert_eq!((result.lines_known, result.lines_read, result.success), (2, 0, true));
    let result = bridge.read_stream(&object("two"), line(1, 2).as_bytes()).await.unwrap();
    assert_eq!((result.lines_read, result.position.lines), (1, 1));
    assert_eq!((streams(&*store).await[0].snapshots, tokens(&*store).await), (1, 42));
}

#[tokio::test]
async fn a_sync_takes_no_stream_for_a_file_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), &[folder.path()]);
    let s = session("s");
    let _ = bridge.append(&s, SessionEntries::from_ndjson(line(1, 42))).await.unwrap();
    for mode in [SyncMode::Incremental, SyncMode::Full] {
        let result = bridge.sync_session_tokens(&s, mode).await.unwrap();
        assert_eq!((result.status, result.tokens_after), (SyncStatus::Streamed, 42));
    }
    // The file with the same content is read, and is not taken for one that was moved.
    std::fs::write(folder.path().join("s.jsonl"), line(1, 42)).unwrap();
    let result = &bridge.sync_all_sessions(SyncOptions::default()).await.unwrap()[0];
    assert_eq!((result.status, result.tokens_after, result.files_read), (SyncStatus::Unchanged, 42, 1));
    assert_eq!(streams(&*store).await[0].snapshots, 1);
    std::fs::remove_file(folder.path().join("s.jsonl")).unwrap();
    let result = &bridge.sync_all_sessions(SyncOptions::default()).await.unwrap()[0];
    assert_eq!((result.status, result.tokens_after), (SyncStatus::Streamed, 42));
}

#[tokio::test]
async fn what_was_streamed_is_neither_refuted_nor_repaired_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), &[folder.path()]);
    // The file holds a lesser snapshot of the first response and nothing of the second.
    std::fs::write(folder.path().join("s.jsonl"), line(1, 1)).unwrap();
    let entries = SessionEntries::from_ndjson(line(1, 2) + &line(2, 40));
    let _ = bridge.append(&session("s"), entries).await.unwrap();
    let _ = bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    for repair in [Repair::Off, Repair::Restore, Repair::Force, Repair::Purge] {
        let options = IntegrityOptions::default().with_repair(repair);
        let result = bridge.verify_data_integrity(options).await.unwrap();
        assert!(result.passed, "{repair:?} {result:?}");
        let unverifiable = result.unverifiable();
        assert_eq!((unverifiable.responses, unverifiable.stored_tokens), (2, 42));
        assert_eq!(tokens(&*store).await, 42, "{repair:?}");
    }
}

#[tokio::test]
async fn after_a_rollback_a_stream_begins_anew() {
    let (store, bridge) = in_memory();
    let (s, empty) = (session("s"), bridge::CheckpointName::new("empty").unwrap());
    bridge.checkpoints().create(&empty).await.unwrap();
    let entries = |id, output| SessionEntries::from_ndjson(line(id, output));
    let _ = bridge.append(&s, entries(1, 2)).await.unwrap();
    let _ = bridge.rollback_bridge_integration(&empty, RollbackMode::Perform).await.unwrap();
    assert_eq!(bridge.append(&s, entries(2, 40)).await.unwrap_err().kind(), "rolled_back");
    bridge.checkpoints().resume().await.unwrap();
    let error = bridge.append(&s, entries(2, 40).with_first(1)).await.unwrap_err();
    assert!(matches!(error, BridgeError::OutOfOrder { expected: 0, .. }), "{error}");
    let both = SessionEntries::from_ndjson(line(1, 2) + &line(2, 40)).with_first(0);
    assert_eq!(bridge.append(&s, both).await.unwrap().lines_read, 2);
    assert_eq!(tokens(&*store).await, 42);
}

#[tokio::test]
async fn the_name_of_an_object_shows_no_project_that_is_to_be_hidden() {
    let mut analyzer = AnalyzerOptions::default();
    analyzer.project_names = ProjectNames::LastComponent;
    let store = Arc::new(InMemoryStore::default());
    let bridge = EnhancedTokenDatabaseBridge::builder(store.clone()).analyzer(analyzer).build();
    let stream = TranscriptStream::new("s3://b/projects/-home-me-secret/s.jsonl");
    let result = bridge.read_stream(&stream, line(1, 42).as_bytes()).await.unwrap();
    let records = streams(&*store).await;
    assert_eq!((records.len(), &records[0].path), (1, &result.source));
    assert!(!result.source.to_str().unwrap().contains("secret"), "{:?}", result.source);
    assert_eq!(bridge.stored_stream_position(&stream).await.unwrap(), Some(result.position));
}
