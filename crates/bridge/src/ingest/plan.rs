//! Plans which transcripts are read, and from which offset.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use bridge_analysis::incremental::{FileChange, FileRead, FileState, inspect};
use bridge_analysis::{Discovery, SourceError, SourceFile};
use bridge_core::{RuleRevision, SessionId, Timestamp};
use bridge_storage::{SourceRecord, is_stream};

use crate::ingest::cursors::{KnownFile, KnownFiles};

/// The part of the transcripts to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// New content only: each file is read from where the last read ended.
    #[default]
    Incremental,
    /// Everything, from the beginning of each file.
    Full,
}

/// Returns the error of a source that a newer version has read. What this version would read from it would count in
/// addition to what is stored. Nothing is lost: the cursor stays.
pub(crate) fn unknown_revision(revision: RuleRevision) -> io::Error {
    let message = format!(
        "it was read by revision {revision} of the counting rule, which this version does not know \
         (it counts by revision {}); only a newer version can read on",
        RuleRevision::CURRENT
    );
    io::Error::other(message)
}

/// A file's state, and its change since it was recorded.
type Comparison = io::Result<(FileState, FileChange)>;

/// Compares the files with their records. Done even if all files are read again, because the recorded fingerprint of
/// an unchanged file need not be computed again.
fn compare_all(files: &[SourceFile], known: &KnownFiles, threads: usize) -> Vec<Comparison> {
    let compare = |file: &SourceFile| inspect(file, known.cursor_at(&file.path).as_ref());
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

/// For fewer files, another thread is not worth its start.
const FILES_PER_THREAD_MIN: usize = 256;

/// The remaining sources of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SourceLeft {
    /// All its files are gone.
    Nothing,
    /// It was pushed or read from a stream, which cannot be read again.
    Stream,
    /// A file exists.
    File,
}

/// The files to read.
#[derive(Debug, Default)]
pub(crate) struct ReadPlan {
    pub(super) reads: Vec<FileRead>,
    /// The records of each file to read, in the same order; none if nothing is recorded.
    pub(super) states: Vec<FileState>,
    pub(super) known: KnownFiles,
    pub(super) errors: Vec<SourceError>,
    /// Records of files whose content was found at another path.
    pub(super) moved: Vec<SourceRecord>,
    /// Known files that no longer exist, by their recorded path.
    gone: BTreeSet<PathBuf>,
    /// The files that were modified late enough, by their recorded path; `None` for all.
    admitted: Option<HashSet<PathBuf>>,
    /// Only files that were reported as changed are compared.
    is_of_changes: bool,
    /// Their paths by size and fingerprint.
    gone_content: HashMap<(u64, u128), PathBuf>,
}

impl ReadPlan {
    /// Returns a plan of all files from their beginning, without records for the store.
    pub(crate) fn unrecorded(found: Discovery) -> Self {
        let reads = found.files.into_iter().map(FileRead::whole).collect();
        Self { reads, errors: found.errors, ..Self::default() }
    }

    /// Compares every file that was modified at `since` or later with its record, on this number of threads.
    pub(crate) fn recorded(
        found: Discovery,
        known: KnownFiles,
        mode: SyncMode,
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

    /// Compares files that were reported as changed. Nothing is said about the others.
    pub(crate) fn of_changes(found: Discovery, known: KnownFiles, threads: usize) -> Self {
        let mut plan = Self { known, errors: found.errors, is_of_changes: true, ..Self::default() };
        let comparisons = compare_all(&found.files, &plan.known, threads);
        let is_new = |file: &SourceFile| plan.known.cursor_at(&file.path).is_none();
        let new = found.files.iter().zip(&comparisons).filter(|(file, _)| is_new(file));
        let new = new.filter_map(|(_, comparison)| comparison.as_ref().ok());
        let new: HashSet<_> = new.map(|(state, _)| (state.size, state.fingerprint)).collect();
        plan.gone_content = plan.known.gone_with(&new);
        let compared = found.files.into_iter().zip(comparisons);
        compared.for_each(|(file, comparison)| plan.add(file, comparison, SyncMode::Incremental));
        plan
    }

    fn add(&mut self, file: SourceFile, comparison: Comparison, mode: SyncMode) {
        let known = self.known.at(&file.path);
        if let Some(revision) = known.and_then(KnownFile::newer_revision) {
            return self.errors.push(SourceError::new(&file.path, unknown_revision(revision)));
        }
        let cursor = self.known.cursor_at(&file.path);
        match comparison {
            Err(error) => self.errors.push(SourceError::new(&file.path, error)),
            Ok((_, FileChange::Unchanged)) if mode == SyncMode::Incremental => {}
            Ok((state, change)) => {
                let from = match (change, cursor) {
                    (FileChange::Appended, Some(cursor)) if mode == SyncMode::Incremental => cursor.position,
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

    /// A new file with the content of one that is gone is a renamed file, whose old records no longer count.
    fn note_move(&mut self, state: &FileState) {
        if let Some(path) = self.gone_content.get(&(state.size, state.fingerprint)) {
            self.moved.extend(self.known.emptied(path));
        }
    }

    /// Returns the paths of the files that are gone, by their content; the first of several with the same.
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

    /// Returns the files with bytes that are not stored, and their number. A file that was read right after its last change
    /// is read again to be sure; if its content is the recorded one, it is stored.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (&SourceFile, u64)> {
        let is_stored = |read: &FileRead, state: &FileState| {
            let recorded = self.known.at(&read.file.path).and_then(KnownFile::content);
            self.known.cursor_at(&read.file.path).is_some()
                && recorded == Some((state.size, state.fingerprint))
        };
        let reads = self.reads.iter().zip(&self.states).filter(move |(read, state)| !is_stored(read, state));
        reads.map(|(read, _)| (&read.file, read.bytes())).filter(|(_, bytes)| *bytes > 0)
    }

    /// Returns the files and folders that could not be compared.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &SourceError> {
        self.errors.iter()
    }

    /// Returns the records of all files.
    pub(crate) fn into_known(self) -> KnownFiles {
        self.known
    }

    /// Returns the number of files to read.
    pub(crate) fn files(&self) -> u64 {
        self.reads.len() as u64
    }

    /// Returns the number of bytes to read.
    pub(crate) fn bytes(&self) -> u64 {
        self.reads.iter().map(FileRead::bytes).sum()
    }

    /// Returns whether only files that were reported as changed are compared.
    pub(crate) fn is_of_changes(&self) -> bool {
        self.is_of_changes
    }

    /// Returns whether the plan covers all files and not only those that were modified late enough.
    pub(crate) fn is_about_all(&self) -> bool {
        self.admitted.is_none()
    }

    /// Returns these sessions, as far as any recorded file holds, or held, lines of them.
    pub(crate) fn recorded_among(&self, sessions: &BTreeSet<SessionId>) -> BTreeSet<SessionId> {
        if sessions.is_empty() {
            return BTreeSet::new();
        }
        let records = self.known.iter().flat_map(|(_, known)| known.records());
        records.map(|record| &record.session).filter(|session| sessions.contains(*session)).cloned().collect()
    }

    /// Returns the sessions in the recorded sources that the plan covers, and what is left of their sources; only these
    /// sessions if any are named.
    pub(crate) fn known_sessions(
        &self,
        only: Option<&BTreeSet<SessionId>>,
    ) -> BTreeMap<SessionId, SourceLeft> {
        let mut sessions = BTreeMap::new();
        if only.is_some_and(BTreeSet::is_empty) {
            return sessions;
        }
        let is_admitted =
            |path: &PathBuf| self.admitted.as_ref().is_none_or(|admitted| admitted.contains(path));
        for (path, known) in self.known.iter().filter(|(path, _)| is_admitted(path)) {
            let left = match () {
                () if is_stream(path) => SourceLeft::Stream,
                () if self.gone.contains(path) => SourceLeft::Nothing,
                () => SourceLeft::File,
            };
            for session in known.sessions().filter(|session| only.is_none_or(|only| only.contains(*session)))
            {
                match sessions.get_mut(session) {
                    Some(most) => *most = left.max(*most),
                    None => drop(sessions.insert(session.clone(), left)),
                }
            }
        }
        sessions
    }

    /// The sessions that the store knows to be in a file.
    pub(crate) fn sessions_in(&self, path: &Path) -> impl Iterator<Item = &SessionId> {
        self.known.at(path).into_iter().flat_map(KnownFile::sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_comparison_keeps_the_order_of_files() {
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
}
