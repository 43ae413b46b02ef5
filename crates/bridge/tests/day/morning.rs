//! Seven to nine o'clock: configuration, migration, backfill, checkpoint.

use std::sync::Arc;
use std::time::Duration;

use bridge::{
    AuditOptions, AuditedOperations, BackfillOptions, BackfillResult, CheckpointName, HealthState,
    ManualClock, ReceiptLine, StoreMode,
};
use bridge_testkit::reference::ReferenceTotals;

use crate::day::checks::Stored;
use crate::day::server::Server;
use crate::day::session_totals::SessionTotals;
use crate::day::transcripts::Transcripts;
use crate::day::{Day, at, before_the_import};

impl Day {
    /// At seven, `build` creates the tables, and the service starts. Unlike the bridge of that call, the service uses
    /// the test's clock and writes audit records quickly.
    pub(crate) async fn configured() -> Self {
        let (server, transcripts) = (Server::started().await, Transcripts::of_the_morning());
        let config = server.configuration(transcripts.folder());
        let deployed = config.build().await.unwrap();
        assert_eq!(deployed.token_store().state().await.unwrap().mode, StoreMode::Stored);
        assert_eq!(SessionTotals::stored(&deployed).await, SessionTotals::default());
        deployed.shutdown().await.unwrap();

        let clock = Arc::new(ManualClock::new(at(7)));
        let audit = AuditOptions::default()
            .with_operations(AuditedOperations::Changes)
            .with_write_within(Duration::from_millis(200));
        let bridge = config.builder().await.unwrap().clock(clock.clone()).audit(audit).build();
        bridge.token_store().migrate().await.unwrap();
        Self { clock, server, transcripts, bridge }
    }

    /// At eight.
    pub(crate) async fn backfills_the_history(&self) -> Stored {
        self.is_at(8);
        let result = self.bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
        let reference = self.transcripts.reference();
        assert_backfilled(&result, &reference);
        assert_eq!(result.new_responses, reference.responses);
        let stored = self.stored().await;
        assert_eq!(stored.totals, SessionTotals::of(&reference));
        self.assert_health(HealthState::Healthy, None).await;
        stored
    }

    /// At nine.
    pub(crate) async fn creates_a_checkpoint(&self, morning: &Stored) {
        self.is_at(9);
        let checkpoint = self.bridge.checkpoints().create(&before_the_import()).await.unwrap();
        assert_eq!((checkpoint.taken_at, checkpoint.totals), (at(9), morning.totals.state()));
        assert_eq!(self.checkpoints().await, [before_the_import()]);
    }

    pub(crate) async fn checkpoints(&self) -> Vec<CheckpointName> {
        let kept = self.bridge.checkpoints().list().await.unwrap();
        kept.into_iter().map(|checkpoint| checkpoint.name).collect()
    }
}

/// Asserts that the result and its receipt match the reference.
pub(crate) fn assert_backfilled(result: &BackfillResult, reference: &ReferenceTotals) {
    assert!(result.success, "{:?}", result.errors);
    assert_eq!(
        (result.total_files_processed, result.total_tokens_stored),
        (reference.files, reference.total)
    );
    let expected = SessionTotals::of(reference).state();
    assert_eq!((result.total_sessions, result.total_responses), (expected.sessions, expected.responses));
    let receipt = &result.analysis.receipt;
    assert!(receipt.adds_up(), "{receipt:?}");
    let line = |count, tokens| ReceiptLine { count, tokens };
    assert_eq!(receipt.assistant_lines, line(reference.usage_lines, reference.naive));
    assert_eq!(receipt.nested, line(reference.nested_snapshots, reference.nested_naive));
    assert_eq!(receipt.from_iterations.tokens, reference.from_iterations);
    assert_eq!(receipt.advisor.tokens, reference.advisor_naive);
    assert_eq!(receipt.repeats_within_files.tokens, reference.repeats_within_files);
    assert_eq!(receipt.copies_across_files.tokens, reference.copies_across_files);
    assert_eq!(receipt.total, line(reference.responses, reference.total));
    let damage = receipt.damage;
    assert_eq!((damage.bad_lines, damage.pending_lines), (reference.bad_lines, reference.pending));
    assert_eq!((damage.bad_usage, damage.oversize_lines), (reference.bad_usage, reference.oversize));
}
