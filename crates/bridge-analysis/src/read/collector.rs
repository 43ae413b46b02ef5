//! Collects the results of the threads.

use std::collections::HashMap;
use std::io;

use crate::count::batch::Batch;
use crate::count::history::History;
use crate::error::SourceError;
use crate::progress::AnalysisProgress;
use crate::read::part::PartReport;
use crate::read::partial_file::PartialFile;
use crate::read::plan::Part;
use crate::report::FileAnalysis;

/// The history being read, and the unfinished files.
pub(crate) struct Collector<'a, T> {
    history: &'a mut History,
    progress: &'a AnalysisProgress,
    files: HashMap<usize, Unfinished>,
    take: T,
}

/// A file whose parts are not all read.
struct Unfinished {
    /// Its number in the history.
    number: u32,
    file: PartialFile,
    /// The number of its parts, once it is known.
    parts: Option<usize>,
    /// The first part that failed.
    error: Option<(usize, io::Error)>,
}

impl<'a, T: FnMut(&mut History, FileAnalysis)> Collector<'a, T> {
    pub(crate) fn new(history: &'a mut History, progress: &'a AnalysisProgress, take: T) -> Self {
        Self { history, progress, files: HashMap::new(), take }
    }

    /// Merges the snapshots of a part, or some of them.
    pub(crate) fn merge(&mut self, part: &Part<'_>, batch: &mut Batch) {
        let number = self.unfinished(part).number;
        self.history.merge(number, batch);
        self.progress.set_tokens(self.history.tokens());
    }

    /// Adds the report of a part whose snapshots were all merged.
    pub(crate) fn join(&mut self, part: &Part<'_>, report: PartReport, result: io::Result<()>) {
        let unfinished = self.unfinished(part);
        if let Err(error) = result
            && unfinished.error.as_ref().is_none_or(|(first, _)| *first > part.index)
        {
            unfinished.error = Some((part.index, error));
        }
        if part.is_last {
            unfinished.parts = Some(part.index + 1);
        }
        let joined = unfinished.file.take(part.index, report);
        if unfinished.parts == Some(joined)
            && let Some(unfinished) = self.files.remove(&part.file)
        {
            self.finish(part, unfinished);
        }
    }

    fn finish(&mut self, part: &Part<'_>, unfinished: Unfinished) {
        let analysis = unfinished.file.finish(&part.task, unfinished.error.is_none());
        self.history.end_file(unfinished.number, &analysis);
        if let Some((_, error)) = unfinished.error {
            self.history.add_error(SourceError::new(&part.task.file.path, error));
        }
        self.progress.add_file();
        (self.take)(self.history, analysis);
    }

    fn unfinished(&mut self, part: &Part<'_>) -> &mut Unfinished {
        self.files.entry(part.file).or_insert_with(|| Unfinished {
            number: self.history.begin_file(),
            file: PartialFile::new(part.task.from),
            parts: None,
            error: None,
        })
    }
}
