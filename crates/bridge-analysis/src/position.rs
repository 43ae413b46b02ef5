//! How far a file is read.

use bridge_core::Timestamp;

/// How far a file is read, with all that must be known to read on from there.
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

/// What is known of the times in the first part of a file. Says that `time` is the last readable one of a
/// record that begins before `before`; nothing is known of what lies between there and a later place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownTime {
    /// An offset at which a line begins.
    pub before: u64,
    /// The nearest readable time before it, if there is one.
    pub time: Option<Timestamp>,
}
