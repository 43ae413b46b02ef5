//! Audit, log, metrics and error rate of the bridge's operations. Knows nothing about transcripts or what the
//! operations do.

pub(crate) mod audit;
pub(crate) mod audit_summary;
pub(crate) mod correlation;
pub(crate) mod current;
pub(crate) mod error_rate;
mod heartbeat;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod observed_store;
pub(crate) mod observer;
pub(crate) mod operation;
pub(crate) mod panics;
pub(crate) mod run;
pub(crate) mod stats;
pub(crate) mod write_counters;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bridge_core::Clock;

use audit::AuditTrail;
use correlation::CorrelationIds;
use error_rate::ErrorRate;
pub(crate) use heartbeat::Heartbeat;
use metrics::Instruments;
use observer::Observer;
use panics::Panics;
use write_counters::WriteCounters;

/// Everything that operations are recorded in.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) audit: Arc<AuditTrail>,
    pub(crate) metrics: Arc<Instruments>,
    pub(crate) error_rate: Arc<ErrorRate>,
    pub(crate) panics: Panics,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) correlation_ids: CorrelationIds,
    /// Time limit of a flush of the audit that an operation waits for.
    pub(crate) flush_deadline: Duration,
}

impl Telemetry {
    /// Calls the observer, and returns whether it returned. A panic in it ends neither the work nor the calling task.
    /// It is counted, logged without its message, which may contain anything, and shown by the health check.
    ///
    /// In a program built with `panic = "abort"`, a panic ends the program, as everywhere.
    pub(crate) fn notify(&self, observer: Observer, call: impl FnOnce()) -> bool {
        // The observer's own state is the embedder's concern. It holds none of the bridge's.
        let returned = catch_unwind(AssertUnwindSafe(call)).is_ok();
        if !returned {
            self.metrics.observer_panicked(observer);
            self.panics.note(observer, self.clock.now());
            tracing::error!(observer = observer.name(), "observer panicked, continuing");
        }
        returned
    }

    /// Records rows that the running operation wrote.
    pub(crate) fn record_write(&self, written: &WriteCounters) {
        self.metrics.wrote(written);
        current::record_write(written);
    }
}
