//! A response snapshot, the key of its response and its place in the order.

use crate::Counters;
use std::cmp::Reverse;

/// Which response a snapshot is of: the exact key, nothing hashed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResponseKey {
    /// What the message or its record is known by.
    pub message: MessageKey,
    /// Of a response that an iteration is: why it is one, and the position in `iterations`.
    pub iteration: Option<(Iteration, usize)>,
}

/// An iteration that is a response of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Iteration {
    /// Another model's advice.
    Advisor,
    /// The conversation made shorter.
    Compaction,
    /// An attempt that a fallback replaced.
    Declined,
    /// Of a type that the rule does not name.
    Other,
}

/// What a message is known by. Texts are decoded (WTF-8); the kinds never equal one another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageKey {
    /// A `message.id` of 20 bytes or more.
    Id(Vec<u8>),
    /// A shorter `message.id`, and the `requestId`.
    IdAndRequest(Vec<u8>, Vec<u8>),
    /// A shorter `message.id` alone, and the input, cache creation and cache read counters.
    Weak(Vec<u8>, [u64; 3]),
    /// The `uuid` beside a message without id.
    Uuid(Vec<u8>),
    /// The bytes of a top-level record with neither, and the snapshot's index in it.
    Record(Vec<u8>, usize),
}

/// Where a snapshot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The `message` of an assistant record.
    Assistant,
    /// In a progress record.
    Nested,
}

/// One snapshot with readable usage.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) key: ResponseKey,
    pub(crate) place: Place,
    pub(crate) counters: Counters,
    /// What the usage's own four counters add up to; the rest of `counters` comes from its iterations.
    pub(crate) written: u64,
    pub(crate) finished: bool,
    pub(crate) sidechain: bool,
    pub(crate) forked: bool,
    pub(crate) time_millis: i64,
    pub(crate) session: String,
    pub(crate) model: Option<String>,
}

impl Snapshot {
    /// The order of the rule as far as it is stated: all but the hash of the remaining fields. Greatest wins.
    pub(crate) fn rank(&self) -> impl Ord + Copy + use<> {
        let aside = self.sidechain || self.place == Place::Nested;
        (
            self.finished && self.counters.total() > 0,
            self.counters.output,
            self.counters.total(),
            !aside,
            !self.forked,
            Reverse(self.time_millis),
        )
    }
}
