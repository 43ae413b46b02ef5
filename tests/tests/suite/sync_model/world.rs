//! Two hosts with transcripts, one store, and the model of it.

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
    ANALYSIS_VERSION, AnalysisId, EnhancedTokenAnalysis, Epoch, HostName, ManualClock, Origin, ResponseUsage,
    ResponseVersion, RuleRevision, SessionId, SyncStatus, Timestamp, TokenCounts,
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

use super::database::Database;
use super::forgetful::{Forgetful, Lapse};
use super::step::Step;

pub(crate) struct World {
    folder: TempDir,
    hosts: [HostName; 2],
    bridges: Vec<EnhancedTokenDatabaseBridge>,
    database: Database,
    store: Arc<Forgetful>,
    /// Reads everything each time, and knows no cursors.
    model: InMemoryStore,
    /// Lines as the client writes them.
    lines: Vec<Vec<u8>>,
    /// What is missing of the torn last line of a file.
    torn: BTreeMap<PathBuf, Vec<u8>>,
    /// Cursors of some time ago.
    old_cursors: Vec<bridge_storage::SourceRecord>,
    trusting: bool,
    /// Until the upgrade a program of the first revision of the counting rule synchronizes.
    upgraded: bool,
    /// The cursors were lost once: then also which sessions a rewritten file had before.
    lapsed: bool,
}

impl World {
    /// Two empty hosts before an empty store.
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
            store: Arc::new(Forgetful::of(database.store())),
            database,
            model: InMemoryStore::default(),
            lines: lines.filter(|line| !line.is_empty()).collect(),
            torn: BTreeMap::new(),
            old_cursors: Vec::new(),
            trusting: rng.bool(),
            upgraded: rng.bool(),
            lapsed: false,
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
        // A clock that is ahead of the files' trusts what looks untouched; the other one trusts nothing so fresh.
        let now = if self.trusting { Timestamp::MAX } else { Timestamp::from_millis(1_000).unwrap() };
        let bridge = |host| {
            EnhancedTokenDatabaseBridge::builder(self.store.clone())
                .sources([self.root(host)])
                .analyzer(self.options(host))
                .without_validation()
                .clock(Arc::new(ManualClock::new(now)))
                .build()
        };
        self.bridges = (0..2).map(bridge).collect();
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
            Step::Tear => self.tear(rng),
            Step::Mend => {
                if let Some((path, rest)) = self.torn.pop_first()
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
                settle(&to, None);
            }
            Step::Delete => drop(self.any_file(rng).map(|path| fs::remove_file(path).unwrap())),
            Step::Copy => {
                if let Some(from) = self.any_file(rng) {
                    let to = self.new_path(rng);
                    self.write(&to, &fs::read(from).unwrap());
                }
            }
            Step::LoseCursors => self.lapse(Lapse::Lost),
            Step::StaleCursors => self.lapse(Lapse::Stale(self.old_cursors.clone())),
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

    fn tear(&mut self, rng: &mut Rng) {
        let Some(path) = self.any_file(rng) else { return };
        let line = self.line(rng);
        let (part, rest) = line.split_at(rng.usize(..=line.len()));
        self.write(&path, &[&fs::read(&path).unwrap(), part].concat());
        self.torn.insert(path, rest.to_vec());
    }

    /// Writes in place: an appended file keeps what it had, and its inode.
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
        settle(path, before);
    }

    fn lapse(&mut self, lapse: Lapse) {
        self.store.lapse(lapse);
        self.lapsed = true;
    }

    async fn force(&self, rng: &mut Rng) {
        let rows = self.store.responses(&ResponseFilter::default()).await.unwrap();
        let rows: Vec<ResponseUsage> = rows.into_iter().filter(|row| row.origin != Origin::Summed).collect();
        let Some(mut row) = rng.choice(rows) else { return };
        row.counts = TokenCounts { output: row.counts.output / 2, ..TokenCounts::ZERO };
        row.forced = 0;
        let options = UpsertOptions::default().forced();
        self.model.upsert(std::slice::from_ref(&row), &options).await.unwrap();
        let id = AnalysisId::new("correction").unwrap();
        let analysis =
            EnhancedTokenAnalysis::from_responses(id, row.session.clone(), row.time, vec![row]).unwrap();
        let options = StoreOptions::default().with_force_update();
        let _ = self.bridges[0].store_enhanced_analysis(&analysis, options).await.unwrap();
    }

    /// Of a few sessions, so that analyses meet each other and responses, with times and counters that tie.
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
    pub(crate) async fn synchronize(&mut self, rng: &mut Rng, told: &str) {
        for host in 0..2 {
            if rng.u8(..4) > 0 {
                self.synchronize_host(host, rng, told).await;
            }
        }
    }

    async fn synchronize_host(&mut self, host: usize, rng: &mut Rng, told: &str) {
        if rng.u8(..4) == 0 {
            self.old_cursors = self.store.sources(&SourceFilter::default()).await.unwrap();
        }
        if !self.upgraded {
            return self.synchronize_under_first_revision(host, told).await;
        }
        let before = self.session_totals().await;
        let results = match rng.u8(..5) {
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
                        assert!(is_unknown && !is_stored, "{told}: {error}");
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
        self.compare(told).await;

        let after = self.session_totals().await;
        for result in &results {
            let total =
                |totals: &BTreeMap<String, u64>| totals.get(result.session_id.as_str()).copied().unwrap_or(0);
            assert!(result.adds_up(), "{told}: {result:?}");
            assert_eq!(
                (result.tokens_before, result.tokens_after),
                (total(&before), total(&after)),
                "{told}"
            );
            assert_ne!(result.status, SyncStatus::Failed, "{told}: {result:?}");
        }
        // A session that nobody knows has no result, and neither have the others then.
        if results.len() > 1 {
            let stored =
                |session: &String| results.iter().any(|result| result.session_id.as_str() == session);
            assert!(after.keys().all(stored), "{told}: each stored session has a result");
            let named = |session: &String| results.iter().any(|result| result.session_id.as_str() == session);
            let mut changed = after.iter().filter(|(session, total)| before.get(*session) != Some(total));
            assert!(changed.all(|(session, _)| named(session)), "{told}");
        }
    }

    async fn compare(&self, told: &str) {
        let all = ResponseFilter::default();
        let (stored, expected) =
            (self.store.responses(&all).await.unwrap(), self.model.responses(&all).await.unwrap());
        assert_eq!(stored, expected, "{told}");
    }

    /// What an older program does: it reads all files, stores rows by its own rule and says how far it read.
    async fn synchronize_under_first_revision(&self, host: usize, told: &str) {
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
        self.compare(told).await;
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
            analysis_version: ANALYSIS_VERSION.to_owned(),
            rule_revision: RuleRevision::FIRST,
            read_at: Timestamp::MAX,
            epoch: Epoch::default(),
        }
    }

    /// Everything that stands in the files of a host.
    /// Each session with a snapshot covers its sums, also where greater snapshots of other sessions win.
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

    /// A last synchronization; then what the store keeps of files is what reading them anew gives.
    pub(crate) async fn finish(&mut self, rng: &mut Rng, told: &str) {
        self.upgraded = true;
        for host in 0..2 {
            self.synchronize_host(host, rng, told).await;
            let _ = self.bridges[host]
                .sync_all_sessions(SyncOptions::default().with_parallel_limit(1))
                .await
                .unwrap();
            if self.lapsed {
                continue;
            }
            let anew = Arc::new(InMemoryStore::default());
            let bridge = EnhancedTokenDatabaseBridge::builder(anew.clone())
                .sources([self.root(host)])
                .analyzer(self.options(host))
                .without_validation()
                .build();
            let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(1)).await.unwrap();
            let found = statistics(&*self.store, &self.hosts[host]).await;
            assert_eq!(found, statistics(&*anew, &self.hosts[host]).await, "{told}");
        }
    }
}

/// Has a row stored with other tokens and a greater version, as somebody with a database client could.
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
    // A merge may have dropped the row that the forged one hid.
    database.put(&row, stored.version).await;
    assert_eq!(integrity.stored(&scope).await.unwrap(), [stored]);
}

/// What is kept of files that are there, by file and session: lines, damage, snapshots and their tokens.
async fn statistics(store: &dyn TokenStore, host: &HostName) -> BTreeMap<(PathBuf, String), [u64; 6]> {
    let records = store.sources(&SourceFilter::on_host(host.clone())).await.unwrap();
    let there = records.into_iter().filter(|record| record.path.exists());
    let figures = there.map(|record| {
        let damage = record.damage;
        let figures = [
            record.lines,
            damage.bad_lines,
            damage.bad_usage,
            damage.pending_lines,
            record.snapshots,
            record.snapshot_tokens,
        ];
        ((record.path, record.session.to_string()), figures)
    });
    figures.filter(|(_, figures)| *figures != [0; 6]).collect()
}

/// Waits until the file system's clock has gone on since `before`: two changes within one of its ticks look like one.
fn settle(path: &Path, before: Option<(i64, i64)>) {
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
