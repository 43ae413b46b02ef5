//! Small synthetic histories in the layout and shapes of Claude Code, with totals known by construction.
//!
//! A history is a pure function of its [`HistoryPlan`]: the same plan gives the same bytes. It holds what makes
//! counting hard: several lines a response with growing output, resumed and forked copies, nested progress
//! records, quoted transcript lines, decoy usage, iterations, advisors, damage and torn ends.
//!
//! ```
//! use bridge_testkit::{history::HistoryPlan, reference};
//!
//! let history = HistoryPlan { seed: 7, ..HistoryPlan::default() }.generate();
//! let totals = reference::analyze(history.reference_files(), reference::Options::default());
//! assert_eq!(totals.counters, history.truth.counters);
//! ```

mod damage;
mod line;
mod message;
mod plan;
mod prose;
mod record;
mod response;
mod sample;
mod session;
mod subagent;
mod trace;
mod transcript;
mod truth;
mod usage;

pub use plan::{Damage, HistoryPlan};
pub use prose::timestamp;
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
    /// Its files, in the order of their paths.
    pub files: Vec<GeneratedFile>,
    /// What is in them.
    pub truth: HistoryTruth,
}

/// One file of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// The path below the `projects` folder, with `/`.
    pub relative_path: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// When it was last changed, in milliseconds since 1970.
    pub modified_millis: i64,
}

impl GeneratedHistory {
    /// The files as the reference analyzer takes them.
    pub fn reference_files(&self) -> impl Iterator<Item = ReferenceFile> {
        self.files
            .iter()
            .map(|file| ReferenceFile::new(&file.relative_path, file.modified_millis, file.content.clone()))
    }

    /// Writes the files below a `projects` folder, with their times.
    ///
    /// # Errors
    /// A folder or file that cannot be written.
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
