//! Resumes where an earlier read stopped, for a facade that keeps cursors. Not a stable part of the API.

pub use crate::analyzer::{analyze_content, analyze_reads};
pub use crate::position::{FileRead, KnownTime, ReadPosition};
pub use crate::projects::folder_of_project;
pub use crate::read::fingerprint::{FileChange, FileCursor, FileState, inspect};
pub use crate::read::rediscover::rediscover;
