//! Records of source files: how far each was read, and what was found in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use bridge_analysis::incremental::{FileCursor, FileState, KnownTime, ReadPosition};
use bridge_analysis::{AnalyzerOptions, FileAnalysis, ProjectNames, SessionInFile};
use bridge_core::{
    ANALYSIS_VERSION, BridgeError, ContentCategories, ContentCategory, DamageCounts, Epoch, HostName,
    ProjectName, RuleRevision, SessionActivity, SessionId, Timestamp,
};
use bridge_storage::{SourceCursor, SourceFilter, SourcePage, SourceRecord, SourcesDigest, is_stream};
use xxhash_rust::xxh3::xxh3_128;

use crate::ingest::Ingest;

/// The records of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownFile {
    /// Its cursor, whatever revision of the counting rule wrote it; `None` if the store was rolled back since.
    recorded: Option<FileCursor>,
    /// The revision of the counting rule that read it.
    revision: RuleRevision,
    /// The greatest version among its records, whose cursor it is.
    version: u128,
    /// Its records by session.
    records: Vec<RecordedSession>,
}

/// The record of a session in a file: a record without what all records of the file share. There may be hundreds
/// of thousands of files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecordedSession {
    pub(crate) session: SessionId,
    project: Option<ProjectName>,
    lines: u64,
    damage: DamageCounts,
    categories: Box<[(ContentCategory, u64)]>,
    snapshots: u64,
    snapshot_tokens: u64,
    times: Option<(Timestamp, Timestamp)>,
    activity: Option<Box<SessionActivity>>,
    /// The record's [mark](SourceRecord::mark).
    mark: u128,
}

impl From<&SourceRecord> for RecordedSession {
    fn from(record: &SourceRecord) -> Self {
        Self {
            session: record.session.clone(),
            project: record.project.clone(),
            lines: record.lines,
            damage: record.damage,
            categories: record
                .content_categories
                .iter()
                .map(|(category, tokens)| (*category, *tokens))
                .collect(),
            snapshots: record.snapshots,
            snapshot_tokens: record.snapshot_tokens,
            times: record.first_time.zip(record.last_time),
            activity: record.activity.clone(),
            mark: record.mark(),
        }
    }
}

/// The records of a host's files.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles {
    /// By the path that they are recorded under.
    files: HashMap<PathBuf, KnownFile>,
    project_names: ProjectNames,
    /// A file that was read without looking for activity is read once more.
    wants_activity: bool,
    epoch: Epoch,
    /// The machine that they are on, if there are any.
    host: Option<HostName>,
    /// The digest of all of them.
    digest: SourcesDigest,
    /// Shares the texts of names, because few names occur in many records.
    projects: HashSet<ProjectName>,
}

/// What became of a record that takes the place of another one.
enum Replacement {
    /// There was none.
    Added,
    /// It took the place of the one with this mark.
    Of(u128),
    /// A greater version is stored.
    Refused,
}

/// Number of records read from the store at once.
const RECORDS_PER_PAGE: usize = 5000;

/// Reads the records of this host's files, and the epoch of the operation that will store what is read.
///
/// Both are read concurrently: if a rollback intervenes, either the cursors are of another epoch and void, or the
/// writes are refused.
pub(crate) async fn known_files(ingest: &Ingest, operation: &'static str) -> Result<KnownFiles, BridgeError> {
    let (epoch, first) = tokio::try_join!(ingest.writable_epoch(operation), recorded_sources(ingest, None))?;
    let mut known = KnownFiles::new(&ingest.analyzer, epoch);
    // Page by page, because the records are many times larger than what is kept of them.
    let mut page = first;
    loop {
        let last = page.last().filter(|_| page.len() == RECORDS_PER_PAGE);
        let after = last.map(|record| (record.path.clone(), record.session.clone()));
        known.add(page);
        let Some(after) = after else { return Ok(known) };
        page = recorded_sources(ingest, Some(after)).await?;
    }
}

async fn recorded_sources(
    ingest: &Ingest,
    after: Option<(PathBuf, SessionId)>,
) -> Result<Vec<SourceRecord>, BridgeError> {
    let page = SourcePage { after, records_max: RECORDS_PER_PAGE };
    ingest.store.sources(&SourceFilter::on_host(ingest.host.clone()).page(page)).await
}

impl KnownFiles {
    /// Returns the records of no file.
    pub(crate) fn new(analyzer: &AnalyzerOptions, epoch: Epoch) -> Self {
        let (project_names, wants_activity) = (analyzer.project_names.clone(), analyzer.activity);
        Self { project_names, wants_activity, epoch, ..Self::default() }
    }

    /// Returns the position up to which the file at this path was read; `None` if all of it has to be read (again).
    pub(crate) fn cursor_at(&self, path: &Path) -> Option<FileCursor> {
        let known = self.at(path).filter(|known| known.knows_activity() || !self.wants_activity)?;
        known.cursor()
    }

    /// Adds records, any number per file, in any order.
    pub(crate) fn add(&mut self, records: Vec<SourceRecord>) {
        for record in records {
            let session = self.session_of(&record);
            self.digest.add(&record);
            let file = self.files.entry(record.path.clone()).or_default();
            file.add(&record, session, self.epoch);
        }
    }

    /// Takes over records that were written since these were read: what the store kept of them.
    pub(crate) fn take_over(&mut self, records: &[SourceRecord]) {
        for record in records {
            let session = self.session_of(record);
            let mark = session.mark;
            let file = self.files.entry(record.path.clone()).or_default();
            match file.replace(record, session, self.epoch) {
                Replacement::Added => self.digest.add(record),
                Replacement::Of(old) => self.digest.marks ^= old ^ mark,
                Replacement::Refused => {}
            }
        }
    }

    fn session_of(&mut self, record: &SourceRecord) -> RecordedSession {
        self.host.get_or_insert_with(|| record.host.clone());
        let mut session = RecordedSession::from(record);
        session.project = session.project.map(|project| match self.projects.get(&project) {
            Some(known) => known.clone(),
            None => {
                self.projects.insert(project.clone());
                project
            }
        });
        session
    }

    /// The digest of all of them.
    pub(crate) fn digest(&self) -> SourcesDigest {
        self.digest
    }

    /// Returns the recorded paths of files with one of these contents (size and fingerprint) that are no longer there; the
    /// first of several with the same.
    pub(crate) fn gone_with(&self, contents: &HashSet<(u64, u128)>) -> HashMap<(u64, u128), PathBuf> {
        let mut gone = HashMap::<_, PathBuf>::new();
        if contents.is_empty() {
            return gone;
        }
        for (path, known) in self.files.iter().filter(|(path, _)| !is_stream(path)) {
            let known = known.content().filter(|_| known.newer_revision().is_none());
            let Some(content) = known.filter(|content| contents.contains(content)) else { continue };
            let is_first = gone.get(&content).is_none_or(|first| path < first);
            if is_first && !path.exists() {
                gone.insert(content, path.clone());
            }
        }
        gone
    }

    /// Returns the records of the file at this path.
    pub(crate) fn at(&self, path: &Path) -> Option<&KnownFile> {
        self.recorded(&self.project_names.recorded_path(path))
    }

    /// Returns the records under this path.
    pub(crate) fn recorded(&self, path: &Path) -> Option<&KnownFile> {
        self.files.get(path)
    }

    /// Returns the path under which the file at this path is recorded.
    pub(crate) fn recorded_path(&self, path: &Path) -> PathBuf {
        self.project_names.recorded_path(path)
    }

    /// The epoch of the store.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns empty records for the file that is recorded under this path.
    pub(crate) fn emptied(&self, path: &Path) -> Vec<SourceRecord> {
        match (self.recorded(path), &self.host) {
            (Some(known), Some(host)) => known.emptied(host, path, self.epoch),
            _ => Vec::new(),
        }
    }

    /// Returns all of them, by the path under which they are recorded.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &KnownFile)> {
        self.files.iter()
    }

    /// Returns the recorded paths of files that are neither among these nor anywhere else. A stream is never gone, because
    /// it was never a file. Nothing is known about files in an unreadable folder. If paths are not recorded in full, files
    /// outside of the searched folders count as gone.
    pub(crate) fn gone<'a>(
        &self,
        there: impl Iterator<Item = &'a Path>,
        unreadable: impl Iterator<Item = &'a Path>,
    ) -> BTreeSet<PathBuf> {
        // Hashes, not paths: there may be hundreds of thousands.
        let hash = |path: &Path| xxh3_128(path.as_os_str().as_encoded_bytes());
        let there: HashSet<u128> = there.map(|path| hash(&self.project_names.recorded_path(path))).collect();
        let unreadable: Vec<&Path> = unreadable.collect();
        // A path that is not recorded in full does not show its folder.
        let is_below_all = self.project_names != ProjectNames::Full;
        let missing = |path: &&PathBuf| {
            let may_be_there = unreadable.iter().any(|folder| is_below_all || path.starts_with(folder));
            !may_be_there && !is_stream(path) && !there.contains(&hash(path)) && !path.exists()
        };
        self.files.keys().filter(missing).cloned().collect()
    }
}

fn file_cursor(record: &SourceRecord) -> FileCursor {
    let cursor = &record.cursor;
    FileCursor {
        state: FileState {
            size: cursor.size,
            modified: cursor.modified,
            changed_nanos: cursor.changed_nanos,
            identity: cursor.identity,
            fingerprint: cursor.fingerprint,
        },
        position: ReadPosition {
            offset: cursor.offset,
            newlines: cursor.line,
            time: KnownTime { before: cursor.carried_before, time: cursor.carried_time },
        },
        read_at: record.read_at,
    }
}

fn source_cursor(state: &FileState, position: &ReadPosition) -> SourceCursor {
    SourceCursor {
        size: state.size,
        modified: state.modified,
        changed_nanos: state.changed_nanos,
        identity: state.identity,
        fingerprint: state.fingerprint,
        offset: position.offset,
        line: position.newlines,
        carried_time: position.time.time,
        carried_before: position.time.before,
    }
}

impl KnownFile {
    /// Returns the file of these records.
    pub(crate) fn of_records(records: &[SourceRecord], epoch: Epoch) -> Self {
        let mut file = Self::default();
        records.iter().for_each(|record| file.add(record, record.into(), epoch));
        file
    }

    /// Returns the position up to which it was read; `None` if another revision of the counting rule read it, or the
    /// store was rolled back since.
    pub(crate) fn cursor(&self) -> Option<FileCursor> {
        self.recorded.filter(|_| self.revision == RuleRevision::CURRENT)
    }

    /// Returns whether all of it was read with a look at what happened in its sessions.
    pub(crate) fn knows_activity(&self) -> bool {
        self.records.iter().all(|record| record.activity.is_some())
    }

    /// Returns its size and fingerprint when it was read, whatever the revision; `None` if the store was rolled back since.
    pub(crate) fn content(&self) -> Option<(u64, u128)> {
        let recorded = self.recorded.filter(|_| self.revision > RuleRevision::NONE)?;
        Some((recorded.state.size, recorded.state.fingerprint))
    }

    /// Returns the revision that read it, if this version does not know it.
    pub(crate) fn newer_revision(&self) -> Option<RuleRevision> {
        (self.revision > RuleRevision::CURRENT).then_some(self.revision)
    }

    /// Returns its records by session.
    pub(crate) fn records(&self) -> impl Iterator<Item = &RecordedSession> {
        self.records.iter()
    }

    fn add(&mut self, record: &SourceRecord, session: RecordedSession, epoch: Epoch) {
        self.set_cursor(record, epoch);
        // Most files have one session, so no space is reserved for more.
        self.records.reserve_exact(1);
        self.records.push(session);
    }

    /// All records of a file are written at once. If they differ, the cursor of the latest counts.
    fn set_cursor(&mut self, record: &SourceRecord, epoch: Epoch) {
        if self.records.is_empty() || record.version() >= self.version {
            self.version = record.version();
            self.revision = record.rule_revision;
            // What was stored in another epoch may have been rolled back.
            self.recorded = (record.epoch == epoch).then(|| file_cursor(record));
        }
    }

    /// Puts the record in place of the one of its session, unless the store refuses that.
    fn replace(&mut self, record: &SourceRecord, session: RecordedSession, epoch: Epoch) -> Replacement {
        let place = self.records.partition_point(|known| known.session < session.session);
        let known = self.records.get_mut(place).filter(|known| known.session == session.session);
        let Some(known) = known else {
            self.set_cursor(record, epoch);
            self.records.insert(place, session);
            return Replacement::Added;
        };
        if record.version() < self.version {
            return Replacement::Refused;
        }
        let old = std::mem::replace(known, session).mark;
        self.set_cursor(record, epoch);
        Replacement::Of(old)
    }

    /// Returns whether these records, from a read of the same file, state what is known and will be trusted.
    pub(crate) fn says_the_same_as(&self, records: &[SourceRecord]) -> bool {
        let cursor = self.cursor().filter(FileCursor::is_past_clock_granularity);
        records.len() == self.records.len()
            && records.iter().zip(&self.records).all(|(record, known)| {
                let read = file_cursor(record);
                let read_up_to_here = cursor
                    .is_some_and(|cursor| (cursor.state, cursor.position) == (read.state, read.position));
                // The mark includes the time of reading.
                let record = RecordedSession { mark: known.mark, ..RecordedSession::from(record) };
                read_up_to_here && record == *known
            })
    }

    /// Returns the sessions that were found in it.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.records.iter().filter(|record| record.snapshots > 0).map(|record| &record.session)
    }

    /// Returns empty records of the file at this path, whose content is in another file now.
    fn emptied(&self, host: &HostName, path: &Path, epoch: Epoch) -> Vec<SourceRecord> {
        let Some(cursor) = self.recorded else { return Vec::new() };
        let emptied = |known: &RecordedSession| SourceRecord {
            host: host.clone(),
            path: path.to_owned(),
            session: known.session.clone(),
            cursor: source_cursor(&cursor.state, &cursor.position),
            project: known.project.clone(),
            lines: 0,
            damage: DamageCounts::default(),
            content_categories: ContentCategories::new(),
            snapshots: 0,
            snapshot_tokens: 0,
            first_time: known.times.map(|(first, _)| first),
            last_time: known.times.map(|(_, last)| last),
            activity: None,
            analysis_version: ANALYSIS_VERSION.to_owned(),
            rule_revision: RuleRevision::CURRENT,
            read_at: cursor.read_at,
            epoch,
        };
        self.records.iter().map(emptied).collect()
    }

    /// Returns the statistics so far, to be added to.
    fn statistics(&self) -> Statistics {
        let mut statistics = Statistics::default();
        if self.knows_activity() {
            let known = |record: &RecordedSession| Some((record.session.clone(), *record.activity.clone()?));
            statistics.activity = Some(self.records.iter().filter_map(known).collect());
        }
        for record in &self.records {
            statistics.lines += record.lines;
            statistics.damage += record.damage;
            add_categories(&mut statistics.categories, record.categories.iter().copied());
            let Some((first_time, last_time)) = record.times else { continue };
            if record.snapshots > 0 {
                let part = SessionInFile {
                    snapshots: record.snapshots,
                    snapshot_tokens: record.snapshot_tokens,
                    project: record.project.clone(),
                    first_time,
                    last_time,
                };
                statistics.sessions.insert(record.session.clone(), part);
            }
        }
        // A pending line is read again.
        statistics.lines -= statistics.damage.pending_lines.min(statistics.lines);
        statistics.damage.pending_lines = 0;
        statistics
    }
}

/// Statistics of a file from its beginning.
#[derive(Debug, Default)]
struct Statistics {
    lines: u64,
    damage: DamageCounts,
    categories: ContentCategories,
    sessions: BTreeMap<SessionId, SessionInFile>,
    /// `None` if a part of the file was read without looking for activity.
    activity: Option<BTreeMap<SessionId, SessionActivity>>,
}

impl Statistics {
    fn add(&mut self, file: &FileAnalysis) {
        self.activity = match (self.activity.take(), &file.activity) {
            (Some(mut sum), Some(more)) => {
                for (session, activity) in more {
                    sum.entry(session.clone()).or_default().merge(activity.clone());
                }
                Some(sum)
            }
            _ => None,
        };
        self.lines += file.lines;
        self.damage += file.damage;
        add_categories(
            &mut self.categories,
            file.content_categories.iter().map(|(category, tokens)| (*category, *tokens)),
        );
        for (session, part) in &file.sessions {
            match self.sessions.get_mut(session) {
                Some(known) => known.merge(part.clone()),
                None => drop(self.sessions.insert(session.clone(), part.clone())),
            }
        }
    }

    /// Returns the session to which the file's lines are attributed: the one with the most snapshots, or else `fallback`.
    fn home(&self, fallback: &SessionId) -> SessionId {
        let most = self.sessions.iter().max_by(|a, b| a.1.snapshots.cmp(&b.1.snapshots).then(b.0.cmp(a.0)));
        most.map_or_else(|| fallback.clone(), |(session, _)| session.clone())
    }
}

fn add_categories(sum: &mut ContentCategories, more: impl Iterator<Item = (ContentCategory, u64)>) {
    for (category, tokens) in more {
        let sum = sum.entry(category).or_default();
        *sum = sum.saturating_add(tokens);
    }
}

/// A read of a file, for its records.
#[derive(Debug)]
pub(crate) struct FileReading<'a> {
    pub(crate) state: FileState,
    pub(crate) known: Option<&'a KnownFile>,
    pub(crate) host: &'a HostName,
    /// The path or name that it is recorded under.
    pub(crate) recorded: &'a Path,
    pub(crate) read_at: Timestamp,
    pub(crate) epoch: Epoch,
}

impl FileReading<'_> {
    /// Returns the new records of the file: one for each session in it, and an empty one for
    /// each that is no longer in it. What belongs to the file as a whole is attributed to its home session.
    pub(crate) fn records(&self, file: &FileAnalysis) -> Vec<SourceRecord> {
        let continued = self.known.filter(|_| file.start != ReadPosition::default());
        let whole = || Statistics { activity: Some(BTreeMap::new()), ..Statistics::default() };
        let mut statistics = continued.map_or_else(whole, KnownFile::statistics);
        statistics.add(file);
        let home = statistics.home(&file.home_session);
        let known = self.known.iter().flat_map(|known| known.records.iter().map(|record| &record.session));
        let active = statistics.activity.iter().flat_map(BTreeMap::keys);
        let sessions: BTreeSet<&SessionId> =
            statistics.sessions.keys().chain([&home]).chain(active).chain(known).collect();
        sessions.into_iter().map(|session| self.record(file, session, &home, &statistics)).collect()
    }

    fn record(
        &self,
        file: &FileAnalysis,
        session: &SessionId,
        home: &SessionId,
        statistics: &Statistics,
    ) -> SourceRecord {
        let part = statistics.sessions.get(session);
        let is_home = session == home;
        SourceRecord {
            host: self.host.clone(),
            path: self.recorded.to_owned(),
            session: session.clone(),
            cursor: source_cursor(&self.state, &file.end),
            project: part.and_then(|part| part.project.clone()),
            lines: if is_home { statistics.lines } else { 0 },
            damage: if is_home { statistics.damage } else { DamageCounts::default() },
            content_categories: if is_home { statistics.categories.clone() } else { Default::default() },
            snapshots: part.map_or(0, |part| part.snapshots),
            snapshot_tokens: part.map_or(0, |part| part.snapshot_tokens),
            first_time: part.map(|part| part.first_time),
            last_time: part.map(|part| part.last_time),
            activity: statistics
                .activity
                .as_ref()
                .map(|activity| Box::new(activity.get(session).cloned().unwrap_or_default())),
            analysis_version: ANALYSIS_VERSION.to_owned(),
            rule_revision: RuleRevision::CURRENT,
            read_at: self.read_at,
            epoch: self.epoch,
        }
    }
}
