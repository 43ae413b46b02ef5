//! Small synthetic histories in the layout and formats of Claude Code, with totals known by construction.
//!
//! A history is a pure function of its [`HistoryPlan`]: equal plans generate equal bytes. It contains everything that
//! makes counting hard: several lines per response with growing output, resumed and forked copies, nested progress
//! records, quoted transcript lines, decoy usage, iterations, advisors, damage and truncated last lines.
//!
//! ```
//! use bridge_testkit::{history::HistoryPlan, reference};
//!
//! let history = HistoryPlan { seed: 7, ..HistoryPlan::default() }.generate();
//! let totals = reference::analyze(history.reference_files(), reference::Options::default());
//! assert_eq!(totals.counters, history.truth.counters);
//! ```

mod damage;
mod decoy;
mod filler;
mod line;
mod message;
mod plan;
mod record;
mod response;
mod sample;
mod session;
mod subagent;
mod transcript;
mod truth;
mod usage;

pub use filler::timestamp;
pub use plan::{Damage, HistoryPlan};
pub use sample::sample_plan;
pub use truth::{HistoryTruth, SessionTruth, TrueResponse};

use crate::reference::ReferenceFile;
use std::{
    fs, io,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

/// A generated history in memory.
#[derive(Debug, Clone)]
pub struct GeneratedHistory {
    /// The files, ordered by path.
    pub files: Vec<GeneratedFile>,
    /// The true totals.
    pub truth: HistoryTruth,
}

/// One file of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// The path relative to the `projects` folder, separated by `/`.
    pub relative_path: String,
    /// The file's bytes.
    pub content: Vec<u8>,
    /// The modification time in milliseconds since 1970.
    pub modified_millis: i64,
}

impl GeneratedHistory {
    /// Returns the files as input for the reference analyzer.
    pub fn reference_files(&self) -> impl Iterator<Item = ReferenceFile> {
        self.files
            .iter()
            .map(|file| ReferenceFile::new(&file.relative_path, file.modified_millis, file.content.clone()))
    }

    /// Writes the files to a `projects` folder, with their modification times.
    ///
    /// # Errors
    /// Fails if a folder or file cannot be written.
    pub fn write_below(&self, projects: &Path) -> io::Result<()> {
        for file in &self.files {
            let path = projects.join(&file.relative_path);
            fs::create_dir_all(path.parent().unwrap_or(projects))?;
            fs::write(&path, &file.content)?;
            let since_1970 = Duration::from_millis(u64::try_from(file.modified_millis).unwrap_or(0));
            fs::File::options().write(true).open(&path)?.set_modified(UNIX_EPOCH + since_1970)?;
        }
        Ok(())
    }
}
