//! Positions in a file: up to where it was read, and which part of it is to be read.

use bridge_core::Timestamp;

use crate::source::SourceFile;

/// The position up to which a file was read, with everything that must be known to read on from there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadPosition {
    /// The offset of the first byte that is not accounted for: the end of the file, or the start of a
    /// pending last line. In bytes.
    pub offset: u64,
    /// Newlines before it.
    pub newlines: u64,
    /// The time of records before it, as far as it is known.
    pub time: KnownTime,
}

/// The known times in the first part of a file: `time` is the last readable one of a record that begins before
/// `before`; nothing is known of the lines between there and a later place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownTime {
    /// An offset at which a line begins.
    pub before: u64,
    /// The nearest readable time before it, if there is one.
    pub time: Option<Timestamp>,
}

/// The part of a file that is to be read.
#[derive(Debug, Clone)]
pub struct FileRead {
    /// The file.
    pub file: SourceFile,
    /// Where reading begins; everything before was read.
    pub from: ReadPosition,
    /// Where the file ends for this reading, in bytes; bytes that are appended meanwhile are left for the next.
    pub until: u64,
}

impl FileRead {
    /// Returns the whole file, to wherever its end is by then.
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
