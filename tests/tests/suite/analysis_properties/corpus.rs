//! Transcripts on disk, and the analyzer's results for them.

use std::fs;

use bridge_analysis::{
    AnalysisProgress, AnalyzerOptions, FileAnalysis, History, RunFacts, SourceFile, analyze_files,
};
use bridge_core::{AnalysisSummary, EnhancedTokenAnalysis, ResponseUsage, TimeRange, Timestamp};
use bridge_testkit::reference::{Options, ReferenceFile, ReferenceTotals};
use tempfile::TempDir;

/// Files in a temporary folder.
#[derive(Debug)]
pub(crate) struct Corpus {
    _folder: TempDir,
    /// Input for the analyzer.
    pub(crate) files: Vec<SourceFile>,
    /// Input for the reference model.
    pub(crate) reference: Vec<ReferenceFile>,
}

/// The complete result of an analysis, in a canonical order.
#[derive(Debug, PartialEq)]
pub(crate) struct AnalysisResult {
    pub(crate) rows: Vec<ResponseUsage>,
    pub(crate) summary: AnalysisSummary,
    pub(crate) analyses: Vec<EnhancedTokenAnalysis>,
}

impl Corpus {
    /// Writes the files; the first component of a path is its project's folder.
    pub(crate) fn write(reference: Vec<ReferenceFile>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &ReferenceFile| {
            let path = folder.path().join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &file.content).unwrap();
            let project = file.path.components().next().unwrap().as_os_str();
            SourceFile {
                path,
                size: file.content.len() as u64,
                modified: Timestamp::from_millis(file.modified_millis).unwrap(),
                project_folder: project.to_str().map(str::to_owned),
            }
        };
        let files = reference.iter().map(write).collect();
        Self { files, reference, _folder: folder }
    }

    /// Analyzes all files. Returns the statistics of each file and the merged history.
    pub(crate) fn read(&self, options: &AnalyzerOptions) -> (Vec<FileAnalysis>, History) {
        let (mut found, mut history) = (Vec::new(), History::default());
        analyze_files(&self.files, options, &AnalysisProgress::default(), &mut history, |file| {
            assert!(file.complete, "{file:?}");
            found.push(file);
        });
        assert!(history.errors().is_empty(), "{:?}", history.errors());
        assert_eq!(found.len(), self.files.len());
        (found, history)
    }

    pub(crate) fn analyze(&self, options: &AnalyzerOptions) -> History {
        self.read(options).1
    }

    /// Returns the totals by the reference model.
    pub(crate) fn totals(&self, options: &AnalyzerOptions) -> ReferenceTotals {
        let options = Options { line_bytes_max: options.line_bytes_max };
        bridge_testkit::reference::analyze(self.reference.iter().cloned(), options)
    }
}

impl AnalysisResult {
    pub(crate) fn of(history: &History) -> Self {
        let mut rows: Vec<_> = history.responses().map(|response| response.to_usage()).collect();
        rows.sort_by_key(|row| row.key);
        let summary = history.summary(&TimeRange::ALL).unwrap();
        Self { rows, summary, analyses: analyses(history) }
    }
}

pub(crate) fn analyses(history: &History) -> Vec<EnhancedTokenAnalysis> {
    let timestamp = Timestamp::from_millis(0).unwrap();
    let facts = RunFacts { timestamp, run_id: 1, duration: std::time::Duration::ZERO, memory_mib: 0.0 };
    history.analyses(&facts).unwrap()
}

/// Returns options that validate every line.
pub(crate) fn strict() -> AnalyzerOptions {
    let mut options = AnalyzerOptions::default();
    options.strict = true;
    options
}
