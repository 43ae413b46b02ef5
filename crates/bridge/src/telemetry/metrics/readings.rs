//! The specification's metrics, readable by the embedder.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The present values of the six metrics of the specification's `BridgeMetrics`, for one bridge since it was
/// built. The same values go through the `metrics` facade, under the names in `docs/metrics.md`.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # use std::sync::Arc;
/// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
/// # let folder = tempfile::tempdir()?;
/// # let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
/// # std::fs::write(folder.path().join("s.jsonl"), line)?;
/// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
/// #     .sources([folder.path()])
/// #     .build();
/// assert_eq!(bridge.stats().metrics.data_freshness_gauge, None);
/// let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
/// let metrics = bridge.stats().metrics;
/// assert_eq!((metrics.tokens_stored_total, metrics.backfill_progress_gauge), (42, 1.0));
/// assert_eq!(metrics.error_rate_counter, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BridgeMetrics {
    /// Time that the store took to make writes durable, retries included.
    pub storage_operation_duration: DurationStats,
    /// Share of the running or last backfill's bytes that is read, from 0 to 1.
    pub backfill_progress_gauge: f64,
    /// Operations that ended in an error.
    pub error_rate_counter: u64,
    /// Tokens by which the stored total grew.
    pub tokens_stored_total: u64,
    /// Sessions processed by synchronizations, counted each time.
    pub sessions_synchronized: u64,
    /// The time since the last backfill or synchronization that succeeded; `None` before the first.
    pub data_freshness_gauge: Option<Duration>,
}

/// Statistics of durations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DurationStats {
    /// Number of durations.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
    /// The longest.
    pub max: Duration,
}

impl DurationStats {
    /// Returns the mean; zero if there is no duration.
    #[must_use]
    pub fn mean(&self) -> Duration {
        self.total.div_f64(self.count.max(1) as f64)
    }

    fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.total = self.total.saturating_add(duration);
        self.max = self.max.max(duration);
    }
}

/// The values of the bridge's own metrics, because a recorder cannot be read.
#[derive(Debug, Default)]
pub(super) struct Readings {
    storage: Mutex<DurationStats>,
    errors: AtomicU64,
    tokens: AtomicU64,
    sessions: AtomicU64,
}

impl Readings {
    pub(super) fn stored(&self, took: Duration) {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner).add(took);
    }

    pub(super) fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, tokens: u64) {
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    pub(super) fn synchronized(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, progress: f64, freshness: Option<Duration>) -> BridgeMetrics {
        BridgeMetrics {
            storage_operation_duration: *self.storage.lock().unwrap_or_else(PoisonError::into_inner),
            backfill_progress_gauge: progress,
            error_rate_counter: self.errors.load(Ordering::Relaxed),
            tokens_stored_total: self.tokens.load(Ordering::Relaxed),
            sessions_synchronized: self.sessions.load(Ordering::Relaxed),
            data_freshness_gauge: freshness,
        }
    }
}
