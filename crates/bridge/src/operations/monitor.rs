//! Health checks and statistics at intervals.

use std::sync::Arc;
use std::time::Duration;

use bridge_cache::BridgeCache;
use bridge_core::HealthStatus;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::ingest::Ingest;
use crate::operations::health::{HealthChecks, HealthLimits};
use crate::operations::lifetime::Lifetime;
use crate::operations::survive::survive;
use crate::telemetry::observer::Observer;
use crate::telemetry::stats::BridgeStats;

/// Intervals of the monitoring, and limits of what is healthy.
///
/// ```
/// use std::time::Duration;
///
/// use bridge::{HealthLimits, MonitoringOptions};
///
/// let limits = HealthLimits::default()
///     .with_probe_timeout(Duration::from_secs(2))
///     .with_sync_lag_max(Duration::from_mins(10))
///     .with_host_silent_max(Duration::from_hours(72))
///     .with_unpriced_share_max(0.05)
///     .with_error_rate(0.05, Duration::from_mins(5))
///     .with_disk_free_min(0.2);
/// let options = MonitoringOptions::default()
///     .with_health_check_interval(Duration::from_secs(15))
///     .with_metrics_export_interval(Duration::from_secs(15))
///     .with_limits(limits);
/// assert_eq!(options.limits.disk_free_min, 0.2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MonitoringOptions {
    /// Time from one health check to the next.
    pub health_check_interval: Duration,
    /// Time from one export of metrics to the next.
    pub metrics_export_interval: Duration,
    /// Limits of what is healthy.
    pub limits: HealthLimits,
}

impl Default for MonitoringOptions {
    /// A minute and half a minute.
    fn default() -> Self {
        Self {
            health_check_interval: Duration::from_mins(1),
            metrics_export_interval: Duration::from_secs(30),
            limits: HealthLimits::default(),
        }
    }
}

impl MonitoringOptions {
    /// Returns the options with this time from one health check to the next.
    #[must_use]
    pub fn with_health_check_interval(mut self, interval: Duration) -> Self {
        self.health_check_interval = interval;
        self
    }

    /// Returns the options with this time from one export of metrics to the next.
    #[must_use]
    pub fn with_metrics_export_interval(mut self, interval: Duration) -> Self {
        self.metrics_export_interval = interval;
        self
    }

    /// Returns the options with these limits of what is healthy.
    #[must_use]
    pub fn with_limits(mut self, limits: HealthLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// An observation of a [`monitor`](crate::EnhancedTokenDatabaseBridge::monitor).
#[derive(Debug)]
#[non_exhaustive]
pub enum Observation {
    /// The bridge's health.
    Health(HealthStatus),
    /// The bridge's statistics.
    Stats(BridgeStats),
}

/// Ends the monitoring when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it stops the monitoring"]
pub struct Monitor(#[expect(dead_code, reason = "dropping it stops the monitoring")] JoinSet<()>);

/// The parts of a bridge that are monitored.
#[derive(Debug)]
pub(crate) struct Monitoring {
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) cache: Arc<BridgeCache>,
    pub(crate) health: HealthChecks,
    pub(crate) options: MonitoringOptions,
}

impl Monitoring {
    pub(crate) fn stats(&self) -> BridgeStats {
        let telemetry = &self.ingest.telemetry;
        BridgeStats {
            metrics: telemetry.metrics.read_back(self.ingest.clock.now()),
            summaries: self.cache.stats(),
            analyses: self.cache.analysis_stats(),
            audit: telemetry.audit.stats(),
            store: self.ingest.store.stats(),
        }
    }

    /// Updates the metrics of statistics that are counted elsewhere.
    pub(crate) fn export_metrics(&self) {
        self.ingest.telemetry.metrics.export(&self.stats());
    }

    /// Calls the observer now and at intervals. Two tasks, so that a slow health check does not delay the statistics.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        lifetime: &Lifetime,
        observer: impl Fn(Observation) + Send + Sync + 'static,
    ) -> Monitor {
        let observer = Arc::new(observer);
        let mut tasks = JoinSet::new();
        tasks.spawn(lifetime.join().run(observe_health(Arc::clone(self), Arc::clone(&observer))));
        tasks.spawn(lifetime.join().run(observe_stats(Arc::clone(self), observer)));
        Monitor(tasks)
    }

    fn notify(&self, observer: &impl Fn(Observation), observation: Observation) {
        self.ingest.telemetry.notify(Observer::Monitor, || observer(observation));
    }
}

/// Returns ticks from this moment on. One that comes too late is skipped.
pub(super) fn ticks(first: Instant, interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(first, interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

async fn observe_health(monitoring: Arc<Monitoring>, observer: Arc<impl Fn(Observation) + Send + Sync>) {
    let mut ticks = ticks(Instant::now(), monitoring.options.health_check_interval);
    loop {
        ticks.tick().await;
        let checking = Arc::clone(&monitoring);
        if let Some(health) = survive("health check", async move { checking.health.run().await }).await {
            monitoring.notify(&*observer, Observation::Health(health));
        }
    }
}

async fn observe_stats(monitoring: Arc<Monitoring>, observer: Arc<impl Fn(Observation) + Send + Sync>) {
    let mut ticks = ticks(Instant::now(), monitoring.options.metrics_export_interval);
    loop {
        ticks.tick().await;
        monitoring.export_metrics();
        monitoring.notify(&*observer, Observation::Stats(monitoring.stats()));
    }
}
