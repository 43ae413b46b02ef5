//! The names of all metrics, in one place. `docs/metrics.md` shows the same; a test compares them.

use metrics::Unit;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution of values.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, by the conventions of Prometheus.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// Its unit.
    pub unit: Unit,
    /// Its labels, each with a bounded set of values.
    pub labels: &'static [&'static str],
    /// Its meaning.
    pub meaning: &'static str,
}

macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal $unit:ident [$($label:literal),*] $meaning:literal)*) => {
        $(pub(crate) const $constant: Metric = Metric {
            name: $name,
            kind: MetricKind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            meaning: $meaning,
        };)*

        /// All metrics of the bridge.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    OPERATIONS Counter "bridge_operations_total" Count ["operation", "outcome"]
        "Operations that ended"
    OPERATION_DURATION Histogram "bridge_operation_duration_seconds" Seconds ["operation"]
        "Duration of operations"
    ERRORS Counter "bridge_errors_total" Count ["kind"]
        "Operations that ended in an error, by its kind"
    STORAGE_DURATION Histogram "bridge_storage_operation_duration_seconds" Seconds ["call"]
        "Duration of writes until they are durable, retries included"
    TOKENS_STORED Counter "bridge_tokens_stored_total" Count []
        "Tokens by which the stored total grew: those of new responses, and what later snapshots added"
    ROWS_WRITTEN Counter "bridge_rows_written_total" Count ["change"]
        "Rows written: new responses, and those that replaced another version"
    FORCED_ROWS Counter "bridge_forced_rows_total" Count []
        "Rows written by force"
    SESSIONS_SYNCHRONIZED Counter "bridge_sessions_synchronized_total" Count ["status"]
        "Sessions checked by a synchronization"
    BACKFILL_PROGRESS Gauge "bridge_backfill_progress_ratio" Percent []
        "Share of the running or last backfill's bytes that are read, from 0 to 1"
    DATA_FRESHNESS Gauge "bridge_data_freshness_seconds" Seconds []
        "Time since the last backfill or synchronization that succeeded; infinite before the first"
    READ_BYTES Counter "bridge_read_bytes_total" Bytes []
        "Bytes of transcripts read"
    READ_LINES Counter "bridge_read_lines_total" Count []
        "Lines of transcripts read, except blank ones"
    DAMAGED_LINES Counter "bridge_damaged_lines_total" Count ["kind"]
        "Lines that are not counted, or only in part"
    CACHE_REQUESTS Counter "bridge_cache_requests_total" Count ["cache", "answer"]
        "Requests to the caches"
    STORE_RETRIES Counter "bridge_store_retries_total" Count []
        "Attempts of the store after the first"
    POOL_CONNECTIONS Gauge "bridge_pool_connections" Count ["state"]
        "Connections of the pool"
    POOL_WAITING Gauge "bridge_pool_waiting_calls" Count []
        "Calls waiting for a connection"
    CIRCUIT_OPEN Gauge "bridge_store_circuit_open" Count []
        "1 while the circuit breaker is open, else 0"
    HEALTH Gauge "bridge_health_state" Count []
        "Result of the last health check: 0 healthy, 1 degraded, 2 unhealthy"
    OBSERVER_PANICS Counter "bridge_observer_panics_total" Count ["observer"]
        "Panics of the embedder's observers, which are caught"
    AUDIT_BUFFERED Gauge "bridge_audit_buffered_records" Count []
        "Records of the audit waiting for the store"
    AUDIT_WRITTEN Counter "bridge_audit_written_total" Count []
        "Records of the audit written"
    AUDIT_DROPPED Counter "bridge_audit_dropped_total" Count []
        "Records of the audit dropped because the buffer was full"
}
