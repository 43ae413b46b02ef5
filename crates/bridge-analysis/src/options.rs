//! Options of an analysis.

use bridge_core::HostName;

use crate::privacy::ProjectNames;
use crate::read::lines::BLOCK_BYTES;

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
