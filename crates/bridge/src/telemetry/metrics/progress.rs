//! Progress of the running backfill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Gauge;

/// A gauge that can be read as well.
#[derive(Clone)]
pub(crate) struct ProgressGauge {
    gauge: Gauge,
    /// The bits of the `f64`.
    value: Arc<AtomicU64>,
}

impl ProgressGauge {
    pub(super) fn new(gauge: Gauge) -> Self {
        Self { gauge, value: Arc::default() }
    }

    /// Returns a gauge that records nothing.
    pub(crate) fn noop() -> Self {
        Self::new(Gauge::noop())
    }

    pub(crate) fn set(&self, progress: f64) {
        self.gauge.set(progress);
        self.value.store(progress.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }
}
