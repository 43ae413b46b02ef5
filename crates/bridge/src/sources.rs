//! What the store knows of source files, and what it is told about one that was read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use bridge_analysis::{
    FileAnalysis, FileCursor, FileMark, KnownTime, ProjectNames, ReadPosition, SessionInFile,
};
use bridge_core::{
    ANALYSIS_VERSION, ContentCategories, DamageCounts, Epoch, HostName, RuleRevision, SessionId, Timestamp,
};
use bridge_storage::{SourceCursor, SourceRecord};

/// What the store knows of a file.
#[derive(Debug, Clone)]
pub(crate) struct KnownFile {
    /// How far it was read; `None` where another revision of the counting rule read it, or the store was rolled back
    /// since.
    pub(crate) cursor: Option<FileCursor>,
    /// Its size and fingerprint when it was read, by whichever revision; `None` where the store was rolled back since.
    pub(crate) content: Option<(u64, u128)>,
    /// The revision that read it, where this version does not know it.
    pub(crate) newer_revision: Option<RuleRevision>,
    /// What was found in it, by session.
    records: Vec<SourceRecord>,
}

/// What the store knows of the files of a host.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles {
    /// By the path that they are recorded under.
    files: HashMap<PathBuf, KnownFile>,
    project_names: ProjectNames,
    epoch: Epoch,
}

impl KnownFiles {
    /// The records by file. All records of a file are written at once; should they differ, the latest counts.
    pub(crate) fn new(records: Vec<SourceRecord>, project_names: ProjectNames, epoch: Epoch) -> Self {
        let mut files: HashMap<PathBuf, Vec<SourceRecord>> = HashMap::new();
        for record in records {
            files.entry(record.path.clone()).or_default().push(record);
        }
        let files = files.into_iter().map(|(path, records)| (path, KnownFile::of_records(records, epoch)));
        Self { files: files.collect(), project_names, epoch }
    }

    /// What is known of the file at this path.
    pub(crate) fn at(&self, path: &Path) -> Option<&KnownFile> {
        self.recorded(&self.project_names.recorded_path(path))
    }

    /// What is recorded under this path.
    pub(crate) fn recorded(&self, path: &Path) -> Option<&KnownFile> {
        self.files.get(path)
    }

    /// The path that the file at this path is recorded under.
    pub(crate) fn recorded_path(&self, path: &Path) -> PathBuf {
        self.project_names.recorded_path(path)
    }

    /// The epoch in which the store is asked.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// All of them, by the path that they are recorded under.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &KnownFile)> {
        self.files.iter()
    }

    /// The paths under which files are recorded that are neither among these nor anywhere else. Of what is in a
    /// folder that cannot be read nobody knows. Where a path is not recorded in full, who looks among fewer files
    /// than before takes the others for gone.
    pub(crate) fn gone<'a>(
        &self,
        there: impl Iterator<Item = &'a Path>,
        unreadable: impl Iterator<Item = &'a Path>,
    ) -> BTreeSet<PathBuf> {
        let there: BTreeSet<PathBuf> = there.map(|path| self.project_names.recorded_path(path)).collect();
        let unreadable: Vec<&Path> = unreadable.collect();
        // A path that is not recorded in full does not show below which folder it is.
        let is_below_all = self.project_names != ProjectNames::Full;
        let missing = |path: &&PathBuf| {
            let may_be_there = unreadable.iter().any(|folder| is_below_all || path.starts_with(folder));
            !may_be_there && !there.contains(path.as_path()) && !path.exists()
        };
        self.files.keys().filter(missing).cloned().collect()
    }
}

fn file_cursor(record: &SourceRecord) -> FileCursor {
    let cursor = &record.cursor;
    FileCursor {
        mark: FileMark {
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

impl KnownFile {
    pub(crate) fn of_records(records: Vec<SourceRecord>, epoch: Epoch) -> Self {
        let latest = records.iter().max_by_key(|record| record.version());
        let newer_revision =
            latest.map(|record| record.rule_revision).filter(|revision| *revision > RuleRevision::CURRENT);
        // What was stored in another epoch may have been taken back.
        let latest = latest.filter(|record| record.epoch == epoch);
        let content = latest
            .filter(|record| record.rule_revision > RuleRevision::NONE)
            .map(|record| (record.cursor.size, record.cursor.fingerprint));
        let cursor = latest.filter(|record| record.rule_revision == RuleRevision::CURRENT).map(file_cursor);
        Self { cursor, content, newer_revision, records }
    }

    /// What is recorded of it, by session.
    pub(crate) fn records(&self) -> impl Iterator<Item = &SourceRecord> {
        self.records.iter()
    }

    /// The sessions that were found in it.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.records.iter().filter(|record| record.snapshots > 0).map(|record| &record.session)
    }

    /// Its records with nothing in them: its content stands in another file now.
    pub(crate) fn emptied(&self, epoch: Epoch) -> impl Iterator<Item = SourceRecord> {
        self.records.iter().map(move |record| SourceRecord {
            epoch,
            rule_revision: RuleRevision::CURRENT,
            lines: 0,
            damage: DamageCounts::default(),
            content_categories: ContentCategories::new(),
            snapshots: 0,
            snapshot_tokens: 0,
            ..record.clone()
        })
    }

    /// What was found so far, to be added to.
    fn statistics(&self) -> Statistics {
        let mut statistics = Statistics::default();
        for record in &self.records {
            statistics.lines += record.lines;
            statistics.damage += record.damage;
            add_categories(&mut statistics.categories, &record.content_categories);
            let (Some(first_time), Some(last_time)) = (record.first_time, record.last_time) else { continue };
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

/// What was found in a file from its beginning on.
#[derive(Debug, Default)]
struct Statistics {
    lines: u64,
    damage: DamageCounts,
    categories: ContentCategories,
    sessions: BTreeMap<SessionId, SessionInFile>,
}

impl Statistics {
    fn add(&mut self, file: &FileAnalysis) {
        self.lines += file.lines;
        self.damage += file.damage;
        add_categories(&mut self.categories, &file.content_categories);
        for (session, part) in &file.sessions {
            match self.sessions.get_mut(session) {
                Some(known) => known.join(part.clone()),
                None => drop(self.sessions.insert(session.clone(), part.clone())),
            }
        }
    }

    /// The session that the file's lines are booked on: the one with the most snapshots, else `fallback`.
    fn home(&self, fallback: &SessionId) -> SessionId {
        let most = self.sessions.iter().max_by(|a, b| a.1.snapshots.cmp(&b.1.snapshots).then(b.0.cmp(a.0)));
        most.map_or_else(|| fallback.clone(), |(session, _)| session.clone())
    }
}

fn add_categories(sum: &mut ContentCategories, more: &ContentCategories) {
    for (category, tokens) in more {
        let sum = sum.entry(*category).or_default();
        *sum = sum.saturating_add(*tokens);
    }
}

/// A reading of a file, for its records.
#[derive(Debug)]
pub(crate) struct FileReading<'a> {
    pub(crate) mark: FileMark,
    pub(crate) known: Option<&'a KnownFile>,
    pub(crate) host: &'a HostName,
    pub(crate) project_names: &'a ProjectNames,
    pub(crate) read_at: Timestamp,
    pub(crate) epoch: Epoch,
}

impl FileReading<'_> {
    /// What the store keeps of the file now: a record for each session that stands in it, and an empty one for
    /// each that no longer does. What belongs to the file as a whole is booked on its home session.
    pub(crate) fn records(&self, file: &FileAnalysis) -> Vec<SourceRecord> {
        let continued = self.known.filter(|_| file.start != ReadPosition::default());
        let mut statistics = continued.map(KnownFile::statistics).unwrap_or_default();
        statistics.add(file);
        let home = statistics.home(&file.home_session);
        let known = self.known.iter().flat_map(|known| known.records.iter().map(|record| &record.session));
        let sessions: BTreeSet<&SessionId> = statistics.sessions.keys().chain([&home]).chain(known).collect();
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
            path: self.project_names.recorded_path(&file.file.path),
            session: session.clone(),
            cursor: SourceCursor {
                size: self.mark.size,
                modified: self.mark.modified,
                changed_nanos: self.mark.changed_nanos,
                identity: self.mark.identity,
                fingerprint: self.mark.fingerprint,
                offset: file.end.offset,
                line: file.end.newlines,
                carried_time: file.end.time.time,
                carried_before: file.end.time.before,
            },
            project: part.and_then(|part| part.project.clone()),
            lines: if is_home { statistics.lines } else { 0 },
            damage: if is_home { statistics.damage } else { DamageCounts::default() },
            content_categories: if is_home { statistics.categories.clone() } else { Default::default() },
            snapshots: part.map_or(0, |part| part.snapshots),
            snapshot_tokens: part.map_or(0, |part| part.snapshot_tokens),
            first_time: part.map(|part| part.first_time),
            last_time: part.map(|part| part.last_time),
            analysis_version: ANALYSIS_VERSION.to_owned(),
            rule_revision: RuleRevision::CURRENT,
            read_at: self.read_at,
            epoch: self.epoch,
        }
    }
}
