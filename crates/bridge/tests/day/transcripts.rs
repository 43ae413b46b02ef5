//! The transcripts on disk: the operator's, which grow over the day, and those of a bad import.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bridge::Timestamp;
use bridge_testkit::history::{Damage, GeneratedFile, GeneratedHistory, HistoryPlan};
use bridge_testkit::reference;
use tempfile::TempDir;

use crate::day::session_totals::SessionTotals;

/// The folder of the bad import.
const IMPORTED: &str = "exported-by-the-other-tool";
/// The number of parts in which a growing file is written. A part may end in the middle of a line.
const PARTS: usize = 3;

pub(crate) struct Transcripts {
    folder: TempDir,
    /// The operator's complete history, as of the evening.
    history: GeneratedHistory,
}

impl Transcripts {
    /// The operator's transcripts, with only the first part of growing ones.
    pub(crate) fn of_the_morning() -> Self {
        let plan = HistoryPlan { projects: 3, sessions: 3, ..HistoryPlan::default() };
        // The responses of an implicitly resumed session cannot be attributed with certainty. The history has no such
        // session, so all totals of every session can be compared.
        let histories = (1..).map(|seed| HistoryPlan { seed, ..plan }.generate());
        let is_certain = |history: &GeneratedHistory| history.truth.open_sessions.is_empty();
        let history = histories.into_iter().find(is_certain).unwrap();
        let folder = tempfile::tempdir().unwrap();
        history.write_below(folder.path()).unwrap();
        let transcripts = Self { folder, history };
        for (path, file) in transcripts.growing() {
            let begun = file.content.len() / PARTS;
            fs::write(&path, &file.content[..begun]).unwrap();
            set_modified(&path, Timestamp::from_millis(file.modified_millis).unwrap());
        }
        transcripts
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The sessions continue with the next part, which is the second or the third.
    pub(crate) fn grow(&self, part: usize, now: Timestamp) {
        for (path, file) in self.growing() {
            let ends = |parts: usize| file.content.len() * parts / PARTS;
            let mut transcript = File::options().append(true).open(&path).unwrap();
            transcript.write_all(&file.content[ends(part - 1)..ends(part)]).unwrap();
            set_modified(&path, now);
        }
    }

    /// Copies every transcript with message ids made up by another tool, so their tokens count twice. Adds about two
    /// hundred transcripts of a colleague whose clock is wrong, many with future times.
    pub(crate) fn import(&self, now: Timestamp) {
        for file in &self.history.files {
            let content = fs::read(self.folder().join(&file.relative_path)).unwrap();
            let path = self.folder().join(IMPORTED).join(&file.relative_path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, with_other_ids(content)).unwrap();
            set_modified(&path, now);
        }
        let colleagues = HistoryPlan {
            seed: 4711,
            projects: 130,
            sessions: 1,
            responses_per_session: 4,
            first_millis: 1_767_225_600_000, // 2026-01-01
            damage: Damage::Text,
            ..HistoryPlan::default()
        };
        colleagues.generate().write_below(&self.folder().join(IMPORTED).join("colleague")).unwrap();
    }

    pub(crate) fn remove_import(&self) {
        fs::remove_dir_all(self.folder().join(IMPORTED)).unwrap();
    }

    /// The reference analysis of the current files. The client's journals are not transcripts.
    pub(crate) fn reference(&self) -> reference::ReferenceTotals {
        let mut files = reference::read_folder(self.folder()).unwrap();
        files.retain(|file| !file.path.ends_with("journal.jsonl"));
        reference::analyze(files, reference::Options::default())
    }

    /// The reference totals by session.
    pub(crate) fn totals(&self) -> SessionTotals {
        SessionTotals::of(&self.reference())
    }

    /// The generator's totals of the operator's own transcripts, as of the evening.
    pub(crate) fn truth(&self) -> SessionTotals {
        SessionTotals::of_truth(&self.history.truth)
    }

    /// The operator's own sessions.
    pub(crate) fn own_sessions(&self) -> impl Iterator<Item = &str> + Clone {
        self.history.truth.sessions.keys().map(String::as_str)
    }

    /// Every third file grows.
    fn growing(&self) -> impl Iterator<Item = (PathBuf, &GeneratedFile)> {
        let files = self.history.files.iter().step_by(3);
        files.map(|file| (self.folder().join(&file.relative_path), file))
    }
}

fn with_other_ids(mut content: Vec<u8>) -> Vec<u8> {
    let (theirs, made_up) = (b"msg_", b"dup_");
    for start in 0..content.len().saturating_sub(theirs.len()) {
        if content[start..].starts_with(theirs) {
            content[start..start + theirs.len()].copy_from_slice(made_up);
        }
    }
    content
}

fn set_modified(path: &Path, time: Timestamp) {
    let since_1970 = Duration::from_millis(time.as_millis().unsigned_abs());
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + since_1970).unwrap();
}
