//! The health of a bridge, as a check found it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How well something is. The worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// All is well.
    Healthy,
    /// It works, and somebody should look at it.
    Degraded,
    /// It does not work.
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

/// What a health check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Probe {
    /// Whether the database answers.
    Connectivity,
    /// Whether the bridge may write.
    Write,
    /// Whether the store takes what is stored, or was rolled back.
    Mode,
    /// Whether the transcripts can be read.
    Sources,
    /// Whether what the transcripts say is stored, told by their times of modification up to now.
    Freshness,
    /// How many storage operations fail; an analysis that is refused because it is not valid is one.
    ErrorRate,
    /// Whether there are connections for all who ask.
    Pool,
    /// Whether the database is left alone.
    Circuit,
    /// Whether the database's disks have room.
    Disk,
    /// Whether an observer of the embedder's has panicked.
    Observers,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connectivity => "connectivity",
            Self::Write => "write",
            Self::Mode => "mode",
            Self::Sources => "sources",
            Self::Freshness => "freshness",
            Self::ErrorRate => "error rate",
            Self::Pool => "pool",
            Self::Circuit => "circuit",
            Self::Disk => "disk",
            Self::Observers => "observers",
        })
    }
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProbeResult {
    /// Which one.
    pub probe: Probe,
    /// How it is.
    pub state: HealthState,
    /// The facts, and where it is not healthy what to do about them.
    pub detail: String,
    /// How long the look took.
    pub duration: Duration,
}

impl ProbeResult {
    /// A result.
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
/// let status = HealthStatus::of(
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
    /// What each probe found. One that has nothing to look at is left out.
    pub probes: Vec<ProbeResult>,
    /// When the check began.
    pub checked_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
}

impl HealthStatus {
    /// The health that these probes show.
    pub fn of(probes: Vec<ProbeResult>, checked_at: Timestamp, duration: Duration) -> Self {
        let overall = probes.iter().map(|probe| probe.state).max().unwrap_or(HealthState::Healthy);
        Self { overall, probes, checked_at, duration }
    }

    /// What this probe found.
    #[must_use]
    pub fn probe(&self, probe: Probe) -> Option<&ProbeResult> {
        self.probes.iter().find(|result| result.probe == probe)
    }

    /// Why it is not healthy, a line each.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let unwell = self.probes.iter().filter(|result| result.state != HealthState::Healthy);
        unwell.map(ToString::to_string).collect()
    }
}
