//! The bridge's health: probes that run at once, each with its own deadline.

mod assessment;
mod sources;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bridge_core::{BridgeError, HealthState, HealthStatus, Probe, ProbeResult, Stopwatch, StorageKind};
use tokio::sync::OnceCell;

pub(crate) use sources::{PendingSince, SkippedSources};

use crate::EnhancedTokenDatabaseBridge;
use crate::telemetry::error_rate::Outcome;
use crate::telemetry::run::note_counted;
use assessment::Assessment;
use sources::Transcripts;

/// What is healthy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthLimits {
    /// A probe that takes longer has failed.
    pub probe_timeout: Duration,
    /// What a transcript says is stored after this time.
    pub freshness_max_age: Duration,
    /// So many storage operations may fail, from 0 to 1. An analysis that is refused because it is not valid is one of
    /// them.
    pub error_rate_max: f64,
    /// The time over which they are counted.
    pub error_rate_window: Duration,
    /// So much of each of the database's disks is free, from 0 to 1. Below it the disk is degraded, below a tenth of
    /// it unhealthy.
    pub disk_free_min: f64,
}

impl Default for HealthLimits {
    /// 5 s; 15 minutes; 0.1 % in 10 minutes, the specification's criterion; a tenth of the disk.
    fn default() -> Self {
        Self {
            probe_timeout: Duration::from_secs(5),
            freshness_max_age: Duration::from_mins(15),
            error_rate_max: 0.001,
            error_rate_window: Duration::from_mins(10),
            disk_free_min: 0.1,
        }
    }
}

/// A store without probes is healthy as long as its operations succeed.
const NO_PROBES: &str = "the store has no probe";

/// What one check looks at once and several probes need.
#[derive(Debug, Default)]
struct Look {
    transcripts: OnceCell<Arc<Transcripts>>,
}

impl EnhancedTokenDatabaseBridge {
    /// Looks whether the bridge can do its work: whether the database answers and takes writes, the transcripts can be
    /// read and are stored, operations succeed, connections are free, the circuit is closed and the disks have room.
    ///
    /// It never fails and is never late: a probe that does not come back within
    /// [`HealthLimits::probe_timeout`] is told as such, and holds up no other. Nothing is written.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::core::{HealthState, Probe};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path(), "/nonexistent".as_ref()])
    ///     .build();
    /// let health = bridge.health_check().await;
    /// assert_eq!(health.overall, HealthState::Degraded);
    /// assert_eq!(health.probe(Probe::Connectivity).map(|probe| probe.state), Some(HealthState::Healthy));
    /// assert!(health.reasons()[0].starts_with("sources degraded: /nonexistent"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn health_check(&self) -> HealthStatus {
        let (checked_at, watch) = (self.inner.clock.now(), Stopwatch::start());
        let look = Look::default();
        let pool = self.inner.store.stats().pool;
        let (connectivity, write, mode, sources, freshness, disk) = tokio::join!(
            self.probe(Probe::Connectivity, self.connectivity()),
            self.probe(Probe::Write, self.write()),
            self.probe(Probe::Mode, self.store_mode()),
            self.probe(Probe::Sources, self.sources_readable(&look)),
            self.probe(Probe::Freshness, self.freshness(&look)),
            self.probe(Probe::Disk, self.disk()),
        );
        let at_once =
            |probe, judged: Assessment| ProbeResult::new(probe, judged.state, judged.detail, Duration::ZERO);
        let (outcomes, limits) = (self.inner.error_rate.outcomes(), self.limits());
        let mut probes = vec![connectivity, write, mode, sources, freshness];
        probes.push(at_once(Probe::ErrorRate, assessment::error_rate(outcomes, limits)));
        probes.extend(pool.map(|pool| at_once(Probe::Pool, assessment::pool(pool))));
        // After the others: where the database answered them, the circuit is closed again.
        let circuit = self.inner.store.stats().circuit;
        probes.extend(circuit.map(|circuit| at_once(Probe::Circuit, assessment::circuit(&circuit))));
        probes.push(disk);
        let panicked = self.inner.panics.within(limits.error_rate_window, checked_at);
        probes.push(at_once(Probe::Observers, assessment::observers(panicked)));
        let status = HealthStatus::of(probes, checked_at, watch.elapsed());
        self.inner.metrics.checked(status.overall);
        status
    }

    async fn probe(&self, probe: Probe, look: impl Future<Output = Assessment>) -> ProbeResult {
        let (watch, limit) = (Stopwatch::start(), self.limits().probe_timeout);
        let late = |_| {
            let detail =
                format!("no answer within {limit:?}; check the load, or raise monitoring.probe_timeout");
            Assessment { state: HealthState::Unhealthy, detail }
        };
        let judged = tokio::time::timeout(limit, look).await.unwrap_or_else(late);
        ProbeResult::new(probe, judged.state, judged.detail, watch.elapsed())
    }

    async fn connectivity(&self) -> Assessment {
        let Some(probes) = self.inner.store.probes() else { return Assessment::healthy(NO_PROBES) };
        match probes.probe_connection().await {
            Ok(()) => Assessment::healthy("the database answers"),
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn write(&self) -> Assessment {
        let Some(probes) = self.inner.store.probes() else { return Assessment::healthy(NO_PROBES) };
        match probes.probe_write().await {
            Ok(()) => Assessment::healthy("the user may write"),
            // Somebody who only reads needs no more.
            Err(error @ BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }) => {
                let may_not = "the user may read and not write: enough for a dashboard";
                Assessment::degraded(format!("{may_not}; for more, {}", crate::advice(&error)))
            }
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn store_mode(&self) -> Assessment {
        match self.inner.store.state().await {
            Ok(state) => assessment::mode(&state.mode),
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn sources_readable(&self, look: &Look) -> Assessment {
        assessment::sources(&*self.transcripts(look).await)
    }

    async fn freshness(&self, look: &Look) -> Assessment {
        let (host, now) = (self.host(), self.inner.clock.now());
        let newest = async {
            match self.inner.store.probes() {
                Some(probes) => probes.newest_source(&host, now).await,
                None => Ok(None),
            }
        };
        let (transcripts, newest) = tokio::join!(self.transcripts(look), newest);
        let newest = match newest {
            Ok(newest) => newest,
            Err(error) => return Assessment::failed(&error),
        };
        let unread = transcripts.unread(newest, now, &self.inner.unread);
        let left_out = self.inner.left_out.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assessment::freshness(unread, left_out, newest, self.limits())
    }

    async fn disk(&self) -> Assessment {
        let Some(probes) = self.inner.store.probes() else { return Assessment::healthy(NO_PROBES) };
        match probes.disks().await {
            Ok(disks) => assessment::disks(&disks, self.limits()),
            Err(BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }) => Assessment::degraded(
                "the user may not look at the disks; grant it SELECT on system.disks, as the roles' SQL does"
                    .to_owned(),
            ),
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn transcripts(&self, look: &Look) -> Arc<Transcripts> {
        look.transcripts.get_or_init(|| self.look_at_transcripts()).await.clone()
    }

    fn limits(&self) -> &HealthLimits {
        &self.inner.monitoring.limits
    }

    /// Counts how a call of the store ended.
    pub(crate) fn counted<T>(&self, result: Result<T, BridgeError>) -> Result<T, BridgeError> {
        self.count(Outcome::of(&result));
        result
    }

    /// Counts how a part of the running operation ended.
    pub(crate) fn count(&self, outcome: Outcome) {
        self.inner.error_rate.record(outcome);
        note_counted();
    }
}
