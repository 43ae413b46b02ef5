//! Reading on from where an earlier reading stopped, for a facade that keeps cursors. No stable part of the API.

pub use crate::analyzer::{analyze_content, analyze_reads};
pub use crate::position::{FileRead, KnownTime, ReadPosition};
pub use crate::read::fingerprint::{FileChange, FileCursor, FileState, inspect};
