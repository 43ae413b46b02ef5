//! The health of the bridge.

use bridge_core::{HealthState, HealthStatus, Probe, Timestamp};
use serde::Serialize;

/// The states of a health check, without its texts, which name paths and hosts.
#[derive(Serialize)]
pub(in crate::web) struct Health {
    overall: HealthState,
    checked_at: Timestamp,
    duration_seconds: f64,
    probes: Vec<ProbeAnswer>,
}

#[derive(Serialize)]
struct ProbeAnswer {
    probe: Probe,
    state: HealthState,
    duration_seconds: f64,
}

impl From<&HealthStatus> for Health {
    fn from(health: &HealthStatus) -> Self {
        let probes = health.probes.iter().map(|found| ProbeAnswer {
            probe: found.probe,
            state: found.state,
            duration_seconds: found.duration.as_secs_f64(),
        });
        Self {
            overall: health.overall,
            checked_at: health.checked_at,
            duration_seconds: health.duration.as_secs_f64(),
            probes: probes.collect(),
        }
    }
}

/// The answer of the two probes of an orchestrator.
#[derive(Serialize)]
pub(in crate::web) struct Status {
    pub(in crate::web) status: &'static str,
}
