//! Counts the tokens of AI coding transcripts (JSONL) exactly.
//!
//! A transcript repeats an API response for each content block, again after a session was
//! resumed, forked or compacted, and again nested in `progress` records. This crate finds every snapshot of
//! every response, keeps the one that counts, and shows with a [`Receipt`](bridge_core::Receipt) how the total follows
//! from the lines.
//!
//! ```
//! use bridge_analysis::{AnalysisProgress, AnalyzerOptions, History, analyze_files, discover};
//!
//! # let folder = tempfile::tempdir()?;
//! # let line = |output| format!(r#"{{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_01ABCDEFGHIJKLMNOPQRSTUV","usage":{{"input_tokens":10,"output_tokens":{output}}}}}}}"#);
//! # std::fs::write(folder.path().join("s.jsonl"), format!("{}\n{}\n", line(1), line(32)))?;
//! let found = discover(&[folder.path().to_owned()]);
//! let mut history = History::default();
//! let options = AnalyzerOptions::default();
//! analyze_files(&found.files, &options, &AnalysisProgress::default(), &mut history, |file| {
//!     assert!(file.complete);
//! });
//! // Two lines of one response: the second is the last word.
//! assert_eq!(history.counts()?.total(), 42);
//! let receipt = history.receipt();
//! assert_eq!((receipt.assistant_lines.tokens, receipt.repeats_within_files.tokens), (53, 11));
//! assert!(receipt.adds_up());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `read` finds files and cuts them into lines, `json` reads fields out of a line, `claude` knows the format of one
//! agent and makes snapshots of them, and `count` keeps of each response the snapshot that counts. Another agent's
//! format is a sibling of `claude`.
//!
//! Synchronous, on threads. Files are read in blocks, never mapped: transcripts are appended to and
//! truncated while they are read. No text but identifiers and names leaves the buffers.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod analyzer;
mod assignments;
mod claude;
mod count;
mod error;
#[doc(hidden)]
pub mod incremental;
mod json;
mod options;
#[doc(hidden)]
pub mod platform;
mod position;
mod privacy;
mod progress;
mod projects;
mod read;
mod report;
mod source;

pub use analyzer::analyze_files;
pub use assignments::{AssignmentRule, AssignmentRules, InvalidPattern, PathPattern};
pub use claude::roots::SourceRoots;
pub use count::history::{History, RunFacts};
pub use count::response::Response;
pub use error::SourceError;
pub use options::AnalyzerOptions;
pub use privacy::{InvalidProjectKey, ProjectKey, ProjectNames};
pub use progress::AnalysisProgress;
pub use projects::{GitEntry, GitFolders, ProjectCatalog, ProjectGroupRule, ProjectNameRule, SeenProjects};
pub use read::discover::discover;
pub use report::{DamagePlace, FileAnalysis, SessionInFile};
pub use source::{Discovery, SourceFile};
