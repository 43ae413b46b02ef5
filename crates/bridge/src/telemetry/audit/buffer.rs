//! Records that wait in memory.

use std::collections::VecDeque;

use bridge_core::{AuditId, AuditRecord};

/// Maximum number of records of one write.
const BATCH_RECORDS: usize = 1000;

/// The records that wait in memory, oldest first.
///
/// Invariant: a record leaves only when the store has it, and only at the front. So a caller that is dropped while
/// writing leaves records that are written again, under their ids, and in their order.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    records: VecDeque<AuditRecord>,
    /// Number of records at the front that are being written and must not change.
    in_flight: usize,
    /// Number of records that were removed.
    gone: u64,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn push(&mut self, record: AuditRecord) {
        self.records.push_back(record);
    }

    /// Returns the number of removed records at which everything that waits now is written.
    pub(super) fn due(&self) -> u64 {
        self.gone + self.records.len() as u64
    }

    /// Returns the next records to be written, or none once this number was removed. Until [`release`](Self::release)
    /// they do not change.
    pub(super) fn next_batch(&mut self, due: u64) -> Vec<AuditRecord> {
        if self.gone >= due {
            return Vec::new();
        }
        let batch: Vec<_> = self.records.iter().take(BATCH_RECORDS).cloned().collect();
        self.in_flight = batch.len();
        batch
    }

    /// Nothing is being written any more.
    pub(super) fn release(&mut self) {
        self.in_flight = 0;
    }

    /// The store has the first records.
    pub(super) fn forget(&mut self, records: usize) {
        self.records.drain(..records);
        self.gone += records as u64;
    }

    /// Replaces the announcement of the record, if it is still waiting. One that is being written must not change: it
    /// is removed when the store has it, and its replacement would be lost.
    pub(super) fn replace_announced(&mut self, record: &AuditRecord) -> bool {
        let waiting = self.waiting(record.id);
        let is_there = waiting.is_some();
        if let Some(waiting) = waiting {
            waiting.clone_from(record);
        }
        is_there
    }

    fn waiting(&mut self, id: AuditId) -> Option<&mut AuditRecord> {
        self.records.iter_mut().skip(self.in_flight).find(|waiting| waiting.id == id)
    }
}
