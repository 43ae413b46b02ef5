//! Thirteen to sixteen o'clock: the rollback, direct mode, and the repairing ingestion.

use bridge::{
    AnalysisId, BackfillOptions, BridgeError, CheckpointName, EnhancedTokenAnalysis, Epoch, HealthState,
    Probe, ResponseKey, ResponseUsage, RollbackMode, SessionId, StoreMode, StoreOptions, StoreState,
    SyncOptions,
};

use crate::day::checks::{Stored, probe_result};
use crate::day::import::Import;
use crate::day::morning::assert_backfilled;
use crate::day::session_totals::SessionTotals;
use crate::day::{Day, at, before_the_import};

/// The checkpoint of the state that the rollback replaces.
pub(crate) fn before_rollback() -> CheckpointName {
    CheckpointName::before_rollback(Epoch(1))
}

fn rolled_back() -> StoreState {
    StoreState { epoch: Epoch(1), mode: StoreMode::Direct { checkpoint: before_the_import() } }
}

impl Day {
    /// At one, the dry run reports the exact changes and makes none.
    pub(crate) async fn previews_the_rollback(&self, morning: &Stored, import: &Import) {
        self.is_at(13);
        let rows = self.rows().await;
        let name = before_the_import();
        let plan = self.bridge.rollback_bridge_integration(&name, RollbackMode::DryRun).await.unwrap();
        assert_eq!((plan.before, plan.after), (Some(import.totals.state()), Some(morning.totals.state())));
        let (number, differences) = import.totals.differences_to(&morning.totals);
        assert_eq!((plan.differing_sessions, plan.differences), (Some(number), differences));
        assert_eq!((plan.replaced_state, plan.state), (None, StoreState::first()));
        assert_eq!(self.rows().await, rows);
        assert_eq!(self.checkpoints().await, [before_the_import()]);
    }

    /// At two, the store equals that of nine o'clock, row by row.
    pub(crate) async fn rolls_back(&self, morning: &Stored, import: &Import) {
        self.is_at(14);
        let name = before_the_import();
        let done = self.bridge.rollback_bridge_integration(&name, RollbackMode::Perform).await.unwrap();
        assert_eq!((done.before, done.after), (Some(import.totals.state()), Some(morning.totals.state())));
        assert_eq!((done.replaced_state, done.state), (Some(before_rollback()), rolled_back()));
        let stored = self.stored().await;
        assert_eq!(stored.totals, morning.totals);
        assert_eq!(stored.rows, morning.rows);
        assert_eq!(self.checkpoints().await, [before_the_import(), before_rollback()]);
    }

    /// Until the resume nothing is stored, and the health check reports the reason. The sessions continue and are
    /// analyzed live.
    pub(crate) async fn analyses_directly(&self, morning: &Stored) {
        self.transcripts.grow(3, at(14));
        assert_eq!(self.bridge.token_store().state().await.unwrap().mode, rolled_back().mode);
        let analysis = an_analysis();
        let refusals = [
            self.bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap_err(),
            self.bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(4)).await.unwrap_err(),
            self.bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap_err(),
        ];
        let is_refused = |error: &BridgeError| error.kind() == "rolled_back" && !error.is_retryable();
        assert!(refusals.iter().all(is_refused), "{refusals:?}");
        assert_eq!(self.rows().await, morning.rows);
        self.assert_live_analyses().await;

        let status = self.bridge.health_check().await;
        let (state, why) = probe_result(&status, Probe::Mode);
        assert_eq!((status.overall, state), (HealthState::Degraded, HealthState::Degraded));
        assert!(why.starts_with("rolled back to checkpoint before_the_import"), "{why}");
        // Refusals do not count as store failures.
        assert_eq!(probe_result(&status, Probe::ErrorRate).0, HealthState::Healthy);
    }

    /// At three.
    pub(crate) async fn resumes(&self, morning: &Stored) {
        self.is_at(15);
        let state = self.bridge.checkpoints().resume().await.unwrap();
        assert_eq!(state, StoreState { epoch: Epoch(1), mode: StoreMode::Stored });
        assert_eq!(self.bridge.token_store().state().await.unwrap().mode, StoreMode::Stored);
        assert_eq!(probe_result(&self.bridge.health_check().await, Probe::Mode).0, HealthState::Healthy);
        assert_eq!(self.rows().await, morning.rows);
    }

    /// At four, the bad transcripts are removed, and the others are stored up to their current end.
    pub(crate) async fn cleans_up_and_ingests_again(&self, morning: &Stored) {
        self.is_at(16);
        self.transcripts.remove_import();
        let result = self.bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
        let reference = self.transcripts.reference();
        assert_backfilled(&result, &reference);
        assert_eq!(result.new_responses, reference.responses - morning.totals.state().responses);
        let stored = SessionTotals::stored(&self.bridge).await;
        assert_eq!(stored, SessionTotals::of(&reference));
        assert_eq!(stored, self.transcripts.truth());
    }
}

/// A valid analysis, accepted at any other time.
fn an_analysis() -> EnhancedTokenAnalysis {
    let session = SessionId::new("while-rolled-back").unwrap();
    let mut response = ResponseUsage::new(ResponseKey(1), session.clone(), at(14));
    response.counts.output = 42;
    let id = AnalysisId::new("while-rolled-back").unwrap();
    EnhancedTokenAnalysis::from_responses(id, session, at(14), vec![response]).unwrap()
}
