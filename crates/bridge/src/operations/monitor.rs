//! The bridge looks at itself from time to time.

use std::sync::Arc;
use std::time::Duration;

use bridge_cache::CacheStats;
use bridge_core::HealthStatus;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use crate::operations::background::survive;
use crate::telemetry::observer::Observer;
use crate::{EnhancedTokenDatabaseBridge, HealthLimits};

/// How often the bridge looks at itself, and what is healthy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonitoringOptions {
    /// From one check of health to the next.
    pub health_check_interval: Duration,
    /// From one report of figures to the next.
    pub metrics_export_interval: Duration,
    /// What is healthy.
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

/// What the bridge saw.
#[derive(Debug)]
#[non_exhaustive]
pub enum Observation {
    /// Whether the bridge can do its work.
    Health(HealthStatus),
    /// The figures so far.
    Metrics(CacheStats),
}

/// Ends the looking when it is dropped.
#[derive(Debug)]
#[must_use = "dropped it ends at once"]
pub struct Monitor(#[expect(dead_code, reason = "dropped it ends its tasks")] JoinSet<()>);

impl EnhancedTokenDatabaseBridge {
    /// Tells the observer of the bridge's health and of the bridge's figures: once at the start, then as often as
    /// the bridge's [`MonitoringOptions`] say, until the answer is dropped. An observer that panics is called again the
    /// next time; the metrics and the health check show it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::Observation;
    /// use bridge::core::{HealthState, Probe};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    /// let monitor = bridge.monitor(move |observation| drop(tell.send(observation)));
    /// let health = loop {
    ///     if let Some(Observation::Health(health)) = told.recv().await {
    ///         break health;
    ///     }
    /// };
    /// let connectivity = health.probe(Probe::Connectivity).map(|probe| probe.state);
    /// assert_eq!(connectivity, Some(HealthState::Healthy));
    /// drop(monitor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn monitor(&self, observer: impl Fn(Observation) + Send + Sync + 'static) -> Monitor {
        let options = self.inner.monitoring;
        let observer = Arc::new(observer);
        // Two tasks: a look that takes long must not hold up the figures.
        let mut tasks = JoinSet::new();
        tasks.spawn(tell_health(self.clone(), ticks(options.health_check_interval), Arc::clone(&observer)));
        tasks.spawn(print_totals(self.clone(), ticks(options.metrics_export_interval), observer));
        Monitor(tasks)
    }
}

fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

async fn tell_health(
    bridge: EnhancedTokenDatabaseBridge,
    mut ticks: Interval,
    observer: Arc<impl Fn(Observation) + Send + Sync>,
) {
    loop {
        ticks.tick().await;
        let checking = bridge.clone();
        if let Some(health) = survive("health check", async move { checking.health_check().await }).await {
            bridge.notify(Observer::Monitor, || observer(Observation::Health(health)));
        }
    }
}

async fn print_totals(
    bridge: EnhancedTokenDatabaseBridge,
    mut ticks: Interval,
    observer: Arc<impl Fn(Observation) + Send + Sync>,
) {
    loop {
        ticks.tick().await;
        bridge.export_metrics();
        bridge.notify(Observer::Monitor, || observer(Observation::Metrics(bridge.cache_stats())));
    }
}
