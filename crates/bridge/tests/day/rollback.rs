//! Thirteen to sixteen: the rollback, the time without the store, and the ingestion that makes all right.

use bridge::{
    AnalysisId, BackfillOptions, BridgeError, CheckpointName, EnhancedTokenAnalysis, Epoch, HealthState,
    Probe, ResponseKey, ResponseUsage, RollbackMode, SessionId, StoreMode, StoreOptions, StoreState,
    SyncOptions,
};

use crate::day::checks::{Stored, found};
use crate::day::figures::Figures;
use crate::day::import::Import;
use crate::day::morning::assert_backfilled;
use crate::day::{Day, at, before_the_import};

/// Where the rollback keeps what it replaces.
pub(crate) fn before_rollback() -> CheckpointName {
    CheckpointName::before_rollback(Epoch(1))
}

fn rolled_back() -> StoreState {
    StoreState { epoch: Epoch(1), mode: StoreMode::Direct { checkpoint: before_the_import() } }
}

impl Day {
    /// At one the dry run says to the token what would change, and changes nothing.
    pub(crate) async fn asks_what_a_rollback_would_change(&self, morning: &Stored, import: &Import) {
        self.is_at(13);
        let rows = self.rows().await;
        let name = before_the_import();
        let plan = self.bridge.rollback_bridge_integration(&name, RollbackMode::DryRun).await.unwrap();
        assert_eq!((plan.before, plan.after), (Some(import.figures.state()), Some(morning.figures.state())));
        let (number, differences) = import.figures.differences_to(&morning.figures);
        assert_eq!((plan.differing_sessions, plan.differences), (Some(number), differences));
        assert_eq!((plan.replaced_state, plan.state), (None, StoreState::first()));
        assert_eq!(self.rows().await, rows);
        assert_eq!(self.checkpoints().await, [before_the_import()]);
    }

    /// At two: the store is what it was at nine, row by row.
    pub(crate) async fn rolls_back(&self, morning: &Stored, import: &Import) {
        self.is_at(14);
        let name = before_the_import();
        let done = self.bridge.rollback_bridge_integration(&name, RollbackMode::Perform).await.unwrap();
        assert_eq!((done.before, done.after), (Some(import.figures.state()), Some(morning.figures.state())));
        assert_eq!((done.replaced_state, done.state), (Some(before_rollback()), rolled_back()));
        let stored = self.stored().await;
        assert_eq!(stored.figures, morning.figures);
        assert_eq!(stored.rows, morning.rows);
        assert_eq!(self.checkpoints().await, [before_the_import(), before_rollback()]);
    }

    /// Until it is resumed nothing is stored, whoever tries; the health says why, and sessions, which go on, are
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
        let (state, why) = found(&status, Probe::Mode);
        assert_eq!((status.overall, state), (HealthState::Degraded, HealthState::Degraded));
        assert!(why.starts_with("rolled back to checkpoint before_the_import"), "{why}");
        // To be refused is no failure of the store.
        assert_eq!(found(&status, Probe::ErrorRate).0, HealthState::Healthy);
    }

    /// At three.
    pub(crate) async fn resumes(&self, morning: &Stored) {
        self.is_at(15);
        let state = self.bridge.checkpoints().resume().await.unwrap();
        assert_eq!(state, StoreState { epoch: Epoch(1), mode: StoreMode::Stored });
        assert_eq!(self.bridge.token_store().state().await.unwrap().mode, StoreMode::Stored);
        assert_eq!(found(&self.bridge.health_check().await, Probe::Mode).0, HealthState::Healthy);
        assert_eq!(self.rows().await, morning.rows);
    }

    /// At four the bad transcripts are removed, and all others are stored as far as they have come.
    pub(crate) async fn cleans_up_and_ingests_again(&self, morning: &Stored) {
        self.is_at(16);
        self.transcripts.remove_import();
        let result = self.bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
        let reference = self.transcripts.reference();
        assert_backfilled(&result, &reference);
        assert_eq!(result.new_responses, reference.responses - morning.figures.state().responses);
        let stored = Figures::stored(&self.bridge).await;
        assert_eq!(stored, Figures::of(&reference));
        assert_eq!(stored, self.transcripts.truth());
    }
}

/// One that would be taken at any other time.
fn an_analysis() -> EnhancedTokenAnalysis {
    let session = SessionId::new("while-rolled-back").unwrap();
    let mut response = ResponseUsage::new(ResponseKey(1), session.clone(), at(14));
    response.counts.output = 42;
    let id = AnalysisId::new("while-rolled-back").unwrap();
    EnhancedTokenAnalysis::from_responses(id, session, at(14), vec![response]).unwrap()
}
