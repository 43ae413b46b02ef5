//! Health checks: probes that run at once, each with its own deadline.

mod assessment;
mod limits;
mod prices;
mod sources;

use std::sync::Arc;
use std::time::Duration;

use bridge_core::{BridgeError, HealthStatus, Probe, ProbeResult, Stopwatch, StorageKind, Timestamp};
use bridge_storage::TokenStore;
use tokio::sync::{Mutex, OnceCell};

use crate::budgets::Budgets;
use crate::dashboard::budgets::statuses;
use crate::dashboard::hosts::host_freshness;
use crate::ingest::Ingest;
use crate::telemetry::observed_store::Kept;
use assessment::Assessment;
pub use limits::HealthLimits;
use prices::KnownTokens;
use sources::{PendingSince, Transcripts};

/// A store without probes is healthy as long as its operations succeed.
const NO_PROBES: &str = "the store has no probes";

/// Health checks of a store and its sources.
#[derive(Debug)]
pub(crate) struct HealthChecks {
    /// The store without layers: probes are not operations, and count neither in metrics nor in the error rate.
    store: Arc<dyn TokenStore>,
    /// Dropped after the store.
    _kept: Option<Kept>,
    ingest: Arc<Ingest>,
    limits: HealthLimits,
    budgets: Budgets,
    priced: KnownTokens,
    pending: PendingSince,
    /// Held while a check scans the transcripts.
    scan_turn: Arc<Mutex<()>>,
}

impl HealthChecks {
    pub(crate) fn new(store: Arc<dyn TokenStore>, ingest: Arc<Ingest>, limits: HealthLimits) -> Self {
        Self {
            store,
            _kept: None,
            ingest,
            limits,
            budgets: Budgets::default(),
            priced: KnownTokens::default(),
            pending: PendingSince::default(),
            scan_turn: Arc::default(),
        }
    }

    /// Returns the checks with a value that is dropped after the store.
    pub(crate) fn with_kept(mut self, kept: Option<Kept>) -> Self {
        self._kept = kept;
        self
    }

    pub(crate) fn with_budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// Runs all probes.
    pub(crate) async fn run(&self) -> HealthStatus {
        let (checked_at, watch) = (self.ingest.clock.now(), Stopwatch::start());
        let (store, telemetry) = (&self.store, &self.ingest.telemetry);
        let transcripts = OnceCell::new();
        let pool = store.stats().pool;
        let (connectivity, write, mode, sources, sync_lag, disk, budgets, hosts, prices) = tokio::join!(
            self.probe(Probe::Connectivity, self.connectivity()),
            self.probe(Probe::Write, self.write()),
            self.probe(Probe::Mode, self.store_mode()),
            self.probe(Probe::Sources, self.sources_readable(&transcripts)),
            self.probe(Probe::SyncLag, self.sync_lag(&transcripts)),
            self.probe(Probe::Disk, self.disk()),
            self.probe(Probe::Budgets, self.budget_states(checked_at)),
            self.probe(Probe::Hosts, self.silent_hosts(checked_at)),
            self.probe(Probe::Prices, self.unpriced_tokens(checked_at)),
        );
        let at_once = |probe, assessment: Assessment| {
            ProbeResult::new(probe, assessment.state, assessment.detail, Duration::ZERO)
        };
        let mut probes = vec![connectivity, write, mode, sources, sync_lag];
        let outcomes = telemetry.error_rate.outcomes();
        probes.push(at_once(Probe::ErrorRate, assessment::error_rate(outcomes, &self.limits)));
        probes.extend(pool.map(|pool| at_once(Probe::Pool, assessment::pool(pool))));
        // After the others: if the database answered them, the circuit is closed again.
        let circuit = store.stats().circuit;
        probes.extend(circuit.map(|circuit| at_once(Probe::Circuit, assessment::circuit(&circuit))));
        probes.push(disk);
        probes.extend((!self.budgets.is_empty()).then_some(budgets));
        probes.extend(self.limits.host_silent_max.map(|_| hosts));
        probes.extend(self.limits.unpriced_share_max.map(|_| prices));
        let panicked = telemetry.panics.within(self.limits.error_rate_window, checked_at);
        probes.push(at_once(Probe::Observers, assessment::observers(panicked)));
        let status = HealthStatus::new(probes, checked_at, watch.elapsed());
        telemetry.metrics.checked(status.overall);
        status
    }

    /// Returns whether the database answers: a single question, which the caller bounds.
    #[cfg(feature = "axum")]
    pub(crate) async fn database_answers(&self) -> bool {
        match self.store.probes() {
            Some(probes) => probes.probe_connection().await.is_ok(),
            None => true,
        }
    }

    async fn probe(&self, probe: Probe, work: impl Future<Output = Assessment>) -> ProbeResult {
        let (watch, limit) = (Stopwatch::start(), self.limits.probe_timeout);
        let assessment = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Assessment::unhealthy(format!(
                "no answer within {limit:?}; check the load, or raise monitoring.probe_timeout"
            ))
        });
        ProbeResult::new(probe, assessment.state, assessment.detail, watch.elapsed())
    }

    async fn connectivity(&self) -> Assessment {
        let Some(probes) = self.store.probes() else { return Assessment::healthy(NO_PROBES) };
        match probes.probe_connection().await {
            Ok(()) => Assessment::healthy("the database answers"),
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn write(&self) -> Assessment {
        let Some(probes) = self.store.probes() else { return Assessment::healthy(NO_PROBES) };
        match probes.probe_write().await {
            Ok(()) => Assessment::healthy("the user may write"),
            // Enough for reading.
            Err(error @ BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }) => {
                let may_not = "the user may read but not write: enough for a dashboard";
                Assessment::degraded(format!("{may_not}; for more, {}", crate::advice(&error)))
            }
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn store_mode(&self) -> Assessment {
        match self.store.state().await {
            Ok(state) => assessment::mode(&state.mode),
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn sources_readable(&self, transcripts: &OnceCell<Arc<Transcripts>>) -> Assessment {
        assessment::sources(&*self.transcripts(transcripts).await)
    }

    async fn sync_lag(&self, transcripts: &OnceCell<Arc<Transcripts>>) -> Assessment {
        let now = self.ingest.clock.now();
        let newest = async {
            match self.store.probes() {
                Some(probes) => probes.newest_source(&self.ingest.host, now).await,
                None => Ok(None),
            }
        };
        let (transcripts, newest) = tokio::join!(self.transcripts(transcripts), newest);
        let newest = match newest {
            Ok(newest) => newest,
            Err(error) => return Assessment::failed(&error),
        };
        let pending = transcripts.unread(newest, now, &self.pending);
        let lag = assessment::sync_lag(pending, self.ingest.skipped(), newest, &self.limits);
        assessment::expiring(lag, transcripts.expiring(newest))
    }

    async fn disk(&self) -> Assessment {
        let Some(probes) = self.store.probes() else { return Assessment::healthy(NO_PROBES) };
        match probes.disks().await {
            Ok(disks) => assessment::disks(&disks, &self.limits),
            Err(BridgeError::Storage { kind: StorageKind::PermissionDenied, .. }) => Assessment::degraded(
                "the user may not read the disks; grant it SELECT on system.disks, as the SQL of the roles does"
                    .to_owned(),
            ),
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn budget_states(&self, now: Timestamp) -> Assessment {
        match statuses(&*self.store, &self.budgets, now).await {
            Ok(statuses) => {
                self.ingest.telemetry.metrics.budgets(&statuses);
                assessment::budgets(&statuses)
            }
            Err(error) => Assessment::failed(&error),
        }
    }

    async fn silent_hosts(&self, now: Timestamp) -> Assessment {
        let hosts = match host_freshness(&*self.store, now).await {
            Ok(hosts) => hosts,
            Err(error) => return Assessment::failed(&error),
        };
        // Without a limit, too: an alert has its own.
        self.ingest.telemetry.metrics.hosts(&hosts);
        match self.limits.host_silent_max {
            Some(limit) => assessment::hosts(&hosts, limit),
            None => Assessment::healthy("no limit is set"),
        }
    }

    /// Updates the metrics even without a limit: alerts have limits of their own.
    async fn unpriced_tokens(&self, now: Timestamp) -> Assessment {
        match self.priced.read(&*self.store, now).await {
            Ok(tokens) => {
                if let Some(tokens) = &tokens {
                    self.ingest.telemetry.metrics.priced_tokens(tokens);
                }
                assessment::prices(tokens.as_ref(), self.limits.unpriced_share_max)
            }
            Err(error) => Assessment::failed(&error),
        }
    }

    /// Returns the scan of the transcripts that the probes of a check share.
    async fn transcripts(&self, scan: &OnceCell<Arc<Transcripts>>) -> Arc<Transcripts> {
        let scanned = scan.get_or_init(|| Transcripts::scan(&self.ingest, &self.scan_turn));
        scanned.await.clone()
    }
}
