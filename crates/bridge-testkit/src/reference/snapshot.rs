//! Response snapshots, their keys and their order.

use super::attribution::Attribution;
use crate::Counters;
use std::cmp::Reverse;

/// The exact, unhashed key that identifies a snapshot's response.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResponseKey {
    /// Identifies the message or its record.
    pub message: MessageKey,
    /// The kind and the position in `iterations`, if an iteration is a response of its own.
    pub iteration: Option<(Iteration, usize)>,
}

/// An iteration that is a response of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Iteration {
    /// A call to an advisor model.
    Advisor,
    /// A compaction of the conversation.
    Compaction,
    /// An attempt that a fallback replaced.
    Declined,
    /// A type that the rule does not name.
    Other,
}

/// Identifies a message. Texts are decoded to WTF-8; keys of different variants are never equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageKey {
    /// A `message.id` of 20 bytes or more.
    Id(Vec<u8>),
    /// A shorter `message.id` with the `requestId`.
    IdAndRequest(Vec<u8>, Vec<u8>),
    /// A shorter `message.id` without `requestId`, with the input, cache creation and cache read counters.
    Weak(Vec<u8>, [u64; 3]),
    /// The record's `uuid`, for a message without id.
    Uuid(Vec<u8>),
    /// The bytes of the top-level record and the snapshot's index in it, for a message without id and `uuid`.
    Record(Vec<u8>, usize),
}

/// The place of a snapshot in its transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The `message` of an assistant record.
    Assistant,
    /// In a progress record.
    Nested,
}

/// One snapshot with valid usage.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) key: ResponseKey,
    pub(crate) place: Place,
    pub(crate) counters: Counters,
    /// The sum of the usage's top-level counters; the rest of `counters` comes from its iterations.
    pub(crate) written: u64,
    pub(crate) finished: bool,
    pub(crate) sidechain: bool,
    pub(crate) forked: bool,
    pub(crate) time_millis: i64,
    pub(crate) session: String,
    pub(crate) model: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) attribution: Attribution,
}

impl Snapshot {
    /// Returns the rank without the rule's last tie-break, a hash of the remaining fields. The greatest rank wins.
    pub(crate) fn rank(&self) -> impl Ord + Copy + use<> {
        let is_secondary = self.sidechain || self.place == Place::Nested;
        (
            self.finished && self.counters.total() > 0,
            self.counters.output,
            self.counters.total(),
            !is_secondary,
            !self.forked,
            Reverse(self.time_millis),
        )
    }
}
