//! Eleven to twelve o'clock: the database fails and recovers.

use std::time::Duration;

use bridge::storage::CircuitState;
use bridge::{AuditFilter, AuditOutcome, BackfillOptions, BridgeError, HealthState, Probe, SyncOptions};
use tokio::time::timeout;

use crate::day::checks::probe_result;
use crate::day::import::Import;
use crate::day::session_totals::SessionTotals;
use crate::day::{DEADLINE, Day, at, within};

impl Day {
    /// At eleven, while the sessions continue. Returns the number of synchronizations that failed until the circuit
    /// opened. A backfill fails then as well.
    pub(crate) async fn loses_the_database(&self) -> usize {
        self.is_at(11);
        self.bridge.shutdown().await.unwrap();
        self.server.goes_away();
        self.transcripts.grow(2, at(11));
        let (failures, last) = timeout(DEADLINE, self.synchronizes_until_refused()).await.unwrap();
        // The call made no attempt, and its error advises the caller.
        assert_eq!(last.context().attempts, 0);
        assert!(last.is_retryable(), "{last}");
        assert!(last.to_string().contains("the circuit breaker is open"), "{last}");
        assert_eq!(bridge::advice(&last), "restore the database; the circuit breaker closes automatically");

        let backfill = self.bridge.backfill_historical_data(BackfillOptions::default());
        let error = timeout(DEADLINE, backfill).await.unwrap().unwrap_err();
        assert!(matches!(error, BridgeError::Backfill { .. }) && error.is_retryable(), "{error}");
        failures
    }

    /// The number of failed synchronizations, and the last error.
    async fn synchronizes_until_refused(&self) -> (usize, BridgeError) {
        let mut failures = 0;
        loop {
            let error = self
                .bridge
                .sync_all_sessions(SyncOptions::default().with_parallel_limit(4))
                .await
                .unwrap_err();
            assert!(error.is_retryable(), "{error}");
            failures += 1;
            if error.kind() == "circuit_open" {
                return (failures, error);
            }
        }
    }

    /// The health check reports the outage with advice; sessions are analyzed live.
    pub(crate) async fn sees_the_outage_and_gets_live_analyses(&self) {
        let status = self.bridge.health_check().await;
        assert_eq!(status.overall, HealthState::Unhealthy);
        let (connectivity, why) = probe_result(&status, Probe::Connectivity);
        assert_eq!(connectivity, HealthState::Unhealthy);
        assert!(why.contains("check that the database is running"), "{why}");
        // The circuit may be probing the database.
        assert!(probe_result(&status, Probe::Circuit).0 >= HealthState::Degraded, "{:?}", status.reasons());
        assert_eq!(probe_result(&status, Probe::ErrorRate).0, HealthState::Degraded);
        assert_eq!(probe_result(&status, Probe::Sources).0, HealthState::Healthy);
        self.assert_live_analyses().await;
    }

    /// Without any call, the background task writes the audit, which closes the circuit.
    pub(crate) async fn recovers_with_the_database(&self, failures: usize, import: &Import) {
        let kept = self.bridge.stats().audit;
        assert_eq!((kept.buffered, kept.dropped), (failures as u64 + 1, 0));
        self.server.comes_back();
        let written = async {
            while self.bridge.stats().audit.buffered > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, written).await.expect("the background task writes the audit");
        let circuit = self.bridge.token_store().stats().circuit;
        assert_eq!(circuit, Some(CircuitState::Closed { failures: 0 }));

        let hour = self.audit(AuditFilter::default().with_time(within(11))).await;
        assert_eq!(hour.len(), failures + 1);
        for record in &hour {
            assert_eq!((record.time, record.outcome), (at(11), AuditOutcome::Failed));
            assert!(matches!(&*record.error_kind, "unreachable" | "circuit_open"), "{record:?}");
        }
        assert_eq!(SessionTotals::stored(&self.bridge).await, import.totals);

        // An hour later the error rate has recovered, but the continued sessions are not stored yet.
        self.is_at(12);
        let reason = "sync lag degraded: a changed transcript has been waiting to be stored for 1 h 0 min";
        self.assert_health(HealthState::Degraded, Some(reason)).await;
    }
}
