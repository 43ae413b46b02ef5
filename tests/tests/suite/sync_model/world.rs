//! Two hosts with transcripts, a shared store, and a model of the store.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bridge::AnalysisSource;
use bridge::{EnhancedTokenDatabaseBridge, StoreOptions, SyncMode, SyncOptions};
use bridge_analysis::incremental::inspect;
use bridge_analysis::{AnalysisProgress, AnalyzerOptions, History, SourceFile, analyze_files, discover};
use bridge_core::{
    ANALYSIS_VERSION, AnalysisId, EnhancedTokenAnalysis, Epoch, HostName, ManualClock, ModelName, Origin,
    ResponseUsage, ResponseVersion, RuleRevision, SessionId, SyncResult, SyncStatus, Timestamp, TokenCounts,
};
use bridge_storage::{
    Dimension, InMemoryStore, ResponseFilter, SourceCursor, SourceFilter, SourceRecord, StoredScope,
    TokenStore, UpsertOptions, UpsertOutcome,
};
use bridge_testkit::adversarial;
use bridge_testkit::first_revision;
use bridge_testkit::history::HistoryPlan;
use bridge_testkit::reference::ReferenceFile;
use fastrand::Rng;
use tempfile::TempDir;

use super::cursor_faults::{CursorFault, CursorFaultStore};
use super::database::Database;
use super::reported::ReportedSync;
use super::step::Step;

pub(crate) struct World {
    folder: TempDir,
    hosts: [HostName; 2],
    bridges: Vec<EnhancedTokenDatabaseBridge>,
    /// Of each bridge: a `keep_in_sync` that only does what is reported to it.
    live: [Option<ReportedSync>; 2],
    database: Database,
    store: Arc<CursorFaultStore>,
    /// The expected content of the store, always from complete reads without cursors.
    model: InMemoryStore,
    /// Lines in the client's format.
    lines: Vec<Vec<u8>>,
    /// The rest of each partial last line.
    partial_lines: BTreeMap<PathBuf, Vec<u8>>,
    /// Outdated cursors.
    old_cursors: Vec<bridge_storage::SourceRecord>,
    /// `true` if the clock is ahead, so that unchanged files are trusted.
    clock_is_ahead: bool,
    /// `false` as long as a program of revision 1 of the counting rule synchronizes.
    upgraded: bool,
    /// `true` after lost cursors, which also lose the former sessions of rewritten files.
    cursors_were_faulty: bool,
}

impl World {
    /// Creates two hosts without files and an empty store.
    pub(crate) fn new(rng: &mut Rng, database: Database) -> Self {
        let plan = HistoryPlan {
            seed: rng.u64(..),
            projects: 1,
            sessions: 2,
            responses_per_session: 5,
            ..HistoryPlan::default()
        };
        let files = plan.generate().files;
        let lines =
            files.iter().flat_map(|file| file.content.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            hosts: ["host-a", "host-b"].map(|name| HostName::new(name).unwrap()),
            bridges: Vec::new(),
            live: [None, None],
            store: Arc::new(CursorFaultStore::new(database.store())),
            database,
            model: InMemoryStore::default(),
            lines: lines.filter(|line| !line.is_empty()).collect(),
            partial_lines: BTreeMap::new(),
            old_cursors: Vec::new(),
            clock_is_ahead: rng.bool(),
            upgraded: rng.bool(),
            cursors_were_faulty: false,
        };
        for host in 0..2 {
            fs::create_dir_all(world.root(host)).unwrap();
        }
        world.restart();
        world
    }

    fn root(&self, host: usize) -> PathBuf {
        self.folder.path().join(self.hosts[host].as_str()).join("projects")
    }

    fn options(&self, host: usize) -> AnalyzerOptions {
        let mut options = AnalyzerOptions::default();
        options.host = Some(self.hosts[host].clone());
        options.threads = 1;
        options.strict = true;
        options
    }

    fn restart(&mut self) {
        // With a clock far ahead of the modification times, unchanged files are skipped; otherwise they are too recent
        // to be trusted.
        let now = if self.clock_is_ahead { Timestamp::MAX } else { Timestamp::from_millis(1_000).unwrap() };
        let bridge = |host| {
            EnhancedTokenDatabaseBridge::builder(self.store.clone())
                .sources([self.root(host)])
                .analyzer(self.options(host))
                .without_validation()
                .clock(Arc::new(ManualClock::new(now)))
                .build()
        };
        self.bridges = (0..2).map(bridge).collect();
        self.live = [None, None];
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = (0..2).flat_map(|host| discover(&[self.root(host)]).files);
        files.map(|file| file.path).collect()
    }

    fn any_file(&self, rng: &mut Rng) -> Option<PathBuf> {
        rng.choice(self.files())
    }

    fn new_path(&self, rng: &mut Rng) -> PathBuf {
        let root = self.root(rng.usize(..2));
        root.join(format!("-p{}", rng.u8(..2))).join(format!("s{}.jsonl", rng.u8(..5)))
    }

    fn line(&self, rng: &mut Rng) -> Vec<u8> {
        if rng.u8(..4) == 0 {
            adversarial::line(rng)
        } else {
            self.lines[rng.usize(..self.lines.len())].clone()
        }
    }

    fn some_lines(&self, rng: &mut Rng) -> Vec<u8> {
        (0..rng.usize(1..6)).flat_map(|_| [self.line(rng), b"\n".to_vec()].concat()).collect()
    }

    pub(crate) async fn change(&mut self, step: Step, rng: &mut Rng) {
        match step {
            Step::Create | Step::Replace => {
                let path = if step == Step::Create { Some(self.new_path(rng)) } else { self.any_file(rng) };
                let Some(path) = path else { return };
                let _ = fs::remove_file(&path);
                self.write(&path, &self.some_lines(rng));
            }
            Step::Append => self.edit_file(rng, |world, rng, content| content.extend(world.some_lines(rng))),
            Step::AppendPartial => self.append_partial(rng),
            Step::CompleteLine => {
                if let Some((path, rest)) = self.partial_lines.pop_first()
                    && path.exists()
                {
                    let whole = [fs::read(&path).unwrap(), rest, b"\n".to_vec()].concat();
                    self.write(&path, &whole);
                }
            }
            Step::Truncate => {
                self.edit_file(rng, |_, rng, content| content.truncate(rng.usize(..=content.len())))
            }
            Step::Rewrite => self.edit_file(rng, |world, rng, content| *content = world.some_lines(rng)),
            Step::Edit => self.edit_file(rng, |_, rng, content| {
                let digits: Vec<usize> =
                    (0..content.len()).filter(|at| content[*at].is_ascii_digit()).collect();
                if let Some(at) = rng.choice(digits) {
                    content[at] = rng.u8(b'1'..=b'9');
                }
            }),
            Step::Rename => {
                let (Some(from), to) = (self.any_file(rng), self.new_path(rng)) else { return };
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::rename(&from, &to).unwrap();
                wait_for_clock_tick(&to, None);
            }
            Step::Delete => drop(self.any_file(rng).map(|path| fs::remove_file(path).unwrap())),
            Step::Copy => {
                if let Some(from) = self.any_file(rng) {
                    let to = self.new_path(rng);
                    self.write(&to, &fs::read(from).unwrap());
                }
            }
            Step::LoseCursors => self.inject(CursorFault::Lost),
            Step::StaleCursors => self.inject(CursorFault::Stale(self.old_cursors.clone())),
            Step::Restart => self.restart(),
            Step::Force => self.force(rng).await,
            Step::Sums => self.sums(rng).await,
            Step::Forge => forge(&self.database, &*self.store, &self.bridges[0], rng).await,
            Step::Upgrade => self.upgraded = true,
        }
    }

    fn edit_file(&mut self, rng: &mut Rng, edit: impl FnOnce(&Self, &mut Rng, &mut Vec<u8>)) {
        let Some(path) = self.any_file(rng) else { return };
        let mut content = fs::read(&path).unwrap();
        edit(self, rng, &mut content);
        self.write(&path, &content);
    }

    fn append_partial(&mut self, rng: &mut Rng) {
        let Some(path) = self.any_file(rng) else { return };
        let line = self.line(rng);
        let (part, rest) = line.split_at(rng.usize(..=line.len()));
        self.write(&path, &[&fs::read(&path).unwrap(), part].concat());
        self.partial_lines.insert(path, rest.to_vec());
    }

    /// Writes in place and only from the first difference on, so that an appended file keeps its inode.
    fn write(&self, path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::metadata(path).ok().map(|metadata| (metadata.ctime(), metadata.ctime_nsec()));
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path).unwrap();
        let mut old = Vec::new();
        file.read_to_end(&mut old).unwrap();
        let same = old.iter().zip(content).take_while(|(old, new)| old == new).count();
        file.set_len(same as u64).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(&content[same..]).unwrap();
        wait_for_clock_tick(path, before);
    }

    fn inject(&mut self, fault: CursorFault) {
        self.store.inject(fault);
        self.cursors_were_faulty = true;
    }

    async fn force(&self, rng: &mut Rng) {
        let rows = self.store.responses(&ResponseFilter::default()).await.unwrap();
        let rows: Vec<ResponseUsage> = rows.into_iter().filter(|row| row.origin != Origin::Summed).collect();
        let Some(mut row) = rng.choice(rows) else { return };
        row.counts = TokenCounts { output: row.counts.output / 2, ..TokenCounts::ZERO };
        row.forced = 0;
        // As the bridge stores it: a program of revision 1 kept the number of an AWS account.
        row.model = row.model.as_ref().map(ModelName::without_account);
        let options = UpsertOptions::default().forced();
        self.model.upsert(std::slice::from_ref(&row), &options).await.unwrap();
        let id = AnalysisId::new("correction").unwrap();
        let analysis =
            EnhancedTokenAnalysis::from_responses(id, row.session.clone(), row.time, vec![row]).unwrap();
        let options = StoreOptions::default().with_force_update();
        let _ = self.bridges[0].store_enhanced_analysis(&analysis, options).await.unwrap();
    }

    /// Stores session totals for few sessions, with few times and counts, so that they collide and tie.
    async fn sums(&mut self, rng: &mut Rng) {
        let rows = self.store.responses(&ResponseFilter::default()).await.unwrap();
        let known = rng.choice(rows).map(|row| row.session).filter(|_| rng.bool());
        let session = known.unwrap_or_else(|| SessionId::new(format!("s{}", rng.u8(..5))).unwrap());
        let id = AnalysisId::new(format!("a{}", rng.u8(..3))).unwrap();
        let time = Timestamp::from_millis(1_750_000_000_000 + rng.i64(1..5)).unwrap();
        let mut analysis = EnhancedTokenAnalysis::from_responses(id, session, time, Vec::new()).unwrap();
        analysis.reported_output_tokens = rng.u64(..200);
        analysis.calculated_total_tokens = analysis.reported_output_tokens;
        let force = rng.u8(..4) == 0;
        let mut options = UpsertOptions::default();
        options.force = force;
        let rows = [analysis.rows(), vec![analysis.note()]].concat();
        let outcomes = self.model.upsert(&rows, &options).await.unwrap();
        let mut options = StoreOptions::default();
        options.force_update = force;
        let result = self.bridges[0].store_enhanced_analysis(&analysis, options).await.unwrap();
        assert_eq!(result.covered_by_tokens.is_some(), outcomes[0] == UpsertOutcome::Covered);
        let replaced = match &outcomes[0] {
            UpsertOutcome::Replaced(old) => old.tokens,
            _ => 0,
        };
        assert_eq!(result.replaced_tokens, replaced);
    }

    /// Synchronizes one host or both, and compares.
    pub(crate) async fn synchronize(&mut self, rng: &mut Rng, context: &str) {
        for host in 0..2 {
            if rng.u8(..4) > 0 {
                self.synchronize_host(host, rng, context).await;
            }
        }
    }

    async fn synchronize_host(&mut self, host: usize, rng: &mut Rng, context: &str) {
        if rng.u8(..4) == 0 {
            self.old_cursors = self.store.sources(&SourceFilter::default()).await.unwrap();
        }
        if !self.upgraded {
            return self.synchronize_under_first_revision(host, context).await;
        }
        let before = self.session_totals().await;
        let draw = rng.u8(..6);
        let results = match draw {
            5 => {
                let files = discover(&[self.root(host)]).files.into_iter().map(|file| file.path);
                let mut changed: Vec<_> = files.collect();
                if rng.bool() || changed.is_empty() {
                    changed = vec![self.root(host)];
                }
                self.report_changes(host, &changed).await
            }
            0 => {
                let session = bridge::SessionId::new("s0").unwrap();
                match self.bridges[host]
                    .sync_session_tokens(
                        &session,
                        if rng.bool() { SyncMode::Incremental } else { SyncMode::Full },
                    )
                    .await
                {
                    Ok(result) => vec![result],
                    Err(error) => {
                        let is_unknown = matches!(error, bridge::BridgeError::UnknownSession { .. });
                        let is_stored = self.session_totals().await.contains_key("s0");
                        assert!(is_unknown && !is_stored, "{context}: {error}");
                        Vec::new()
                    }
                }
            }
            _ => self.bridges[host]
                .sync_all_sessions(SyncOptions::default().with_parallel_limit(2))
                .await
                .unwrap(),
        };
        let (mut found, markers) = self.read_all(host);
        let rows: Vec<_> = found.take_changed().into_iter().chain(markers).collect();
        self.model.upsert(&rows, &UpsertOptions::default()).await.unwrap();
        self.model.cover(&found.take_superseded(), &UpsertOptions::default()).await.unwrap();
        self.compare(context).await;

        let after = self.session_totals().await;
        for result in &results {
            let total =
                |totals: &BTreeMap<String, u64>| totals.get(result.session_id.as_str()).copied().unwrap_or(0);
            assert!(result.adds_up(), "{context}: {result:?}");
            assert_eq!(
                (result.tokens_before, result.tokens_after),
                (total(&before), total(&after)),
                "{context}"
            );
            assert_ne!(result.status, SyncStatus::Failed, "{context}: {result:?}");
        }
        // A single result may be that of `sync_session_tokens`; reported changes have results of what changed.
        if results.len() > 1 && draw != 5 {
            let stored =
                |session: &String| results.iter().any(|result| result.session_id.as_str() == session);
            assert!(after.keys().all(stored), "{context}: each stored session has a result");
            let reported =
                |session: &String| results.iter().any(|result| result.session_id.as_str() == session);
            let mut changed = after.iter().filter(|(session, total)| before.get(*session) != Some(total));
            assert!(changed.all(|(session, _)| reported(session)), "{context}");
        }
    }

    /// Reports these paths as changed, and returns the results of their synchronization.
    async fn report_changes(&mut self, host: usize, changed: &[PathBuf]) -> Vec<SyncResult> {
        if let Some(live) = &mut self.live[host] {
            return live.report(changed).await;
        }
        let (live, results) = ReportedSync::start(&self.bridges[host]).await;
        self.live[host] = Some(live);
        results
    }

    async fn compare(&self, context: &str) {
        let all = ResponseFilter::default();
        let (stored, expected) =
            (self.store.responses(&all).await.unwrap(), self.model.responses(&all).await.unwrap());
        assert_eq!(stored, expected, "{context}");
    }

    /// Synchronizes as a program of revision 1: reads all files, and stores rows of that revision and cursors.
    async fn synchronize_under_first_revision(&self, host: usize, context: &str) {
        let files = discover(&[self.root(host)]).files;
        for file in &files {
            let content = fs::read(&file.path).unwrap();
            let file = ReferenceFile::new(&file.path, file.modified.as_millis(), content);
            let rows = first_revision::rows(&file, &self.hosts[host]);
            self.store.upsert(&rows, &UpsertOptions::default()).await.unwrap();
            self.model.upsert(&rows, &UpsertOptions::default()).await.unwrap();
            let mut sessions: BTreeMap<_, u64> = BTreeMap::new();
            rows.into_iter().for_each(|row| *sessions.entry(row.session).or_default() += 1);
            let records = sessions.into_iter();
            let records: Vec<_> =
                records.map(|(session, rows)| self.old_record(host, &file.path, session, rows)).collect();
            self.store.put_sources(&records).await.unwrap();
        }
        self.compare(context).await;
    }

    fn old_record(&self, host: usize, path: &Path, session: SessionId, snapshots: u64) -> SourceRecord {
        let modified = Timestamp::from_system(fs::metadata(path).unwrap().modified().unwrap());
        let (mark, _) = inspect(&SourceFile::of_path(path, 0, modified), None).unwrap();
        SourceRecord {
            host: self.hosts[host].clone(),
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
            snapshot_tokens: 0,
            first_time: Some(modified),
            last_time: Some(modified),
            activity: None,
            analysis_version: ANALYSIS_VERSION.to_owned(),
            rule_revision: RuleRevision::FIRST,
            read_at: Timestamp::MAX,
            epoch: Epoch::default(),
        }
    }

    /// Reads all files of a host. Returns markers that cover the totals of each session with a snapshot, also if
    /// snapshots of other sessions win.
    fn read_all(&self, host: usize) -> (History, Vec<ResponseUsage>) {
        let mut history = History::default();
        let files = discover(&[self.root(host)]).files;
        let mut sessions = Vec::new();
        analyze_files(&files, &self.options(host), &AnalysisProgress::default(), &mut history, |file| {
            let read = file.sessions.into_iter().filter(|(_, part)| part.snapshots > 0);
            sessions.extend(read.map(|(session, _)| session));
        });
        (history, sessions.into_iter().map(ResponseUsage::covered_sums).collect())
    }

    async fn session_totals(&self) -> BTreeMap<String, u64> {
        let rows = self.store.breakdown(Dimension::Session, &ResponseFilter::default(), None).await.unwrap();
        rows.into_iter().map(|row| (row.name, row.totals.counts.total())).collect()
    }

    /// Synchronizes a last time, and compares the stored file statistics with those of a complete read.
    pub(crate) async fn finish(&mut self, rng: &mut Rng, context: &str) {
        self.upgraded = true;
        for host in 0..2 {
            self.synchronize_host(host, rng, context).await;
            let _ = self.bridges[host]
                .sync_all_sessions(SyncOptions::default().with_parallel_limit(1))
                .await
                .unwrap();
            if self.cursors_were_faulty {
                continue;
            }
            let fresh = Arc::new(InMemoryStore::default());
            let bridge = EnhancedTokenDatabaseBridge::builder(fresh.clone())
                .sources([self.root(host)])
                .analyzer(self.options(host))
                .without_validation()
                .build();
            let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(1)).await.unwrap();
            let found = statistics(&*self.store, &self.hosts[host]).await;
            assert_eq!(found, statistics(&*fresh, &self.hosts[host]).await, "{context}");
        }
    }
}

/// Forges a row with more tokens and a greater version, as another database client could.
async fn forge(
    database: &Database,
    store: &dyn TokenStore,
    bridge: &EnhancedTokenDatabaseBridge,
    rng: &mut Rng,
) {
    let rows = store.responses(&ResponseFilter::default()).await.unwrap();
    let Some(row) = rng.choice(rows) else { return };
    let scope = StoredScope::Keys(row.key..=row.key);
    let integrity = store.integrity().unwrap();
    let stored = integrity.stored(&scope).await.unwrap().remove(0);
    let mut forged = row.clone();
    forged.counts.output += 1_000_000;
    database.put(&forged, ResponseVersion::from_le_bytes([0xff; 32])).await;
    assert!(store.responses(&ResponseFilter::default()).await.is_err());
    if let Ok(answer) = bridge.get_analysis_with_fallback(&row.session).await {
        assert_ne!(answer.source, AnalysisSource::Stored);
    }
    let seen = integrity.stored(&scope).await.unwrap().remove(0);
    assert!(!seen.is_intact());
    integrity.remove(&[(row.key, seen.version)]).await.unwrap();
    // Restores the original, because a background merge may have removed it in favor of the forged row.
    database.put(&row, stored.version).await;
    assert_eq!(integrity.stored(&scope).await.unwrap(), [stored]);
}

/// Returns the stored statistics of existing files, by file and session: lines, damage, snapshots and their tokens.
async fn statistics(store: &dyn TokenStore, host: &HostName) -> BTreeMap<(PathBuf, String), [u64; 6]> {
    let records = store.sources(&SourceFilter::on_host(host.clone())).await.unwrap();
    let existing = records.into_iter().filter(|record| record.path.exists());
    let statistics = existing.map(|record| {
        let damage = record.damage;
        let counts = [
            record.lines,
            damage.bad_lines,
            damage.bad_usage,
            damage.pending_lines,
            record.snapshots,
            record.snapshot_tokens,
        ];
        ((record.path, record.session.to_string()), counts)
    });
    statistics.filter(|(_, counts)| *counts != [0; 6]).collect()
}

/// Waits until the file's change time differs from `before`, because changes within one tick of the file system's clock
/// are indistinguishable.
fn wait_for_clock_tick(path: &Path, before: Option<(i64, i64)>) {
    loop {
        let metadata = fs::metadata(path).unwrap();
        if before != Some((metadata.ctime(), metadata.ctime_nsec())) {
            return;
        }
        #[allow(clippy::disallowed_methods, reason = "the file system's clock is the system's")]
        let now = SystemTime::now();
        File::options().write(true).open(path).unwrap().set_modified(now).unwrap();
    }
}
