//! Five o'clock: everything is healthy, and the audit lists the day's operations.

use bridge::{AuditFilter, AuditOutcome, HealthState, IntegrityOptions, TimeRange};

use crate::day::checks::hour_of;
use crate::day::rollback::before_rollback;
use crate::day::{Day, at, before_the_import};

/// The hour, operation, outcome and number of audit records.
type AuditEntry = (i64, String, AuditOutcome, usize);

impl Day {
    /// At five, store and transcripts agree, every probe is healthy, and the checkpoints are dropped.
    pub(crate) async fn is_healthy_in_the_evening(&self) {
        self.is_at(17);
        let exact = IntegrityOptions::default().with_tolerance(0.0);
        let result = self.bridge.verify_data_integrity(exact).await.unwrap();
        let expected = self.transcripts.truth().state();
        assert!(result.passed && result.tallies.is_empty(), "{:?}", result.differences);
        assert_eq!((result.compared, result.equal), (expected.responses, expected.responses));
        assert_eq!((result.stored_tokens, result.live_tokens), (expected.tokens, expected.tokens));
        self.assert_health(HealthState::Healthy, None).await;

        let rows = self.rows().await;
        for name in [before_the_import(), before_rollback()] {
            self.bridge.checkpoints().remove(&name).await.unwrap();
        }
        assert_eq!(self.checkpoints().await, []);
        assert_eq!(self.rows().await, rows);
    }

    /// The audit lists every operation that changed something or failed, in order.
    pub(crate) async fn reviews_the_audit(&self, failed_syncs: usize) {
        use AuditOutcome::{Failed, Succeeded};
        let wanted = [
            (8, "backfill_historical_data", Succeeded, 1),
            (9, "create_checkpoint", Succeeded, 1),
            (10, "sync_all_sessions", Succeeded, 1),
            (10, "store_enhanced_analysis", Failed, 14),
            (10, "store_enhanced_analysis", Succeeded, 26),
            (10, "verify_data_integrity", Succeeded, 1),
            (11, "sync_all_sessions", Failed, failed_syncs),
            (11, "backfill_historical_data", Failed, 1),
            // The dry run.
            (13, "rollback_bridge_integration", Succeeded, 1),
            (14, "rollback_bridge_integration", Succeeded, 1),
            (14, "store_enhanced_analysis", Failed, 1),
            (14, "sync_all_sessions", Failed, 1),
            (14, "backfill_historical_data", Failed, 1),
            (15, "resume", Succeeded, 1),
            (16, "backfill_historical_data", Succeeded, 1),
            (17, "verify_data_integrity", Succeeded, 1),
            (17, "drop_checkpoint", Succeeded, 2),
        ];
        let wanted = wanted.map(|(hour, name, outcome, times)| (hour, name.to_owned(), outcome, times));
        assert_eq!(self.story().await, wanted);
        let rollbacks = AuditFilter::default().with_time(crate::day::within(14)).with_outcome(Succeeded);
        let rollback = &self.audit(rollbacks).await[0];
        assert_eq!((rollback.time, rollback.counts["dry_run"], rollback.counts["epoch"]), (at(14), 0, 1));
        assert_eq!(self.bridge.stats().audit.dropped, 0);
    }

    /// The day's audit. Equal operations of an hour are merged into their first entry.
    async fn story(&self) -> Vec<AuditEntry> {
        let mut story: Vec<AuditEntry> = Vec::new();
        let day = AuditFilter::default().with_time(TimeRange { start: Some(at(0)), end: Some(at(24)) });
        for record in self.audit(day.with_limit(1000)).await {
            let (hour, name) = (hour_of(record.time), record.operation.as_str());
            let is_same =
                |entry: &&mut AuditEntry| (entry.0, &*entry.1, entry.2) == (hour, name, record.outcome);
            match story.iter_mut().find(is_same) {
                Some(entry) => entry.3 += 1,
                None => story.push((hour, name.to_owned(), record.outcome, 1)),
            }
        }
        story
    }

    /// Everything shuts down cleanly.
    pub(crate) async fn ends(self) {
        self.bridge.shutdown().await.unwrap();
        drop(self.bridge);
        self.server.ends();
    }
}
