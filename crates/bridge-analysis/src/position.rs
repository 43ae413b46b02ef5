//! Positions in a file: how far it was read, and which part of it to read.

use bridge_core::Timestamp;

use crate::source::SourceFile;

/// The position up to which a file was read, with everything needed to continue from there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadPosition {
    /// The offset of the first byte that is not accounted for: the end of the file, or the start of a
    /// pending last line. In bytes.
    pub offset: u64,
    /// Newlines before it.
    pub newlines: u64,
    /// The time of records before it, if known.
    pub time: KnownTime,
}

/// Known times of the first part of a file: `time` is the last readable one of a record that begins before
/// `before`. Nothing is known about lines after that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownTime {
    /// An offset at which a line begins.
    pub before: u64,
    /// The nearest readable time before it, if there is one.
    pub time: Option<Timestamp>,
}

/// The part of a file to read.
#[derive(Debug, Clone)]
pub struct FileRead {
    /// The file.
    pub file: SourceFile,
    /// The position at which reading begins; everything before was read.
    pub from: ReadPosition,
    /// The end of the file for this read, in bytes. Bytes appended in the meantime are left for the next read.
    pub until: u64,
}

impl FileRead {
    /// Returns the whole file, up to its end when it is read.
    #[must_use]
    pub fn whole(file: SourceFile) -> Self {
        Self { file, from: ReadPosition::default(), until: u64::MAX }
    }

    /// Returns the number of bytes to read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.until.min(self.file.size).saturating_sub(self.from.offset)
    }
}
