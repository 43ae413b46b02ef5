//! Cuts files into parts.

use std::sync::Arc;

use crate::options::AnalyzerOptions;
use crate::position::FileRead;
use crate::read::part::FileTask;

/// A part of a file, for one thread to read: the lines that begin in it.
#[derive(Debug, Clone)]
pub(crate) struct Part<'a> {
    pub(crate) task: Arc<FileTask<'a>>,
    /// The file's index among those to read.
    pub(crate) file: usize,
    /// The part's index in its file.
    pub(crate) index: usize,
    pub(crate) from: u64,
    /// The end of the last part is that of the file when it is read.
    pub(crate) until: u64,
    pub(crate) is_last: bool,
}

/// The parts of all files, in order, each returned once.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    reads: &'a [FileRead],
    options: &'a AnalyzerOptions,
    next_file: usize,
    /// The part after the last one returned, if that was not its file's last.
    next: Option<Part<'a>>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(reads: &'a [FileRead], options: &'a AnalyzerOptions) -> Self {
        Self { reads, options, next_file: 0, next: None }
    }

    fn first_part(&mut self) -> Option<Part<'a>> {
        let file = self.next_file;
        let read = self.reads.get(file)?;
        self.next_file += 1;
        let task = Arc::new(FileTask::new(read, self.options));
        let from = read.from.offset;
        let (until, is_last) = self.end_of_part(&task, from);
        Some(Part { task, file, index: 0, from, until, is_last })
    }

    /// A remainder of less than half a part does not become one of its own.
    fn end_of_part(&self, task: &FileTask<'_>, from: u64) -> (u64, bool) {
        let bytes = self.options.part_bytes.max(1);
        let rest = task.until.min(task.file.size).saturating_sub(from);
        if rest <= bytes.saturating_add(bytes / 2) { (u64::MAX, true) } else { (from + bytes, false) }
    }
}

impl<'a> Iterator for Plan<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let part = match self.next.take() {
            Some(part) => part,
            None => self.first_part()?,
        };
        if !part.is_last {
            let (until, is_last) = self.end_of_part(&part.task, part.until);
            self.next =
                Some(Part { index: part.index + 1, from: part.until, until, is_last, ..part.clone() });
        }
        Some(part)
    }
}
