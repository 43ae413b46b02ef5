//! The reading half of a backfill or a synchronization: plain functions on a blocking thread and its workers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use bridge_analysis::incremental::{FileChange, FileRead, FileState, analyze_reads, inspect};
use bridge_analysis::{
    AnalysisProgress, AnalyzerOptions, Discovery, FileAnalysis, History, SourceError, SourceFile,
};
use bridge_core::{
    DamageCounts, HostName, ResponseUsage, RuleRevision, SessionId, SupersededKey, TimeRange, Timestamp,
};
use bridge_storage::SourceRecord;
use tokio::sync::mpsc;

use crate::ingest::cursors::{FileReading, KnownFile, KnownFiles};

/// Findings of a batch of files.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) rows: Vec<ResponseUsage>,
    /// Keys under which older revisions of the rule stored what counts under the rows' keys.
    pub(crate) superseded: Vec<SupersededKey>,
    pub(crate) sources: Vec<SourceRecord>,
    /// Sessions with a snapshot in what was read, also where greater ones of other sessions won: their sums are covered,
    /// however the reading is divided.
    pub(crate) sessions: BTreeSet<SessionId>,
}

/// Which files are read, and which part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// All files, from their beginning.
    Whole,
    /// What is new since the cursors.
    Incremental,
}

/// What a file looks like, and what happened to it since it was recorded.
type Comparison = io::Result<(FileState, FileChange)>;

/// Compares the files with their records. Also where all files are read again: of one that is unchanged the fingerprint
/// is recorded, and need not be made of its content once more.
fn compare_all(files: &[SourceFile], known: &KnownFiles, threads: usize) -> Vec<Comparison> {
    let compare = |file: &SourceFile| {
        let cursor = known.at(&file.path).and_then(KnownFile::cursor);
        inspect(file, cursor.as_ref())
    };
    let per_thread = files.len().div_ceil(threads.max(1)).max(FILES_PER_THREAD_MIN);
    let Some((own, others)) = files.split_at_checked(per_thread) else {
        return files.iter().map(compare).collect();
    };
    std::thread::scope(|scope| {
        let compare_part = |part: &[SourceFile]| part.iter().map(compare).collect::<Vec<_>>();
        let started: Vec<_> =
            others.chunks(per_thread).map(|part| scope.spawn(move || compare_part(part))).collect();
        // This thread works too.
        let mut comparisons = compare_part(own);
        for part in started {
            comparisons.extend(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        comparisons
    })
}

/// Fewer files are compared sooner than a thread is started.
const FILES_PER_THREAD_MIN: usize = 256;

/// What is to be read.
#[derive(Debug, Default)]
pub(crate) struct ReadPlan {
    reads: Vec<FileRead>,
    /// Of each file that is read, in their order; none where nothing is recorded.
    states: Vec<FileState>,
    known: KnownFiles,
    errors: Vec<SourceError>,
    /// Records of files whose content was found in another place.
    moved: Vec<SourceRecord>,
    /// Known files that are there no more, by the path that they are recorded under.
    gone: BTreeSet<PathBuf>,
    /// The files that were modified late enough, by the path that they are recorded under; `None` for all.
    admitted: Option<HashSet<PathBuf>>,
    /// Their paths by size and fingerprint.
    gone_content: HashMap<(u64, u128), PathBuf>,
}

impl ReadPlan {
    /// All files from their beginning, with no word about them to the store.
    pub(crate) fn unrecorded(found: Discovery) -> Self {
        let reads = found.files.into_iter().map(FileRead::whole).collect();
        Self { reads, errors: found.errors, ..Self::default() }
    }

    /// Compares every file that was modified at `since` or later with its record, on so many threads.
    pub(crate) fn recorded(
        found: Discovery,
        known: KnownFiles,
        mode: ReadMode,
        since: Option<Timestamp>,
        threads: usize,
    ) -> Self {
        let mut plan = Self { known, errors: found.errors, ..Self::default() };
        let unreadable = plan.errors.iter().map(SourceError::path);
        plan.gone = plan.known.gone(found.files.iter().map(|file| file.path.as_path()), unreadable);
        plan.admitted = since.map(|_| HashSet::new());
        plan.gone_content = plan.content_of_gone();
        let mut files = found.files;
        files.retain(|file| since.is_none_or(|since| file.modified >= since));
        if let Some(admitted) = &mut plan.admitted {
            admitted.extend(files.iter().map(|file| plan.known.recorded_path(&file.path)));
        }
        let comparisons = compare_all(&files, &plan.known, threads);
        files.into_iter().zip(comparisons).for_each(|(file, comparison)| plan.add(file, comparison, mode));
        plan
    }

    fn add(&mut self, file: SourceFile, comparison: Comparison, mode: ReadMode) {
        let known = self.known.at(&file.path);
        if let Some(revision) = known.and_then(KnownFile::newer_revision) {
            // What this version made of it would count beside what is stored. Nothing is lost: the cursor stays.
            let message = format!(
                "it was read by revision {revision} of the counting rule, which this version does not know \
                 (it counts by revision {}); only a newer version can read on",
                RuleRevision::CURRENT
            );
            return self.errors.push(SourceError::new(&file.path, io::Error::other(message)));
        }
        let cursor = known.and_then(KnownFile::cursor);
        match comparison {
            Err(error) => self.errors.push(SourceError::new(&file.path, error)),
            Ok((_, FileChange::Unchanged)) if mode == ReadMode::Incremental => {}
            Ok((state, change)) => {
                let from = match (change, cursor) {
                    (FileChange::Appended, Some(cursor)) if mode == ReadMode::Incremental => cursor.position,
                    _ => Default::default(),
                };
                if cursor.is_none() {
                    self.note_move(&state);
                }
                self.states.push(state);
                self.reads.push(FileRead { file, from, until: state.size });
            }
        }
    }

    /// A new file with the content of one that is gone is that one: what is recorded of it counts no more.
    fn note_move(&mut self, state: &FileState) {
        if let Some(path) = self.gone_content.get(&(state.size, state.fingerprint)) {
            self.moved.extend(self.known.emptied(path));
        }
    }

    /// The paths of the files that are gone, by their content; of several with the same the first.
    fn content_of_gone(&self) -> HashMap<(u64, u128), PathBuf> {
        let mut content = HashMap::new();
        for path in &self.gone {
            let known = self.known.recorded(path).filter(|known| known.newer_revision().is_none());
            if let Some(known) = known.and_then(KnownFile::content) {
                content.entry(known).or_insert_with(|| path.clone());
            }
        }
        content
    }

    /// How many files are read.
    pub(crate) fn files(&self) -> u64 {
        self.reads.len() as u64
    }

    /// How many bytes are read.
    pub(crate) fn bytes(&self) -> u64 {
        self.reads.iter().map(FileRead::bytes).sum()
    }

    /// Whether the plan is about all files and not only those that were modified late enough.
    pub(crate) fn is_about_all(&self) -> bool {
        self.admitted.is_none()
    }

    /// Whether a file is recorded that holds, or held, anything of the session.
    pub(crate) fn has_record_of(&self, session: &SessionId) -> bool {
        self.known.iter().any(|(_, known)| known.records().any(|record| record.session == *session))
    }

    /// The sessions in the recorded files that the plan is about, and whether a file of theirs is still there.
    pub(crate) fn known_sessions(&self) -> BTreeMap<SessionId, bool> {
        let mut sessions = BTreeMap::new();
        let is_admitted =
            |path: &PathBuf| self.admitted.as_ref().is_none_or(|admitted| admitted.contains(path));
        for (path, known) in self.known.iter().filter(|(path, _)| is_admitted(path)) {
            for session in known.sessions() {
                *sessions.entry(session.clone()).or_default() |= !self.gone.contains(path);
            }
        }
        sessions
    }

    /// The sessions that the store knows to stand in a file.
    pub(crate) fn sessions_in(&self, path: &Path) -> impl Iterator<Item = &SessionId> {
        self.known.at(path).into_iter().flat_map(KnownFile::sessions)
    }
}

/// What a session has in the files that were read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SessionRead {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SourcesRead {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) damage: DamageCounts,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct ReadResult {
    pub(crate) history: History,
    pub(crate) sessions: BTreeMap<SessionId, SessionRead>,
    /// The sessions of files that were read and hold no response.
    pub(crate) without_responses: BTreeSet<SessionId>,
    pub(crate) sources: SourcesRead,
    pub(crate) plan: ReadPlan,
}

/// The reading half.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) plan: ReadPlan,
    pub(crate) batch_size: usize,
    pub(crate) range: TimeRange,
    pub(crate) analyzer: AnalyzerOptions,
    pub(crate) host: HostName,
    pub(crate) read_at: Timestamp,
}

impl Reader {
    /// Reads everything and hands over what was found, batch by batch, where somebody stores it.
    pub(crate) fn run(
        mut self,
        progress: &AnalysisProgress,
        storing: Option<&mpsc::Sender<Batch>>,
    ) -> ReadResult {
        let mut result = ReadResult::default();
        self.plan.errors.drain(..).for_each(|error| result.history.add_error(error));
        let reads = std::mem::take(&mut self.plan.reads);
        let states = std::mem::take(&mut self.plan.states);
        // A winner may yet move out of the range, so a limited backfill stores when all is read; and what it stores does
        // not stand for whole files, so it records none.
        let storing_at_once = storing.filter(|_| self.range.is_all());
        let mut batch = Pending { sources: std::mem::take(&mut self.plan.moved), sessions: BTreeSet::new() };
        let mut states = states.chunks(self.batch_size.max(1));
        for reads in reads.chunks(self.batch_size.max(1)) {
            let states = states.next().unwrap_or_default();
            let states: HashMap<&Path, &FileState> =
                reads.iter().map(|read| read.file.path.as_path()).zip(states).collect();
            analyze_reads(reads, &self.analyzer, progress, &mut result.history, |history, file| {
                batch.sources.extend(self.records(&file, states.get(file.file.path.as_path()).copied()));
                result.sources.bytes += file.bytes;
                result.sources.lines += file.lines;
                result.sources.damage += file.damage;
                if file.sessions.is_empty() {
                    result.without_responses.insert(file.home_session);
                }
                for (session, part) in file.sessions {
                    if part.snapshots > 0 {
                        batch.sessions.insert(session.clone());
                    }
                    let read = result.sessions.entry(session).or_default();
                    read.files += 1;
                    read.bytes += file.bytes;
                }
                if let Some(storing) = storing_at_once
                    && history.changed() >= BATCH_ROWS
                {
                    batch.send(history, storing, progress);
                }
            });
            if let Some(storing) = storing_at_once {
                batch.send(&mut result.history, storing, progress);
            }
            if progress.is_cancelled() {
                break;
            }
        }
        if let Some(storing) = storing
            && !self.range.is_all()
        {
            let mut rows = result.history.take_changed();
            rows.retain(|row| self.range.contains(row.time));
            // Nobody listens only when the backfill was dropped.
            // What an older revision stored stays until all that counts in its place is stored.
            let found =
                Batch { rows, superseded: Vec::new(), sources: Vec::new(), sessions: BTreeSet::new() };
            let _ = storing.blocking_send(found);
        }
        result.plan = self.plan;
        result
    }

    /// What is to be recorded of the file; nothing where the store knows it already.
    fn records(&self, file: &FileAnalysis, state: Option<&FileState>) -> Vec<SourceRecord> {
        let Some(state) = state.filter(|_| file.complete) else { return Vec::new() };
        let known = self.plan.known.at(&file.file.path);
        let (host, project_names) = (&self.host, &self.analyzer.project_names);
        let (read_at, epoch) = (self.read_at, self.plan.known.epoch());
        let records = FileReading { state: *state, known, host, project_names, read_at, epoch }.records(file);
        if known.is_some_and(|known| known.says_the_same_as(&records)) { Vec::new() } else { records }
    }
}

/// Records and sessions of finished files, held back until they are sent together with the rows.
#[derive(Debug)]
struct Pending {
    sources: Vec<SourceRecord>,
    sessions: BTreeSet<SessionId>,
}

impl Pending {
    /// Sends the rows that changed, and everything that stands for them. All rows of a finished file were merged before
    /// the file was handed over, so its records never overtake its rows.
    fn send(&mut self, history: &mut History, storing: &mpsc::Sender<Batch>, progress: &AnalysisProgress) {
        let found = Batch {
            rows: history.take_changed(),
            superseded: history.take_superseded(),
            sources: std::mem::take(&mut self.sources),
            sessions: std::mem::take(&mut self.sessions),
        };
        // The receiver is gone where the operation failed or was dropped: there is nothing to read on for.
        if storing.blocking_send(found).is_err() {
            progress.cancel();
        }
    }
}

/// Rows that end a batch before its last file is read. Each takes some 400 bytes until it is stored, and how densely
/// they stand in a file cannot be known from its size.
const BATCH_ROWS: usize = 16_384;

#[cfg(test)]
mod tests {
    use bridge_analysis::discover;

    use super::*;

    #[test]
    fn files_that_several_threads_compare_stay_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let sizes: Vec<u64> = (0..3 * FILES_PER_THREAD_MIN as u64 + 7).collect();
        let files: Vec<SourceFile> = sizes
            .iter()
            .map(|size| {
                let path = folder.path().join(format!("{size}.jsonl"));
                std::fs::write(&path, vec![b' '; usize::try_from(*size).unwrap()]).unwrap();
                SourceFile::of_path(&path, *size, Timestamp::MIN)
            })
            .collect();
        for threads in [0, 1, 3, 1000] {
            let comparisons = compare_all(&files, &KnownFiles::default(), threads);
            let compared: Vec<u64> = comparisons.into_iter().map(|found| found.unwrap().0.size).collect();
            assert_eq!(compared, sizes, "{threads} threads");
        }
    }

    #[test]
    fn many_rows_are_sent_before_the_last_file_is_read_and_never_after_their_records() {
        const ROWS_PER_FILE: usize = BATCH_ROWS / 2;
        let folder = tempfile::tempdir().unwrap();
        for session in ["a", "b", "c"] {
            let line = |number| {
                format!(
                    r#"{{"type":"assistant","sessionId":"{session}","timestamp":"2026-01-31T12:00:00Z","requestId":"req_{session}{number}","message":{{"id":"msg_{session}{number:023}","stop_reason":"end_turn","usage":{{"input_tokens":1,"output_tokens":2}}}}}}"#
                ) + "\n"
            };
            let text: String = (0..ROWS_PER_FILE).map(line).collect();
            std::fs::write(folder.path().join(format!("{session}.jsonl")), text).unwrap();
        }
        let found = discover(&[folder.path().to_owned()]);
        let mut analyzer = AnalyzerOptions::default();
        analyzer.threads = 1;
        let reading = Reader {
            plan: ReadPlan::recorded(found, KnownFiles::default(), ReadMode::Whole, None, 1),
            batch_size: 1000,
            range: TimeRange::default(),
            analyzer,
            host: HostName::new("h").unwrap(),
            read_at: Timestamp::MIN,
        };
        let (sender, mut receiver) = mpsc::channel(3);
        reading.run(&AnalysisProgress::default(), Some(&sender));
        drop(sender);

        let (mut sizes, mut rows) = (Vec::new(), BTreeMap::<SessionId, usize>::new());
        while let Some(found) = receiver.blocking_recv() {
            sizes.push(found.rows.len());
            found.rows.into_iter().for_each(|row| *rows.entry(row.session).or_default() += 1);
            for record in found.sources {
                assert_eq!(rows.get(&record.session), Some(&ROWS_PER_FILE), "{}", record.session);
            }
        }
        assert_eq!(sizes, [BATCH_ROWS, ROWS_PER_FILE]);
    }
}
