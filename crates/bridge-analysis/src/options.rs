//! Options of an analysis.

use bridge_core::HostName;

use crate::assignments::AssignmentRules;
use crate::privacy::ProjectNames;
use crate::projects::SeenProjects;
use crate::read::lines::BLOCK_BYTES;

/// Options of an analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnalyzerOptions {
    /// The machine of the transcripts, stored with every response. A bridge uses its own host if none is given.
    pub host: Option<HostName>,
    /// The form in which projects' names are stored.
    pub project_names: ProjectNames,
    /// Whom and what responses are assigned to.
    pub assignments: AssignmentRules,
    /// Collects the projects that are come across.
    pub seen_projects: SeenProjects,
    /// Number of reading threads; 0 means one for each core.
    pub threads: usize,
    /// Longer lines are skipped and reported, in bytes.
    pub line_bytes_max: usize,
    /// The size of a thread's reads, in bytes. The result does not depend on it.
    pub block_bytes: usize,
    /// Files are cut into parts of this size, in bytes, which different threads read, so that no thread waits for
    /// a large file. The result does not depend on it.
    pub part_bytes: u64,
    /// Validates every line in full. Otherwise lines without usage get a cheap check.
    pub strict: bool,
    /// Estimates content categories, for which every line is parsed.
    pub categories: bool,
    /// Collects the activity of sessions: turns, tool calls, errors and times. Lines that may be prompts are parsed
    /// for it, which costs a tenth of the time; counting alone needs none of it.
    pub activity: bool,
}

impl Default for AnalyzerOptions {
    /// No host, full project names, no assignments, a thread for each core, lines up to 64 MiB, blocks of 256 KiB, parts of 4 MiB, not
    /// strict, no categories, with activity.
    fn default() -> Self {
        Self {
            host: None,
            project_names: ProjectNames::Full,
            assignments: AssignmentRules::default(),
            seen_projects: SeenProjects::default(),
            threads: 0,
            line_bytes_max: 64 << 20,
            block_bytes: BLOCK_BYTES,
            part_bytes: 4 << 20,
            strict: false,
            categories: false,
            activity: true,
        }
    }
}
