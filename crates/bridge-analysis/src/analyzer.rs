//! Analysing many files on several threads.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bridge_core::HostName;

use crate::file::analyze_file;
use crate::{AnalysisProgress, FileAnalysis, SourceError, SourceFile};

/// How transcripts are analysed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AnalyzerOptions {
    /// The machine that the transcripts lie on; stored with every response.
    pub host: Option<HostName>,
    /// Threads that read; 0 means one for each core.
    pub threads: usize,
    /// Longer lines are skipped and reported, in bytes.
    pub line_bytes_max: usize,
    /// Whether to validate every line in full; otherwise lines that hold no usage get a cheap check.
    pub strict: bool,
    /// Whether to estimate content categories (needs every line to be parsed).
    pub categories: bool,
}

impl Default for AnalyzerOptions {
    /// No host, a thread for each core, lines up to 64 MiB, no strictness, no categories.
    fn default() -> Self {
        Self { host: None, threads: 0, line_bytes_max: 64 << 20, strict: false, categories: false }
    }
}

impl AnalyzerOptions {
    fn thread_count(&self, files: usize) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if self.threads == 0 { cores() } else { self.threads };
        threads.clamp(1, files.max(1))
    }
}

/// Reads the files, each to its end, on several threads, and hands each to `take` as it is finished, one at
/// a time and in no particular order. A file that fails half-way is handed over with what was read of it,
/// and the error.
pub fn analyze_files(
    files: &[SourceFile],
    options: &AnalyzerOptions,
    progress: &AnalysisProgress,
    take: impl FnMut(FileAnalysis, Option<SourceError>) + Send,
) {
    // The largest first, so that no thread starts on a large one when the others are done.
    let mut order: Vec<&SourceFile> = files.iter().collect();
    order.sort_by_key(|file| std::cmp::Reverse(file.size));
    let next = AtomicUsize::new(0);
    let take = Mutex::new(take);
    let work = || {
        let mut buffer = Vec::new();
        while let Some(file) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            if progress.is_cancelled() {
                return;
            }
            let (analysis, error) = analyze_file(file, options, &mut buffer, progress);
            if progress.is_cancelled() {
                return;
            }
            let tokens: u64 = analysis.responses.iter().map(|winner| winner.usage.counts.total()).sum();
            progress.tokens.fetch_add(tokens, Ordering::Relaxed);
            progress.files.fetch_add(1, Ordering::Relaxed);
            let error = error.map(|error| SourceError::new(&file.path, error));
            let mut take = take.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            take(analysis, error);
        }
    };
    std::thread::scope(|scope| {
        // This thread works too.
        for _ in 1..options.thread_count(order.len()) {
            scope.spawn(work);
        }
        work();
    });
}
