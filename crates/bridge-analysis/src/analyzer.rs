//! Analyzing many files on several threads.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bridge_core::SessionId;

use crate::count::batch::Batch;
use crate::count::history::History;
use crate::error::SourceError;
use crate::options::AnalyzerOptions;
use crate::position::{FileRead, ReadPosition};
use crate::progress::AnalysisProgress;
use crate::read::collector::Collector;
use crate::read::lines::Lines;
use crate::read::part::{FileTask, PartOptions};
use crate::read::partial_file::PartialFile;
use crate::read::plan::{Part, Plan};
use crate::read::scan::{PartMemory, read_lines, read_part};
use crate::report::FileAnalysis;
use crate::source::SourceFile;

/// Reads the files into the history, each to its end, on several threads. Hands each file's report to `take` when the
/// file is finished, one at a time and in no particular order. The report of a file that fails half-way covers what was
/// read of it, and the error is in the history.
///
/// If the analysis is cancelled, responses of unfinished files may be in the history.
///
/// Memory: for each thread, a block or the longest line (up to the limit), whichever is larger, and up to
/// 4096 snapshots; for each response in the history, under 100 bytes; nothing per byte, line or file.
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

/// Reads parts of files, as [`analyze_files`] reads whole ones. The reports cover only what was read: the
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
        collector: Mutex::new(Collector::new(history, progress, take)),
        options,
        progress,
    };
    std::thread::scope(|scope| {
        // This thread works too.
        for _ in 1..thread_count(options, reads) {
            scope.spawn(|| run.work());
        }
        run.work();
    });
}

/// Analyzes lines of a file that the caller has read. `content` is what the file contains from `from` on, where a
/// line begins. `from` holds everything that a reader must know about the lines before, and every line is parsed. So
/// the file is opened only if a time before `from` is needed and unknown. Lines without a session belong to
/// `session`, or to the one that the file is named after.
///
/// # Errors
///
/// A time had to be searched for, and the file cannot be read.
pub fn analyze_content(
    file: &SourceFile,
    session: Option<&SessionId>,
    from: ReadPosition,
    content: &[u8],
    options: &AnalyzerOptions,
    history: &mut History,
) -> Result<FileAnalysis, SourceError> {
    let read = FileRead { file: file.clone(), from, until: u64::MAX };
    let mut task = FileTask::new(&read, options);
    if let Some(session) = session {
        task.names.stem = session.clone();
    }
    let part_options = PartOptions { every_line: true, ..PartOptions::new(options) };
    let lines = Lines::new(content, Vec::new(), part_options.limits, from.offset, u64::MAX);
    let number = history.begin_file();
    let mut merge = |batch: &mut Batch| history.merge(number, batch);
    let (memory, progress) = (&mut PartMemory::default(), AnalysisProgress::default());
    let (report, result) = read_lines(&task, from.offset, lines, part_options, memory, &progress, &mut merge);
    let mut open = PartialFile::new(from);
    open.take(0, report);
    let mut analysis = open.finish(&task, result.is_ok());
    history.end_file(number, &analysis);
    // Every line was read: nothing is unknown up to the end.
    analysis.end.time.before = analysis.end.offset;
    result.map(|()| analysis).map_err(|error| SourceError::new(&file.path, error))
}

/// Returns the number of threads, at most the number of parts.
fn thread_count(options: &AnalyzerOptions, reads: &[FileRead]) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = if options.threads == 0 { cores() } else { options.threads };
    let parts: u64 = reads.iter().map(|read| read.bytes() / options.part_bytes.max(1) + 1).sum();
    threads.clamp(1, usize::try_from(parts).unwrap_or(usize::MAX).max(1))
}

/// The state that the threads share.
struct Run<'a, T> {
    plan: Mutex<Plan<'a>>,
    collector: Mutex<Collector<'a, T>>,
    options: &'a AnalyzerOptions,
    progress: &'a AnalysisProgress,
}

impl<'a, T: FnMut(&mut History, FileAnalysis) + Send> Run<'a, T> {
    fn work(&self) {
        let mut memory = PartMemory::default();
        let options = PartOptions::new(self.options);
        while let Some(part) = self.next_part() {
            let mut hand_over = |batch: &mut Batch| self.collector().merge(&part, batch);
            let range = (part.from, part.until);
            let (report, result) =
                read_part(&part.task, range, options, &mut memory, self.progress, &mut hand_over);
            if self.progress.is_cancelled() {
                return;
            }
            self.collector().join(&part, report, result);
        }
    }

    fn next_part(&self) -> Option<Part<'a>> {
        if self.progress.is_cancelled() {
            return None;
        }
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    fn collector(&self) -> MutexGuard<'_, Collector<'a, T>> {
        self.collector.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
