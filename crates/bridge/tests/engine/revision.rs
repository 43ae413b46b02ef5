//! The upgrade from the first revision of the counting rule: rows of available sources become those of a fresh store,
//! and rows of lost sources stay.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge::analysis::incremental::inspect;
use bridge::analysis::{SourceFile, discover};
use bridge::storage::{
    InMemoryStore, ResponseFilter, SourceCursor, SourceFilter, SourceRecord, TokenStore, UpsertOptions,
};
use bridge::{
    Epoch, HostName, IntegrityOptions, Origin, Repair, ResponseKey, ResponseUsage, RuleRevision, SessionId,
    SyncMode, SyncOptions, SyncStatus, Timestamp, integrity::DifferenceKind,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::first_revision;
use bridge_testkit::reference::ReferenceFile;

/// A gateway's session: the same id in every turn, two lines per turn, the second one with an advisor.
fn gateway(session: &str, turns: std::ops::Range<u64>) -> String {
    let line = |turn: u64, output: u64, advisor: &str| {
        format!(
            r#"{{"type":"assistant","sessionId":"{session}","timestamp":"2026-03-01T10:{turn:02}:00Z","message":{{"id":"msg_proxy_stream","model":"m","stop_reason":"end_turn","usage":{{"input_tokens":{},"output_tokens":{output}{advisor}}}}}}}"#,
            1000 * (turn + 1),
        )
    };
    let advisor = r#","iterations":[{"type":"advisor_message","input_tokens":7}]"#;
    turns.map(|turn| format!("{}\n{}\n", line(turn, 5, ""), line(turn, 50 + turn, advisor))).collect()
}

/// Transcripts that the first revision counted differently.
struct Sources {
    folder: tempfile::TempDir,
    files: Vec<PathBuf>,
}

impl Sources {
    fn new(seed: u64) -> Self {
        let (_, folder) = crate::engine::history(seed);
        let project = folder.path().join("projects/gateways");
        fs::create_dir_all(&project).unwrap();
        for (name, turns) in [("a", 0..4), ("b", 3..9)] {
            fs::write(project.join(format!("{name}.jsonl")), gateway(name, turns)).unwrap();
        }
        let session_id = r#"{"type":"assistant","session_id":"moved","timestamp":"2026-03-01T10:00:00Z","message":{"id":"msg_of_another_spelling","stop_reason":"end_turn","usage":{"input_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":40}}}}"#;
        fs::write(project.join("stem.jsonl"), format!("{session_id}\n")).unwrap();
        let files = discover(&[folder.path().to_owned()]).files;
        Self { folder, files: files.into_iter().map(|file| file.path).collect() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Deletes every second file, including one of a gateway.
    fn lose_half(&mut self) {
        self.files.sort();
        let (gone, left) = self.files.drain(..).enumerate().partition::<Vec<_>, _>(|(place, path)| {
            place % 2 == 0 && !path.ends_with("gateways/a.jsonl") && !path.ends_with("gateways/stem.jsonl")
                || path.ends_with("gateways/b.jsonl")
        });
        gone.iter().for_each(|(_, path)| fs::remove_file(path).unwrap());
        self.files = left.into_iter().map(|(_, path)| path).collect();
    }

    /// The merged rows of the first revision.
    fn of_first_revision(&self) -> HashMap<ResponseKey, ResponseUsage> {
        let mut joined: HashMap<ResponseKey, ResponseUsage> = HashMap::new();
        for row in self.files.iter().flat_map(|path| first_revision::rows(&read(path), &host())) {
            let known = joined.remove(&row.key);
            joined.insert(row.key, known.map_or(row.clone(), |known| known.merge(row)));
        }
        joined
    }
}

fn host() -> HostName {
    HostName::new("host").unwrap()
}

fn read(path: &Path) -> ReferenceFile {
    let modified = Timestamp::from_system(fs::metadata(path).unwrap().modified().unwrap());
    ReferenceFile::new(path, modified.as_millis(), fs::read(path).unwrap())
}

/// Fills the store like a program of the first revision: with its rows, and a cursor at the end of each file.
async fn ingest_under_first_revision(store: &dyn TokenStore, sources: &Sources) {
    let rows: Vec<_> = sources.of_first_revision().into_values().collect();
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let mut records = Vec::new();
    for path in &sources.files {
        let file = read(path);
        let mut sessions: BTreeMap<SessionId, (u64, u64)> = BTreeMap::new();
        for row in first_revision::rows(&file, &host()) {
            let sums = sessions.entry(row.session).or_default();
            *sums = (sums.0 + 1, sums.1 + row.counts.total());
        }
        records.extend(sessions.into_iter().map(|(session, sums)| record(path, session, sums)));
    }
    store.put_sources(&records).await.unwrap();
}

fn record(path: &Path, session: SessionId, (snapshots, snapshot_tokens): (u64, u64)) -> SourceRecord {
    let modified = Timestamp::from_system(fs::metadata(path).unwrap().modified().unwrap());
    let file = SourceFile::of_path(path, 0, modified);
    let (mark, _) = inspect(&file, None).unwrap();
    SourceRecord {
        host: host(),
        path: path.to_owned(),
        session,
        cursor: SourceCursor {
            size: mark.size,
            modified: mark.modified,
            changed_nanos: mark.changed_nanos,
            identity: mark.identity,
            fingerprint: mark.fingerprint,
            offset: mark.size,
            line: 0,
            carried_time: None,
            carried_before: 0,
        },
        project: None,
        lines: snapshots,
        damage: Default::default(),
        content_categories: Default::default(),
        snapshots,
        snapshot_tokens,
        first_time: Some(modified),
        last_time: Some(modified),
        activity: None,
        analysis_version: bridge_core::ANALYSIS_VERSION.to_owned(),
        rule_revision: RuleRevision::FIRST,
        // Long after every file's last change, so the cursor is trusted.
        read_at: Timestamp::MAX,
        epoch: Epoch::default(),
    }
}

/// All responses, by key.
async fn responses(store: &dyn TokenStore) -> BTreeMap<ResponseKey, ResponseUsage> {
    let rows = store.responses(&ResponseFilter::default()).await.unwrap();
    rows.into_iter().filter(|row| row.origin != Origin::Covered).map(|row| (row.key, row)).collect()
}

/// The number of snapshots and their tokens by file and session, for existing files.
async fn statistics(store: &dyn TokenStore) -> BTreeMap<(PathBuf, SessionId), (u64, u64)> {
    let records = store.sources(&SourceFilter::default()).await.unwrap();
    let there = records.into_iter().filter(|record| record.path.exists() && record.snapshots > 0);
    there.map(|record| ((record.path, record.session), (record.snapshots, record.snapshot_tokens))).collect()
}

/// The expected content after the upgrade: the rows of a fresh store, and the old rows whose snapshot is no longer in
/// any source. Also returns the number of the latter.
async fn expected(
    sources: &Sources,
    before: &HashMap<ResponseKey, ResponseUsage>,
) -> (BTreeMap<ResponseKey, ResponseUsage>, usize) {
    let fresh = Arc::new(InMemoryStore::default());
    let bridge = crate::engine::bridge(fresh.clone(), sources.path()).build();
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    let mut rows = responses(&*fresh).await;
    let available = sources.of_first_revision();
    let weight = |row: &ResponseUsage| (row.finished, row.counts.output, row.counts.total());
    let is_gone =
        |row: &ResponseUsage| available.get(&row.key).is_none_or(|known| weight(known) < weight(row));
    let mut kept = 0;
    for row in before.values().filter(|row| is_gone(row)) {
        rows.entry(row.key).or_insert_with(|| {
            kept += 1;
            row.clone()
        });
    }
    (rows, kept)
}

async fn upgrade(store: Arc<dyn TokenStore>, seed: u64) {
    let mut sources = Sources::new(seed);
    ingest_under_first_revision(&*store, &sources).await;
    let before = sources.of_first_revision();
    sources.lose_half();
    let bridge = crate::engine::bridge(store.clone(), sources.path()).build();

    let exact = IntegrityOptions::default().with_tolerance(0.0);
    let found = bridge.verify_data_integrity(exact.clone()).await.unwrap();
    assert!(!found.passed && found.of_kind(DifferenceKind::Outdated).responses > 0, "{found:?}");

    let results = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    assert!(results.iter().all(bridge::SyncResult::adds_up), "{results:#?}");
    let by_rule: u64 = results.iter().map(|result| result.changes.rule_revision.responses).sum();
    assert!(by_rule > 0, "no change is attributed to the revision");
    let (rows, kept) = expected(&sources, &before).await;
    assert!(kept > 0, "no row lost its source");
    assert_eq!(responses(&*store).await, rows);

    let found = bridge.verify_data_integrity(exact).await.unwrap();
    assert!(found.passed, "{found:?}");
    let of_first = |row: &&ResponseUsage| row.rule_revision == RuleRevision::FIRST;
    assert_eq!(rows.values().filter(of_first).count(), kept);
    let fresh = Arc::new(InMemoryStore::default());
    let _ = crate::engine::bridge(fresh.clone(), sources.path())
        .build()
        .sync_all_sessions(SyncOptions::default().with_parallel_limit(2))
        .await
        .unwrap();
    assert_eq!(
        statistics(&*store).await,
        statistics(&*fresh).await,
        "a moved session left statistics behind"
    );

    let again = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    assert!(again.iter().all(|result| result.changes.is_empty()), "{again:#?}");
}

#[tokio::test]
async fn a_first_revision_store_is_upgraded_and_keeps_history() {
    for seed in 40..44 {
        upgrade(Arc::new(InMemoryStore::default()), seed).await;
        let database = TestDatabase::named(&format!("first_revision_{seed}"));
        let store = Arc::new(crate::engine::store(&database.writer_url()));
        store.migrate().await.unwrap();
        upgrade(store, seed).await;
    }
}

#[tokio::test]
async fn a_repair_upgrades_the_revision_like_a_sync() {
    let database = TestDatabase::of_this_test();
    let store: Arc<dyn TokenStore> = Arc::new(crate::engine::store(&database.writer_url()));
    store.migrate().await.unwrap();
    let mut sources = Sources::new(45);
    ingest_under_first_revision(&*store, &sources).await;
    let before = sources.of_first_revision();
    sources.lose_half();
    let bridge = crate::engine::bridge(store.clone(), sources.path()).build();
    let repair = IntegrityOptions::default().with_tolerance(0.0).with_repair(Repair::Restore);
    let report = bridge.verify_data_integrity(repair).await.unwrap().repair.unwrap();
    assert!(report.covered > 0 && report.remaining == 0, "{report:?}");
    assert_eq!(responses(&*store).await, expected(&sources, &before).await.0);
}

#[tokio::test]
async fn new_versions_reread_nothing_and_newer_revisions_are_kept() {
    let store = Arc::new(InMemoryStore::default());
    let sources = Sources::new(46);
    let bridge = crate::engine::bridge(store.clone(), sources.path()).build();
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    let of_program = |mut record: SourceRecord, version: &str, revision| {
        record.analysis_version = version.to_owned();
        record.rule_revision = revision;
        record.read_at = Timestamp::MAX;
        record
    };
    let records = store.sources(&SourceFilter::default()).await.unwrap();
    let patched: Vec<_> = records
        .iter()
        .cloned()
        .map(|record| of_program(record, "etb-9.9.9", RuleRevision::CURRENT))
        .collect();
    store.put_sources(&patched).await.unwrap();
    let results = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    assert!(results.iter().all(|result| result.files_read == 0), "{results:#?}");

    let newer_revision = RuleRevision(RuleRevision::CURRENT.0 + 1);
    let newer: Vec<_> =
        records.into_iter().map(|record| of_program(record, "etb-9.9.9", newer_revision)).collect();
    store.put_sources(&newer).await.unwrap();
    let before = responses(&*store).await;
    fs::write(sources.path().join("projects/gateways/a.jsonl"), gateway("a", 0..9)).unwrap();
    let results = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    let failed = results.iter().filter(|result| result.status == SyncStatus::Failed);
    assert!(
        failed
            .flat_map(|result| &result.errors)
            .any(|error| error.contains(&format!("revision {newer_revision}"))),
        "{results:#?}"
    );
    assert_eq!(responses(&*store).await, before);
}

/// Rows as revision 2 stored them: the same responses without the columns that came later.
fn of_second_revision(row: ResponseUsage) -> ResponseUsage {
    let mut old = ResponseUsage::new(row.key, row.session, row.time);
    (old.model, old.project, old.host, old.agent) = (row.model, row.project, row.host, row.agent);
    (old.service_tier, old.counts, old.origin) = (row.service_tier, row.counts, row.origin);
    (old.cache_creation_5m, old.cache_creation_1h) = (row.cache_creation_5m, row.cache_creation_1h);
    (old.finished, old.sidechain, old.nested, old.forked) =
        (row.finished, row.sidechain, row.nested, row.forked);
    (old.weak_key, old.rule_revision) = (row.weak_key, RuleRevision(2));
    old
}

/// A store as a program of revision 2 left it, of these sources; its rows by revision 3.
async fn fill_by_second_revision(
    store: &dyn TokenStore,
    sources: &Sources,
) -> BTreeMap<ResponseKey, ResponseUsage> {
    let fresh = Arc::new(InMemoryStore::default());
    let bridge = crate::engine::bridge(fresh.clone(), sources.path()).build();
    let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await.unwrap();
    let current = responses(&*fresh).await;
    let rows: Vec<_> = current.values().cloned().map(of_second_revision).collect();
    store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
    let records = fresh.sources(&SourceFilter::default()).await.unwrap();
    let outdated =
        |record| SourceRecord { rule_revision: RuleRevision(2), read_at: Timestamp::MAX, ..record };
    store.put_sources(&records.into_iter().map(outdated).collect::<Vec<_>>()).await.unwrap();
    current
}

/// The number of files with lines of each session, and their bytes.
async fn files_by_session(store: &dyn TokenStore) -> BTreeMap<SessionId, (u64, u64)> {
    let mut files = BTreeMap::new();
    let records = store.sources(&SourceFilter::default()).await.unwrap();
    for record in records.into_iter().filter(|record| record.path.exists()) {
        let sums: &mut (u64, u64) = files.entry(record.session).or_default();
        *sums = (sums.0 + 1, sums.1 + fs::metadata(&record.path).unwrap().len());
    }
    files
}

async fn attribute(store: Arc<dyn TokenStore>, seed: u64) {
    let sources = Sources::new(seed);
    let worktree = sources.path().join("projects/-home-user-app/w.jsonl");
    let line = r#"{"type":"assistant","sessionId":"w","timestamp":"2026-03-01T10:00:00Z","gitBranch":"main","cwd":"/home/user/app/.claude/worktrees/w1","message":{"id":"msg_in_a_worktree_of_the_client","usage":{"output_tokens":3}}}"#;
    fs::create_dir_all(worktree.parent().unwrap()).unwrap();
    fs::write(&worktree, format!("{line}\n")).unwrap();
    let gone = worktree.with_file_name("gone.jsonl");
    fs::write(&gone, line.replace("\"w\"", "\"gone\"").replace("msg_in", "msg_lost_in") + "\n").unwrap();
    let current = fill_by_second_revision(&*store, &sources).await;
    let before = store.totals(&ResponseFilter::default()).await.unwrap();
    fs::remove_file(&gone).unwrap();

    let bridge = crate::engine::bridge(store.clone(), sources.path()).build();
    let options = || SyncOptions::default().with_parallel_limit(2);
    let results = bridge.sync_all_sessions(options()).await.unwrap();
    assert!(results.iter().all(|result| result.changes.tokens() == 0), "{results:#?}");
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap(), before);
    let files = files_by_session(&*store).await;
    for result in &results {
        let expected = files.get(&result.session_id).copied().unwrap_or_default();
        assert_eq!((result.files_read, result.bytes_read), expected, "{result:#?}");
    }

    let stored = responses(&*store).await;
    let is_old = |row: &&ResponseUsage| row.rule_revision == RuleRevision(2);
    let old = stored.values().filter(is_old).count() as u64;
    assert_eq!(old, 1, "the row that lost its source");
    let outdated =
        |results: &[bridge::SyncResult]| results.iter().map(|result| result.outdated_responses).sum::<u64>();
    assert_eq!(outdated(&results), old);
    assert!(stored.values().filter(|row| !is_old(row)).all(|row| current[&row.key] == *row));
    let in_worktree = stored.values().find(|row| row.session.as_str() == "w").unwrap();
    let text = |value: Option<&str>| value.map(str::to_owned);
    assert_eq!(text(in_worktree.attribution.worktree.as_ref().map(|name| name.as_str())), text(Some("w1")));
    assert_eq!(text(in_worktree.project.as_ref().map(|name| name.as_str())), text(Some("/home/user/app")));

    let again = bridge.sync_all_sessions(options()).await.unwrap();
    assert!(again.iter().all(|result| result.changes.is_empty()), "{again:#?}");
    assert_eq!(outdated(&again), old);
    // A sync of one session says the same of it as the sync of all.
    for expected in &again {
        let session = &expected.session_id;
        let one = bridge.sync_session_tokens(session, SyncMode::Incremental).await.unwrap();
        let facts = |result: &bridge::SyncResult| (result.tokens_after, result.outdated_responses);
        assert_eq!(facts(&one), facts(expected), "{session}");
    }
}

/// One sync reads each file once, and says how many responses never get the columns.
#[tokio::test]
async fn a_second_revision_store_gets_attribution_by_one_sync() {
    for seed in 50..52 {
        attribute(Arc::new(InMemoryStore::default()), seed).await;
        let database = TestDatabase::named(&format!("second_revision_{seed}"));
        let store = Arc::new(crate::engine::store(&database.writer_url()));
        store.migrate().await.unwrap();
        attribute(store, seed).await;
    }
}
