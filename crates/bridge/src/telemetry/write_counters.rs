//! Statistics of written rows.

use bridge_core::{AuditRecord, ResponseUsage};
use bridge_storage::{ReplacedRow, UpsertOutcome};

/// Rows that an operation wrote, and their tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WriteCounters {
    pub(crate) records: u64,
    pub(crate) new: u64,
    pub(crate) tokens_replaced: u64,
    pub(crate) tokens_written: u64,
    pub(crate) forced: bool,
}

impl WriteCounters {
    /// Returns the counters of a write of rows, assuming that none is stored yet, as is usual.
    pub(crate) fn planned(rows: u64, tokens: u64, forced: bool) -> Self {
        Self { records: rows, new: rows, tokens_replaced: 0, tokens_written: tokens, forced }
    }

    /// Returns the counters of an audit record.
    pub(crate) fn of_record(record: &AuditRecord) -> Self {
        Self {
            records: record.records_stored,
            new: record.new_responses,
            tokens_replaced: record.tokens_replaced,
            tokens_written: record.tokens_written,
            forced: record.forced,
        }
    }

    /// Sets the counters of an audit record.
    pub(crate) fn set_in(self, record: &mut AuditRecord) {
        record.forced = self.forced;
        (record.records_stored, record.new_responses) = (self.records, self.new);
        (record.tokens_replaced, record.tokens_written) = (self.tokens_replaced, self.tokens_written);
    }

    /// Returns the counters of an upsert.
    pub(crate) fn of_upsert(rows: &[ResponseUsage], outcomes: &[UpsertOutcome], forced: bool) -> Self {
        let mut written = Self { forced, ..Self::default() };
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        for (row, outcome) in rows.iter().zip(outcomes) {
            if let UpsertOutcome::Replaced(old) = outcome {
                add(&mut written.tokens_replaced, old.tokens);
            }
            // A marker is not counted as a record, but what it covered is replaced.
            let is_written = matches!(outcome, UpsertOutcome::New | UpsertOutcome::Replaced(_));
            if is_written && row.origin.is_counted() {
                written.records += 1;
                written.new += u64::from(*outcome == UpsertOutcome::New);
                add(&mut written.tokens_written, row.counts.total());
            }
        }
        written
    }

    /// Returns the counters of rows that markers replaced, which are worth nothing.
    pub(crate) fn of_cover(covered: &[ReplacedRow]) -> Self {
        let tokens_replaced = covered.iter().map(|row| row.tokens).sum();
        Self { records: covered.len() as u64, tokens_replaced, ..Self::default() }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.records = self.records.saturating_add(other.records);
        self.new = self.new.saturating_add(other.new);
        self.tokens_replaced = self.tokens_replaced.saturating_add(other.tokens_replaced);
        self.tokens_written = self.tokens_written.saturating_add(other.tokens_written);
        self.forced |= other.forced;
    }
}
