//! Analyzing many files on several threads.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bridge_core::HostName;

use crate::file::OpenFile;
use crate::join::Joined;
use crate::lines::{BLOCK_BYTES, Limits, Lines};
use crate::part::{Batch, FileTask, PartOptions};
use crate::plan::{FileRead, Part, Plan};
use crate::scan::{PartMemory, read_lines, read_part};
use crate::{AnalysisProgress, FileAnalysis, History, ProjectNames, ReadPosition, SourceError, SourceFile};

/// Options of an analysis.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AnalyzerOptions {
    /// The machine that the transcripts lie on; stored with every response. A bridge takes its own where none is given.
    pub host: Option<HostName>,
    /// What becomes of the projects' names.
    pub project_names: ProjectNames,
    /// Threads that read; 0 means one for each core.
    pub threads: usize,
    /// Longer lines are skipped and reported, in bytes.
    pub line_bytes_max: usize,
    /// What a thread reads at once, in bytes. The result does not depend on it.
    pub block_bytes: usize,
    /// Files are cut into parts of so many bytes, which are read by different threads, so that a large file
    /// holds up nobody. The result does not depend on it.
    pub part_bytes: u64,
    /// Whether to validate every line in full; otherwise lines that hold no usage get a cheap check.
    pub strict: bool,
    /// Whether to estimate content categories (needs every line to be parsed).
    pub categories: bool,
}

impl Default for AnalyzerOptions {
    /// No host, whole project names, a thread for each core, lines up to 64 MiB, blocks of 256 KiB, parts of 4 MiB, no
    /// strictness, no categories.
    fn default() -> Self {
        Self {
            host: None,
            project_names: ProjectNames::Full,
            threads: 0,
            line_bytes_max: 64 << 20,
            block_bytes: BLOCK_BYTES,
            part_bytes: 4 << 20,
            strict: false,
            categories: false,
        }
    }
}

impl AnalyzerOptions {
    fn thread_count(&self, reads: &[FileRead]) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if self.threads == 0 { cores() } else { self.threads };
        let parts: u64 = reads.iter().map(|read| read.bytes() / self.part_bytes.max(1) + 1).sum();
        threads.clamp(1, usize::try_from(parts).unwrap_or(usize::MAX).max(1))
    }

    fn part_options(&self) -> PartOptions {
        PartOptions {
            limits: Limits { block_bytes: self.block_bytes, line_bytes_max: self.line_bytes_max },
            every_line: self.strict || self.categories,
            categories: self.categories,
        }
    }
}

/// Reads the files into the history, each to its end, on several threads, and hands what stands in each
/// beside its responses to `take` as it is finished, one at a time and in no particular order. A file that
/// fails half-way is handed over with what was read of it, and the error is in the history.
///
/// Where the analysis is cancelled, responses of files that are not finished may be in the history.
///
/// Memory: for each thread a block, or the longest line (up to the limit) where that is longer, and up to
/// 4096 snapshots; for each response in the history under 100 bytes; nothing for bytes, lines or files.
pub fn analyze_files(
    files: &[SourceFile],
    options: &AnalyzerOptions,
    progress: &AnalysisProgress,
    history: &mut History,
    mut take: impl FnMut(FileAnalysis) + Send,
) {
    let reads: Vec<FileRead> = files.iter().cloned().map(FileRead::whole).collect();
    analyze_reads(&reads, options, progress, history, |_, file| take(file));
}

/// Reads parts of files, as [`analyze_files`] reads whole ones. What is handed over covers only what was read: the
/// caller adds the statistics of earlier reads.
///
/// `take` may drain the history ([`History::take_changed`]) while other files are being read, so a caller that stores
/// as it goes holds few rows at once and no thread waits for the end of a batch.
pub fn analyze_reads(
    reads: &[FileRead],
    options: &AnalyzerOptions,
    progress: &AnalysisProgress,
    history: &mut History,
    take: impl FnMut(&mut History, FileAnalysis) + Send,
) {
    let run = Run {
        plan: Mutex::new(Plan::new(reads, options)),
        joined: Mutex::new(Joined::new(history, progress, take)),
        options,
        progress,
    };
    std::thread::scope(|scope| {
        // This thread works too.
        for _ in 1..options.thread_count(reads) {
            scope.spawn(|| run.work());
        }
        run.work();
    });
}

/// Analyses lines of a file that somebody else has read: `content` stands in the file at `from`, where a line
/// begins. What a reader of the file must know of what stands before is in `from`, and every line is parsed, so
/// that the file is asked for nothing but the times before `from`, where these are not known.
///
/// # Errors
///
/// Times had to be looked for, and the file cannot be read.
pub fn analyze_content(
    file: &SourceFile,
    from: ReadPosition,
    content: &[u8],
    options: &AnalyzerOptions,
    history: &mut History,
) -> Result<FileAnalysis, SourceError> {
    let read = FileRead { file: file.clone(), from, until: u64::MAX };
    let task = FileTask::new(&read, options);
    let part_options = PartOptions { every_line: true, ..options.part_options() };
    let lines = Lines::new(content, Vec::new(), part_options.limits, from.offset, u64::MAX);
    let number = history.begin_file();
    let mut merge = |batch: &mut Batch| history.merge(number, batch);
    let (memory, progress) = (&mut PartMemory::default(), AnalysisProgress::default());
    let (report, result) = read_lines(&task, from.offset, lines, part_options, memory, &progress, &mut merge);
    let mut open = OpenFile::new(from);
    open.take(0, report);
    let mut analysis = open.finish(&task, result.is_ok());
    history.end_file(number, &analysis);
    // Every line was read: nothing is unknown up to the end.
    analysis.end.time.before = analysis.end.offset;
    result.map(|()| analysis).map_err(|error| SourceError::new(&file.path, error))
}

/// What the threads share.
struct Run<'a, T> {
    plan: Mutex<Plan<'a>>,
    joined: Mutex<Joined<'a, T>>,
    options: &'a AnalyzerOptions,
    progress: &'a AnalysisProgress,
}

impl<'a, T: FnMut(&mut History, FileAnalysis) + Send> Run<'a, T> {
    fn work(&self) {
        let mut memory = PartMemory::default();
        let options = self.options.part_options();
        while let Some(part) = self.next_part() {
            let mut hand_over = |batch: &mut Batch| self.joined().merge(&part, batch);
            let range = (part.from, part.until);
            let (report, result) =
                read_part(&part.task, range, options, &mut memory, self.progress, &mut hand_over);
            if self.progress.is_cancelled() {
                return;
            }
            self.joined().join(&part, report, result);
        }
    }

    fn next_part(&self) -> Option<Part<'a>> {
        if self.progress.is_cancelled() {
            return None;
        }
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    fn joined(&self) -> MutexGuard<'_, Joined<'a, T>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
