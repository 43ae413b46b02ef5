//! Audit, log, metrics and error rate of the bridge's operations. Knows nothing of transcripts and of the operations'
//! work.

pub(crate) mod audit;
pub(crate) mod audit_summary;
pub(crate) mod correlation;
pub(crate) mod current;
pub(crate) mod error_rate;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod observer;
pub(crate) mod operation;
pub(crate) mod panics;
pub(crate) mod process_memory;
pub(crate) mod run;
pub(crate) mod write_counters;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bridge_core::{BridgeError, Clock, Stopwatch};

use audit::AuditTrail;
use correlation::CorrelationIds;
use error_rate::{ErrorRate, Outcome};
use metrics::{Instruments, StoreCall};
use observer::Observer;
use panics::Panics;

/// Everything that operations are recorded in.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) audit: Arc<AuditTrail>,
    pub(crate) metrics: Arc<Instruments>,
    pub(crate) error_rate: Arc<ErrorRate>,
    pub(crate) panics: Panics,
    pub(crate) correlation_ids: CorrelationIds,
    /// Time limit of a flush of the audit that an operation waits for.
    pub(crate) flush_deadline: Duration,
}

impl Telemetry {
    /// Calls the observer, and returns whether it returned. A panic in it ends neither the work nor the task that it is
    /// called by: it is counted, logged without its message, which may hold anything, and shown by the health check.
    ///
    /// In a program that is built with `panic = "abort"` a panic ends the program, as everywhere.
    pub(crate) fn notify(&self, observer: Observer, call: impl FnOnce()) -> bool {
        // The observer's own state is the embedder's affair; of the bridge's it holds nothing.
        let returned = catch_unwind(AssertUnwindSafe(call)).is_ok();
        if !returned {
            self.metrics.observer_panicked(observer);
            self.panics.note(observer, self.clock.now());
            tracing::error!(observer = observer.name(), "an observer panicked; the work goes on");
        }
        returned
    }

    /// Counts how a call of the store ended.
    pub(crate) fn counted<T>(&self, result: Result<T, BridgeError>) -> Result<T, BridgeError> {
        self.count(Outcome::of(&result));
        result
    }

    /// Counts how a part of the running operation ended.
    pub(crate) fn count(&self, outcome: Outcome) {
        self.error_rate.record(outcome);
        current::note_counted();
    }

    /// Runs a call of the store that writes, and measures it.
    pub(crate) async fn measured<T>(
        &self,
        call: StoreCall,
        work: impl Future<Output = Result<T, BridgeError>>,
    ) -> Result<T, BridgeError> {
        let watch = Stopwatch::start();
        let answer = work.await;
        self.metrics.stored(call, watch.elapsed());
        self.counted(answer)
    }

    /// Records rows that the running operation wrote.
    pub(crate) fn record_write(&self, written: &write_counters::WriteCounters) {
        self.metrics.wrote(written);
        current::record_write(written);
    }
}
