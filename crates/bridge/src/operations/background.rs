//! What the bridge does at intervals by itself.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bridge_core::{HealthState, HealthStatus};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::EnhancedTokenDatabaseBridge;
use crate::builder::Inner;

/// Tasks that end with the bridge: they hold it only while they are at work.
#[derive(Debug)]
pub(crate) struct Background(#[expect(dead_code, reason = "dropped it ends its tasks")] JoinSet<()>);

impl Background {
    /// Starts the checks of health and the export of metrics, if there is a runtime.
    pub(crate) fn start(bridge: &EnhancedTokenDatabaseBridge) -> Self {
        let mut tasks = JoinSet::new();
        let Ok(runtime) = Handle::try_current() else {
            tracing::warn!("no monitoring by itself: the bridge is built outside of a Tokio runtime");
            return Self(tasks);
        };
        let (inner, options) = (Arc::downgrade(&bridge.inner), bridge.inner.monitoring);
        tasks.spawn_on(export_metrics(inner.clone(), options.metrics_export_interval), &runtime);
        tasks.spawn_on(check_health(inner, options.health_check_interval), &runtime);
        Self(tasks)
    }
}

/// The first tick is after an interval: a program that ends sooner is spared the questions.
fn ticks(interval: Duration) -> Interval {
    let interval = interval.max(Duration::from_millis(1));
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

fn bridge(inner: &Weak<Inner>) -> Option<EnhancedTokenDatabaseBridge> {
    Some(EnhancedTokenDatabaseBridge { inner: inner.upgrade()?, correlation_id: None })
}

async fn export_metrics(inner: Weak<Inner>, interval: Duration) {
    let mut ticks = ticks(interval);
    loop {
        ticks.tick().await;
        let Some(bridge) = bridge(&inner) else { return };
        survive("export of metrics", async move { bridge.export_metrics() }).await;
    }
}

async fn check_health(inner: Weak<Inner>, interval: Duration) {
    let (mut ticks, mut last) = (ticks(interval), HealthState::Healthy);
    loop {
        ticks.tick().await;
        let Some(bridge) = bridge(&inner) else { return };
        if let Some(health) = survive("health check", async move { bridge.health_check().await }).await {
            log_change(last, &health);
            last = health.overall;
        }
    }
}

/// Logs a state that is another than the one before. The details may name files: they are not in the log.
fn log_change(last: HealthState, health: &HealthStatus) {
    let unwell: Vec<String> = health
        .probes
        .iter()
        .filter(|probe| probe.state != HealthState::Healthy)
        .map(|probe| format!("{} {}", probe.probe, probe.state))
        .collect();
    let (state, unwell) = (health.overall, unwell.join(", "));
    match state {
        _ if state == last => {}
        HealthState::Healthy => tracing::info!(%state, "the bridge is healthy again"),
        _ => tracing::warn!(%state, unwell, "the bridge is not healthy"),
    }
}

/// Runs the work in a task of its own that ends with the caller. Returns `None` where the work panicked, which is
/// logged without the panic's message: whatever repeats the work goes on.
pub(crate) async fn survive<T: Send + 'static>(
    what: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let mut task = JoinSet::new();
    task.spawn(work);
    let ended = task.join_next().await?;
    if ended.is_err() {
        tracing::error!(what, "it panicked; the next one follows");
    }
    ended.ok()
}
