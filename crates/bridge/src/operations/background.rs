//! Monitoring without an observer: a bridge's own health checks and metric exports.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bridge_core::{HealthState, HealthStatus};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval};

use crate::operations::lifetime::Lifetime;
use crate::operations::monitor::{Monitoring, ticks};
use crate::operations::survive::survive;

/// Tasks that end with the bridge: they hold it only while they are working.
#[derive(Debug)]
pub(crate) struct Background(#[expect(dead_code, reason = "dropping it ends its tasks")] JoinSet<()>);

impl Background {
    /// Starts the health checks and the export of metrics, if there is a runtime.
    pub(crate) fn start(monitoring: &Arc<Monitoring>, lifetime: &Lifetime) -> Self {
        let mut tasks = JoinSet::new();
        let Ok(runtime) = Handle::try_current() else {
            tracing::warn!("self-monitoring disabled: the bridge was built outside of a Tokio runtime");
            return Self(tasks);
        };
        let options = monitoring.options;
        let exporting = export_metrics(Arc::downgrade(monitoring), options.metrics_export_interval);
        let checking = check_health(Arc::downgrade(monitoring), options.health_check_interval);
        tasks.spawn_on(lifetime.join().run(exporting), &runtime);
        tasks.spawn_on(lifetime.join().run(checking), &runtime);
        Self(tasks)
    }
}

/// Returns ticks, the first after one interval, so that a program that ends sooner is spared the checks.
fn ticks_after(interval: Duration) -> Interval {
    ticks(Instant::now() + interval, interval)
}

async fn export_metrics(monitoring: Weak<Monitoring>, interval: Duration) {
    let mut ticks = ticks_after(interval);
    loop {
        ticks.tick().await;
        let Some(monitoring) = monitoring.upgrade() else { return };
        survive("export of metrics", async move { monitoring.export_metrics() }).await;
    }
}

async fn check_health(monitoring: Weak<Monitoring>, interval: Duration) {
    let (mut ticks, mut last) = (ticks_after(interval), HealthState::Healthy);
    loop {
        ticks.tick().await;
        let Some(monitoring) = monitoring.upgrade() else { return };
        if let Some(health) = survive("health check", async move { monitoring.health.run().await }).await {
            log_change(last, &health);
            last = health.overall;
        }
    }
}

/// Logs a changed state. The details may name files, so they are not logged.
fn log_change(last: HealthState, health: &HealthStatus) {
    let unhealthy: Vec<String> = health
        .probes
        .iter()
        .filter(|probe| probe.state != HealthState::Healthy)
        .map(|probe| format!("{} {}", probe.probe, probe.state))
        .collect();
    let (state, unhealthy) = (health.overall, unhealthy.join(", "));
    match state {
        _ if state == last => {}
        HealthState::Healthy => tracing::info!(%state, "health recovered"),
        _ => tracing::warn!(%state, unhealthy, "health changed"),
    }
}
