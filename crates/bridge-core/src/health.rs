//! Results of health checks.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Health of a component; worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// No problem.
    Healthy,
    /// Works, but needs attention.
    Degraded,
    /// Does not work.
    Unhealthy,
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// One of the checks of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Probe {
    /// The database answers.
    Connectivity,
    /// The bridge may write.
    Write,
    /// The store accepts writes, that is, it is not suspended after a rollback.
    Mode,
    /// The transcripts can be read.
    Sources,
    /// The time that a changed transcript has been waiting to be stored, by its modification time.
    SyncLag,
    /// Share of failing storage operations, invalid analyses included.
    ErrorRate,
    /// The pool has free connections.
    Pool,
    /// The circuit breaker is closed.
    Circuit,
    /// The database's disks have free space.
    Disk,
    /// No observer of the embedder has panicked.
    Observers,
    /// No budget is exceeded.
    Budgets,
    /// No host of the store has fallen silent.
    Hosts,
    /// Recent tokens have a price.
    Prices,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connectivity => "connectivity",
            Self::Write => "write",
            Self::Mode => "mode",
            Self::Sources => "sources",
            Self::SyncLag => "sync lag",
            Self::ErrorRate => "error rate",
            Self::Pool => "pool",
            Self::Circuit => "circuit",
            Self::Disk => "disk",
            Self::Observers => "observers",
            Self::Budgets => "budgets",
            Self::Hosts => "hosts",
            Self::Prices => "prices",
        })
    }
}

/// Result of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProbeResult {
    /// The probe.
    pub probe: Probe,
    /// State found.
    pub state: HealthState,
    /// The facts and, unless healthy, what to do.
    pub detail: String,
    /// Duration of the probe.
    #[serde(rename = "duration_seconds", with = "crate::seconds")]
    pub duration: Duration,
}

impl ProbeResult {
    /// Returns a result.
    #[must_use]
    pub fn new(probe: Probe, state: HealthState, detail: String, duration: Duration) -> Self {
        Self { probe, state, detail, duration }
    }
}

impl fmt::Display for ProbeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.probe, self.state, self.detail)
    }
}

/// The health of a bridge.
///
/// ```
/// use std::time::Duration;
///
/// use bridge_core::{HealthState, HealthStatus, Probe, ProbeResult, Timestamp};
///
/// let found = |probe, state, detail: &str| ProbeResult::new(probe, state, detail.to_owned(), Duration::ZERO);
/// let status = HealthStatus::new(
///     vec![
///         found(Probe::Connectivity, HealthState::Healthy, "db:8123 answers"),
///         found(Probe::Disk, HealthState::Degraded, "4.0 % of disk default are free; free space"),
///     ],
///     Timestamp::MIN,
///     Duration::ZERO,
/// );
/// assert_eq!(status.overall, HealthState::Degraded);
/// assert_eq!(status.reasons(), ["disk degraded: 4.0 % of disk default are free; free space"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
#[non_exhaustive]
pub struct HealthStatus {
    /// The worst of the probes.
    pub overall: HealthState,
    /// Results of the probes that apply.
    pub probes: Vec<ProbeResult>,
    /// Start of the check.
    pub checked_at: Timestamp,
    /// Duration of the check.
    #[serde(rename = "duration_seconds", with = "crate::seconds")]
    pub duration: Duration,
}

impl HealthStatus {
    /// Returns the status of these results.
    pub fn new(probes: Vec<ProbeResult>, checked_at: Timestamp, duration: Duration) -> Self {
        let overall = probes.iter().map(|probe| probe.state).max().unwrap_or(HealthState::Healthy);
        Self { overall, probes, checked_at, duration }
    }

    /// Returns the result of this probe.
    #[must_use]
    pub fn probe(&self, probe: Probe) -> Option<&ProbeResult> {
        self.probes.iter().find(|result| result.probe == probe)
    }

    /// Returns the results that are not healthy, one line each.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let unhealthy = self.probes.iter().filter(|result| result.state != HealthState::Healthy);
        unhealthy.map(ToString::to_string).collect()
    }
}
