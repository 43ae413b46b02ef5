//! Measures the calls of a store.

use std::any::Any;
use std::sync::Arc;

use bridge_core::{BridgeError, Stopwatch};

use crate::layered_store::{Layer, StoreCall};
use crate::telemetry::error_rate::{ErrorRate, Outcome};
use crate::telemetry::metrics::Instruments;

/// Records the outcome of each call in the error rate, and the durations of writes in the metrics.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) metrics: Arc<Instruments>,
    pub(crate) error_rate: Arc<ErrorRate>,
    /// Outlives the observed store.
    pub(crate) _kept: Option<Kept>,
}

/// A value that a store needs as long as it lives, such as the embedded engine.
pub(crate) type Kept = Arc<dyn Any + Send + Sync>;

impl Layer for Observed {
    async fn around<T: Send>(
        &self,
        call: StoreCall,
        work: impl Future<Output = Result<T, BridgeError>> + Send,
    ) -> Result<T, BridgeError> {
        let watch = Stopwatch::start();
        let result = work.await;
        self.metrics.stored(call, watch.elapsed());
        self.error_rate.record(Outcome::of(&result));
        result
    }
}
