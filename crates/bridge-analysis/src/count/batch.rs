//! Snapshots on their way from a part of a file to the history.

use bridge_core::{Origin, ReceiptLine, SupersededKey};

use crate::count::candidate::Candidate;
use crate::count::context::PartContexts;
use crate::count::request::RequestIds;
use crate::count::snapshot::Snapshot;

/// The snapshots of a file by where they were found: the terms of the receipt that are added.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SnapshotSums {
    pub(crate) assistant_lines: ReceiptLine,
    pub(crate) nested: ReceiptLine,
    pub(crate) from_iterations: ReceiptLine,
    pub(crate) raised: ReceiptLine,
    pub(crate) advisor: ReceiptLine,
    pub(crate) compaction: ReceiptLine,
    pub(crate) declined: ReceiptLine,
    pub(crate) other: ReceiptLine,
    pub(crate) weak: ReceiptLine,
}

impl SnapshotSums {
    /// Adds a snapshot worth `tokens`.
    pub(crate) fn add(&mut self, snapshot: &Snapshot<'_>, tokens: u64) {
        if snapshot.weak_key {
            self.weak.add(tokens);
        }
        if snapshot.raised > 0 {
            self.raised.add(snapshot.raised);
        }
        let line = match (snapshot.origin, snapshot.nested) {
            (Origin::Advisor, _) => &mut self.advisor,
            (Origin::Compaction, _) => &mut self.compaction,
            (Origin::Declined, _) => &mut self.declined,
            (Origin::Other, _) => &mut self.other,
            (Origin::Iterations, nested) => {
                self.from_iterations.add(tokens);
                let line = if nested { &mut self.nested } else { &mut self.assistant_lines };
                return line.add(0);
            }
            (_, true) => &mut self.nested,
            (_, false) => &mut self.assistant_lines,
        };
        line.add(tokens - snapshot.raised);
    }
}

/// Snapshots on their way to the table.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) sums: SnapshotSums,
    pub(crate) candidates: Vec<Candidate>,
    /// [`Candidate::request`] is a place in it.
    pub(crate) requests: RequestIds,
    pub(crate) superseded: Vec<SupersededKey>,
    /// [`Candidate::context`] is an index into it. Shared by all batches of a part.
    pub(crate) contexts: PartContexts,
    /// The places of these contexts in the history, if they are in it.
    pub(crate) placed: Vec<u32>,
}
