//! Lines that could not be read or counted.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Escaped;

/// A line of a file that is not counted, or only in part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DamagedLine {
    /// The file. In JSON, bytes that are not UTF-8 are written as `\xff`.
    #[serde(serialize_with = "crate::escaped::serialize_path")]
    pub path: PathBuf,
    /// The line's number, from 1; blank lines count here.
    pub line: u64,
    /// The offset of the line's first byte.
    pub offset: u64,
    /// Kind of damage.
    pub kind: DamageKind,
}

/// Kind of damage of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DamageKind {
    /// Invalid JSON.
    BadLine,
    /// A counter of its usage is not an integer from 0 to 10^9.
    BadUsage,
    /// Longer than the limit.
    Oversize,
    /// The last line, without a newline and not valid yet.
    Pending,
    /// The first line of a UTF-16 file. None of its lines can be read; all are bad lines.
    Utf16,
}

impl fmt::Display for DamagedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (byte {}): {}", Escaped::path(&self.path), self.line, self.offset, self.kind)
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadLine => "no valid JSON, skipped",
            Self::BadUsage => "a counter that is not a count, skipped",
            Self::Oversize => "longer than the limit, skipped",
            Self::Pending => "the last line, incomplete so far",
            Self::Utf16 => "the file is UTF-16, not UTF-8; all of its lines are skipped",
        })
    }
}
