//! Records that wait in memory.

use std::collections::VecDeque;

use bridge_core::{AuditId, AuditRecord};

/// Maximum number of records of one write.
const BATCH_RECORDS: usize = 1000;

/// The records that wait in memory, oldest first.
///
/// Invariant: a record leaves only when the store has it, and only at the front. So a caller that is dropped while writing
/// leaves records that are written again, under their ids, and in their order.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    records: VecDeque<AuditRecord>,
    /// As many at the front are being written, as they are.
    in_flight: usize,
    /// Number of records that have left.
    gone: u64,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn push(&mut self, record: AuditRecord) {
        self.records.push_back(record);
    }

    /// Returns the number of records that have left when everything that waits now is written.
    pub(super) fn due(&self) -> u64 {
        self.gone + self.records.len() as u64
    }

    /// Returns the next records to be written, none once this number has left. Until [`release`](Self::release) they stay as
    /// they are.
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

    /// Puts the record in the place of its announcement, if that is waiting still. One that is being written leaves when
    /// the store has it, and would take what replaced it along.
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
