//! The bridge's metrics: every handle is registered when the bridge is built, and updated where the event happens.

mod budgets;
mod hosts;
#[cfg(feature = "axum")]
mod http;
mod names;
mod prices;
mod progress;
pub(crate) mod readings;
mod register;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bridge_core::{AuditOutcome, BridgeError, DamageCounts, HealthState, HostName, SyncStatus, Timestamp};
use bridge_storage::CircuitState;
use metrics::{Counter, Gauge, Histogram};

#[cfg(feature = "axum")]
pub(crate) use http::RequestGuard;
pub use names::{METRICS, Metric, MetricKind};
pub(crate) use progress::ProgressGauge;
pub use readings::{BridgeMetrics, DurationStats};

use crate::budgets::{BudgetStatus, Budgets};
use crate::dashboard::hosts::HostFreshness;
use crate::dashboard::priced_tokens::PricedTokens;
use crate::layered_store::StoreCall;
use crate::telemetry::audit::root_cause;
use crate::telemetry::observer::Observer;
use crate::telemetry::operation::Operation;
use crate::telemetry::stats::BridgeStats;
use crate::telemetry::write_counters::WriteCounters;
use budgets::BudgetGauges;
use hosts::HostGauges;
use names as name;
use prices::PriceGauges;
use readings::Readings;
use register::{Follower, counter, gauge, histogram};

const STATUSES: [&str; 5] = ["changed", "unchanged", "source_gone", "streamed", "failed"];
const DAMAGES: [&str; 4] = ["bad_line", "bad_usage", "oversize", "pending"];

/// The handles of a bridge's metrics, and the values that the bridge reads back.
pub(crate) struct Instruments {
    readings: Readings,
    operations: [(Histogram, [Counter; AuditOutcome::ALL.len()]); Operation::ALL.len()],
    /// By kind.
    errors: BTreeMap<&'static str, Counter>,
    storage_operation_duration: [Histogram; StoreCall::MEASURED.len()],
    tokens_stored_total: Counter,
    new_rows: Counter,
    replaced_rows: Counter,
    forced_rows: Counter,
    sessions_synchronized: [Counter; STATUSES.len()],
    pub(crate) backfill_progress_gauge: ProgressGauge,
    observer_panics: [Counter; Observer::ALL.len()],
    data_freshness_gauge: Gauge,
    health: Gauge,
    expiring: Gauge,
    budgets: BudgetGauges,
    hosts: HostGauges,
    prices: PriceGauges,
    /// In milliseconds since 1970; negative before the first.
    refreshed_at: AtomicI64,
    read_bytes: Counter,
    read_lines: Counter,
    damaged_lines: [Counter; DAMAGES.len()],
    caches: [[Follower; 2]; 2],
    store: StoreMetrics,
    audit: AuditMetrics,
    #[cfg(feature = "axum")]
    http: http::HttpMetrics,
}

struct StoreMetrics {
    retries: Follower,
    in_use: Gauge,
    idle: Gauge,
    waiting: Gauge,
    circuit_open: Gauge,
}

struct AuditMetrics {
    buffered: Gauge,
    spool_bytes: Gauge,
    written: Follower,
    dropped: Follower,
}

impl fmt::Debug for Instruments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instruments")
    }
}

impl Instruments {
    /// Registers all metrics with the current recorder.
    pub(crate) fn new() -> Self {
        register::describe();
        let cache = |cache| {
            ["hit", "miss"].map(|answer| Follower::new(counter(&name::CACHE_REQUESTS, &[cache, answer])))
        };
        let data_freshness_gauge = gauge(&name::DATA_FRESHNESS, &[]);
        data_freshness_gauge.set(f64::INFINITY);
        Self {
            operations: Operation::ALL.map(|operation| {
                let outcome = |outcome: AuditOutcome| [operation.name(), outcome.name()];
                (
                    histogram(&name::OPERATION_DURATION, &[operation.name()]),
                    AuditOutcome::ALL.map(|ended| counter(&name::OPERATIONS, &outcome(ended))),
                )
            }),
            errors: BridgeError::KINDS.map(|kind| (kind, counter(&name::ERRORS, &[kind]))).into(),
            storage_operation_duration: StoreCall::MEASURED
                .map(|call| histogram(&name::STORAGE_DURATION, &[call.name()])),
            tokens_stored_total: counter(&name::TOKENS_STORED, &[]),
            new_rows: counter(&name::ROWS_WRITTEN, &["new"]),
            replaced_rows: counter(&name::ROWS_WRITTEN, &["replaced"]),
            forced_rows: counter(&name::FORCED_ROWS, &[]),
            sessions_synchronized: STATUSES.map(|status| counter(&name::SESSIONS_SYNCHRONIZED, &[status])),
            backfill_progress_gauge: ProgressGauge::new(gauge(&name::BACKFILL_PROGRESS, &[])),
            observer_panics: Observer::ALL
                .map(|observer| counter(&name::OBSERVER_PANICS, &[observer.name()])),
            readings: Readings::default(),
            data_freshness_gauge,
            health: gauge(&name::HEALTH, &[]),
            expiring: gauge(&name::EXPIRING, &[]),
            budgets: BudgetGauges::default(),
            hosts: HostGauges::default(),
            prices: PriceGauges::default(),
            refreshed_at: AtomicI64::new(-1),
            read_bytes: counter(&name::READ_BYTES, &[]),
            read_lines: counter(&name::READ_LINES, &[]),
            damaged_lines: DAMAGES.map(|kind| counter(&name::DAMAGED_LINES, &[kind])),
            caches: ["summaries", "analyses"].map(cache),
            store: StoreMetrics {
                retries: Follower::new(counter(&name::STORE_RETRIES, &[])),
                in_use: gauge(&name::POOL_CONNECTIONS, &["in_use"]),
                idle: gauge(&name::POOL_CONNECTIONS, &["idle"]),
                waiting: gauge(&name::POOL_WAITING, &[]),
                circuit_open: gauge(&name::CIRCUIT_OPEN, &[]),
            },
            audit: AuditMetrics {
                buffered: gauge(&name::AUDIT_BUFFERED, &[]),
                spool_bytes: gauge(&name::AUDIT_SPOOL, &[]),
                written: Follower::new(counter(&name::AUDIT_WRITTEN, &[])),
                dropped: Follower::new(counter(&name::AUDIT_DROPPED, &[])),
            },
            #[cfg(feature = "axum")]
            http: http::HttpMetrics::new(),
        }
    }

    pub(crate) fn operation_ended(&self, operation: Operation, outcome: AuditOutcome, took: Duration) {
        let (duration, outcomes) = &self.operations[operation as usize];
        duration.record(took);
        outcomes[outcome as usize].increment(1);
    }

    pub(crate) fn failed(&self, error: &BridgeError) {
        self.readings.failed();
        if let Some(errors) = self.errors.get(root_cause(error).kind()) {
            errors.increment(1);
        }
    }

    /// Records that the store is up to date with the sources.
    pub(crate) fn refreshed(&self, now: Timestamp) {
        self.refreshed_at.fetch_max(now.as_millis(), Ordering::Relaxed);
    }

    /// Records a call of the store, if it is a measured write.
    pub(crate) fn stored(&self, call: StoreCall, took: Duration) {
        if let Some(place) = StoreCall::MEASURED.iter().position(|measured| *measured == call) {
            self.storage_operation_duration[place].record(took);
            self.readings.stored(took);
        }
    }

    pub(crate) fn wrote(&self, written: &WriteCounters) {
        let tokens = written.tokens_written.saturating_sub(written.tokens_replaced);
        self.tokens_stored_total.increment(tokens);
        self.readings.wrote(tokens);
        self.new_rows.increment(written.new);
        self.replaced_rows.increment(written.records - written.new);
        if written.forced {
            self.forced_rows.increment(written.records);
        }
    }

    pub(crate) fn synchronized(&self, status: SyncStatus) {
        let place = match status {
            SyncStatus::Changed => 0,
            SyncStatus::Unchanged => 1,
            SyncStatus::SourceGone => 2,
            SyncStatus::Streamed => 3,
            _ => 4,
        };
        self.sessions_synchronized[place].increment(1);
        self.readings.synchronized();
    }

    pub(crate) fn read(&self, bytes: u64, lines: u64, damage: &DamageCounts) {
        self.read_bytes.increment(bytes);
        self.read_lines.increment(lines);
        let kinds = [damage.bad_lines, damage.bad_usage, damage.oversize_lines, damage.pending_lines];
        self.damaged_lines.iter().zip(kinds).for_each(|(counter, lines)| counter.increment(lines));
    }

    /// Records the number of transcripts that will be deleted and are not stored.
    pub(crate) fn expiring(&self, transcripts: usize) {
        self.expiring.set(transcripts as f64);
    }

    /// Records the state of the budgets.
    pub(crate) fn budgets(&self, statuses: &[BudgetStatus]) {
        self.budgets.set(statuses);
    }

    /// Records when hosts were last seen.
    pub(crate) fn hosts(&self, hosts: &[HostFreshness]) {
        self.hosts.set(hosts);
    }

    /// Records the recent tokens with and without a price.
    pub(crate) fn priced_tokens(&self, tokens: &PricedTokens) {
        self.prices.set(tokens);
    }

    /// Registers the metrics of the bridge's own host with the current recorder.
    pub(crate) fn on_host(mut self, own: &HostName) -> Self {
        self.hosts = HostGauges::of(own);
        self
    }

    /// Registers the metrics of the budgets with the current recorder.
    pub(crate) fn with_budgets(mut self, budgets: &Budgets) -> Self {
        self.budgets = BudgetGauges::new(budgets);
        self
    }

    /// Records the result of a health check.
    pub(crate) fn checked(&self, state: HealthState) {
        self.health.set(match state {
            HealthState::Healthy => 0.0,
            HealthState::Degraded => 1.0,
            HealthState::Unhealthy => 2.0,
        });
    }

    pub(crate) fn observer_panicked(&self, observer: Observer) {
        self.observer_panics[observer as usize].increment(1);
    }

    /// Returns the present values of the specification's metrics.
    pub(crate) fn read_back(&self, now: Timestamp) -> BridgeMetrics {
        self.readings.read(self.backfill_progress_gauge.get(), self.freshness(now))
    }

    /// Returns the time since the store was brought up to date; `None` before the first time.
    pub(crate) fn freshness(&self, now: Timestamp) -> Option<Duration> {
        let refreshed_at = Timestamp::from_millis(self.refreshed_at.load(Ordering::Relaxed)).ok()?;
        Some(now.saturating_since(refreshed_at))
    }

    /// Updates the metrics of statistics that are counted elsewhere.
    pub(crate) fn export(&self, stats: &BridgeStats) {
        for (cache, stats) in self.caches.iter().zip([stats.summaries, stats.analyses]) {
            cache[0].follow(stats.hits);
            cache[1].follow(stats.misses);
        }
        if let Some(freshness) = stats.metrics.data_freshness_gauge {
            self.data_freshness_gauge.set(freshness);
        }
        self.store.retries.follow(stats.store.retries);
        if let Some(pool) = stats.store.pool {
            self.store.in_use.set(pool.in_use as f64);
            self.store.idle.set(pool.idle as f64);
            self.store.waiting.set(pool.waiting as f64);
        }
        if let Some(circuit) = &stats.store.circuit {
            let is_closed = matches!(circuit, CircuitState::Closed { .. });
            self.store.circuit_open.set(if is_closed { 0.0 } else { 1.0 });
        }
        self.audit.buffered.set(stats.audit.buffered as f64);
        self.audit.spool_bytes.set(stats.audit.spool_bytes as f64);
        self.audit.written.follow(stats.audit.written);
        self.audit.dropped.follow(stats.audit.dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_in_the_order_of_their_names() {
        assert!(Operation::ALL.iter().enumerate().all(|(place, operation)| *operation as usize == place));
        assert!(AuditOutcome::ALL.iter().enumerate().all(|(place, outcome)| *outcome as usize == place));
        assert!(Observer::ALL.iter().enumerate().all(|(place, observer)| *observer as usize == place));
    }
}
