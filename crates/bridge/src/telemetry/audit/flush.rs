//! Writes the waiting records to the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bridge_core::{AuditOutcome, AuditRecord, BridgeError, CorrelationId, OperationName};
use bridge_storage::require;

use super::redacted::is_refusal;
use super::spool::{Batch, Spool};
use super::{AuditTrail, Gap};

impl AuditTrail {
    /// Writes the records that wait at the time of the call, in order, and those that ended programs left in the spool.
    /// Returns the number of records that this call wrote.
    ///
    /// Concurrent callers commit as a group: the one that holds the lock writes everything that waits, and the others
    /// find theirs written. Later records are not waited for, so that a busy store cannot hold a caller forever.
    pub(crate) async fn flush(&self) -> Result<u64, BridgeError> {
        let (spooled, buffered) =
            (self.spool.as_ref().map_or(0, |spool| spool.due()), self.state().buffer.due());
        let _turn = self.turn.lock().await;
        let mut written = match &self.spool {
            Some(spool) => self.write_spooled(spool, spooled).await?,
            None => 0,
        };
        written += self.write_buffered(buffered).await?;
        let gap = self.take_gap();
        if let Some(gap) = gap {
            self.state().buffer.push(gap);
            let due = self.state().buffer.due();
            written += self.write_buffered(due).await?;
        }
        Ok(written)
    }

    /// As [`flush`](Self::flush), with a limit and without a result, for operations that wait for their record.
    pub(crate) async fn flush_within(&self, limit: Duration) {
        if tokio::time::timeout(limit, self.flush()).await.is_err() {
            tracing::warn!(?limit, "audit flush timed out, records are kept");
        }
    }

    async fn write_spooled(&self, spool: &Arc<Spool>, due: u64) -> Result<u64, BridgeError> {
        let adopting = Arc::clone(spool);
        blocking(move || adopting.adopt()).await?;
        let mut written = 0;
        loop {
            let reading = Arc::clone(spool);
            let Some(batch) = blocking(move || reading.next(due)).await? else { return Ok(written) };
            if !batch.records.is_empty() {
                self.put(&batch.records).await?;
            }
            spool.remove(&batch);
            written += batch.records.len() as u64;
            self.forget(&batch);
        }
    }

    /// Removes a segment whose readable records the store has.
    fn forget(&self, batch: &Batch) {
        if batch.damaged > 0 {
            let lines = batch.damaged;
            tracing::warn!(lines, "audit spool file damaged, skipping lines");
        }
        let mut state = self.state();
        state.written += batch.records.len() as u64;
        state.damaged += batch.damaged;
        state.unreported.damaged += batch.damaged;
    }

    async fn write_buffered(&self, due: u64) -> Result<u64, BridgeError> {
        let mut written = 0;
        loop {
            let batch = self.state().buffer.next_batch(due);
            if batch.is_empty() {
                return Ok(written);
            }
            let in_flight = InFlight(self);
            self.put(&batch).await?;
            drop(in_flight);
            let mut state = self.state();
            state.buffer.forget(batch.len());
            state.written += batch.len() as u64;
            written += batch.len() as u64;
        }
    }

    async fn put(&self, records: &[AuditRecord]) -> Result<(), BridgeError> {
        let result = require(self.store.audit(), "write the audit")?.put_audit(records).await;
        self.log_change(result.as_ref().err());
        result
    }

    /// Returns an `audit_gap` record of the lost records, if there are any.
    fn take_gap(&self) -> Option<AuditRecord> {
        let Gap { dropped, damaged } = std::mem::take(&mut self.state().unreported);
        if dropped + damaged == 0 {
            return None;
        }
        let operation = OperationName::new("audit_gap").expect("a constant is a name");
        let id = CorrelationId(fastrand::u128(1..));
        Some(self.record(operation, id, |record| {
            record.outcome = AuditOutcome::Incomplete;
            record.error = match damaged {
                0 => format!("{dropped} records were dropped while the store was unavailable"),
                _ => format!("{dropped} records dropped, {damaged} spool lines damaged"),
            };
            record.counts.insert("dropped_records".to_owned(), dropped);
            record.counts.insert("damaged_lines".to_owned(), damaged);
        }))
    }

    /// Logs when writing begins to fail, and when it works again.
    fn log_change(&self, error: Option<&BridgeError>) {
        let was_failing = self.is_failing.swap(error.is_some(), Ordering::Relaxed);
        self.is_refused.store(error.is_some_and(is_refusal), Ordering::Relaxed);
        match error {
            Some(error) if !was_failing => {
                let (kind, advice) = (error.kind(), crate::advice(error));
                tracing::warn!(%error, kind, advice, "cannot write the audit, records are kept");
            }
            None if was_failing => tracing::info!("audit writes recovered"),
            _ => {}
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BridgeError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BridgeError::panicked("reading the audit's spool"))
}

/// Records of the buffer are being written, until the writer has an answer or gives up.
struct InFlight<'a>(&'a AuditTrail);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state().buffer.release();
    }
}
