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
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// Recommended upper bounds of a histogram's buckets, ascending, in its unit; none for other kinds. The recorder
    /// decides on buckets, so an embedder passes these to it.
    pub buckets: &'static [f64],
}

/// Durations of operations: from a cached read to the backfill of years.
const OPERATION_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
];
/// Durations of single writes, up to the default retry budget.
const WRITE_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Durations of HTTP requests, up to twice their default timeout.
const HTTP_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal $unit:ident [$($label:literal),*]
        $(in $buckets:ident)? $meaning:literal)*) => {
        $(pub(crate) const $constant: Metric = Metric {
            name: $name,
            kind: MetricKind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            meaning: $meaning,
            // Without a list of its own, the default that follows it.
            buckets: ([$($buckets,)? &[]] as [&[f64]; _])[0],
        };)*

        /// All metrics of the bridge, with the buckets that a Prometheus recorder is given for its histograms:
        ///
        /// ```
        /// use bridge::metrics::METRICS;
        /// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
        ///
        /// let mut recorder = PrometheusBuilder::new();
        /// for metric in METRICS.iter().filter(|metric| !metric.buckets.is_empty()) {
        ///     recorder = recorder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)?;
        /// }
        /// let recorder = recorder.build_recorder();
        /// // Every few seconds: until a scrape or this, the samples of histograms pile up in memory.
        /// recorder.handle().run_upkeep();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    OPERATIONS Counter "bridge_operations_total" Count ["operation", "outcome"]
        "Operations that ended"
    OPERATION_DURATION Histogram "bridge_operation_duration_seconds" Seconds ["operation"] in OPERATION_SECONDS
        "Duration of operations"
    ERRORS Counter "bridge_errors_total" Count ["kind"]
        "Operations that ended in an error, by kind"
    STORAGE_DURATION Histogram "bridge_storage_operation_duration_seconds" Seconds ["call"] in WRITE_SECONDS
        "Duration of writes until they are durable, retries included"
    TOKENS_STORED Counter "bridge_tokens_stored_total" Count []
        "Growth of the stored total: tokens of new responses, and tokens added by later snapshots"
    ROWS_WRITTEN Counter "bridge_rows_written_total" Count ["change"]
        "Rows written: new responses, and rows that replaced another version"
    FORCED_ROWS Counter "bridge_forced_rows_total" Count []
        "Rows written by force"
    SESSIONS_SYNCHRONIZED Counter "bridge_sessions_synchronized_total" Count ["status"]
        "Sessions checked by a synchronization"
    BACKFILL_PROGRESS Gauge "bridge_backfill_progress_ratio" Percent []
        "Share of bytes read by the running or last backfill, from 0 to 1"
    DATA_FRESHNESS Gauge "bridge_data_freshness_seconds" Seconds []
        "Time since the last successful backfill or synchronization; infinite before the first"
    READ_BYTES Counter "bridge_read_bytes_total" Bytes []
        "Bytes of transcripts read"
    READ_LINES Counter "bridge_read_lines_total" Count []
        "Lines of transcripts read, except blank ones"
    DAMAGED_LINES Counter "bridge_damaged_lines_total" Count ["kind"]
        "Lines that are not counted, or only in part"
    CACHE_REQUESTS Counter "bridge_cache_requests_total" Count ["cache", "answer"]
        "Requests to the caches"
    STORE_RETRIES Counter "bridge_store_retries_total" Count []
        "Retries by the store"
    POOL_CONNECTIONS Gauge "bridge_pool_connections" Count ["state"]
        "Connections in the pool"
    POOL_WAITING Gauge "bridge_pool_waiting_calls" Count []
        "Calls waiting for a connection"
    CIRCUIT_OPEN Gauge "bridge_store_circuit_open" Count []
        "1 while the circuit breaker is open, else 0"
    EXPIRING Gauge "bridge_expiring_transcripts" Count []
        "Transcripts that the client will delete and that are not stored, as of the last search"
    BUDGET_SPENT Gauge "bridge_budget_spent_ratio" Percent ["budget"]
        "Share of the budget spent in the current period, as of the last health check; NaN if unknown"
    BUDGET_PROJECTED Gauge "bridge_budget_projected_ratio" Percent ["budget"]
        "Share of the budget that the period will have spent at its end, at the current pace"
    BUDGET_UNPRICED Gauge "bridge_budget_unpriced_ratio" Percent ["budget"]
        "Share of the period's tokens without a price"
    BUDGET_STATE Gauge "bridge_budget_state" Count ["budget"]
        "State of a budget: 0 ok, 1 unknown, 2 warning, 3 exceeded"
    PRICED_TOKENS Gauge "bridge_priced_tokens" Count ["model"]
        "Tokens of the last 7 days that have a price, as of the last health check"
    UNPRICED_TOKENS Gauge "bridge_unpriced_tokens" Count ["model"]
        "Tokens of the last 7 days that have no price, as of the last health check"
    HOST_SILENT Gauge "bridge_host_silent_seconds" Seconds ["host"]
        "Time since a host of the store was last seen, as of the last health check; NaN if unknown"
    HEALTH Gauge "bridge_health_state" Count []
        "Result of the last health check: 0 healthy, 1 degraded, 2 unhealthy"
    OBSERVER_PANICS Counter "bridge_observer_panics_total" Count ["observer"]
        "Caught panics in the embedder's observers"
    AUDIT_BUFFERED Gauge "bridge_audit_buffered_records" Count []
        "Audit records waiting for the store, in the spool or in memory"
    AUDIT_SPOOL Gauge "bridge_audit_spool_bytes" Bytes []
        "Size of the audit spool"
    AUDIT_WRITTEN Counter "bridge_audit_written_total" Count []
        "Audit records written"
    AUDIT_DROPPED Counter "bridge_audit_dropped_total" Count []
        "Audit records dropped for lack of space"
    HTTP_REQUESTS Counter "bridge_http_requests_total" Count ["route", "status"]
        "Requests to the HTTP router"
    HTTP_DURATION Histogram "bridge_http_request_duration_seconds" Seconds ["route"] in HTTP_SECONDS
        "Duration of requests to the HTTP router, until the response begins"
}
