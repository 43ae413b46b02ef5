//! An operator's day, from the configuration to the evening's look at the audit, on a real engine.
//!
//! A bad import doubles what was counted, the database goes away while it is looked into, and a rollback and an
//! ingestion make everything right again. Each figure is compared with that of the reference analyzer, which reads the
//! same transcripts and shares no code with the bridge.

mod checks;
mod figures;
mod import;
mod morning;
mod outage;
mod rollback;
mod server;
mod story;
mod transcripts;

use std::sync::Arc;
use std::time::Duration;

use bridge::{CheckpointName, EnhancedTokenDatabaseBridge, ManualClock, TimeRange, Timestamp};

use server::Server;
use transcripts::Transcripts;

/// Nothing that a step waits for takes longer.
const DEADLINE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_day() {
    let day = Day::configured().await;
    let morning = day.backfills_the_history().await;
    day.keeps_a_checkpoint(&morning).await;

    let import = day.imports_what_is_wrong(&morning).await;
    day.hears_of_it_by_the_health(&import).await;
    day.finds_it_in_the_audit(&import).await;
    day.proves_that_nothing_is_damaged(&import).await;

    let failures = day.loses_the_database().await;
    day.is_told_of_it_and_answered_all_the_same().await;
    day.has_the_database_back(failures, &import).await;

    day.asks_what_a_rollback_would_change(&morning, &import).await;
    day.rolls_back(&morning, &import).await;
    day.analyses_directly(&morning).await;
    day.resumes(&morning).await;

    day.cleans_up_and_ingests_again(&morning).await;
    day.is_well_in_the_evening().await;
    day.reads_what_happened(failures).await;
    day.ends().await;
}

/// What the operator has before him.
struct Day {
    clock: Arc<ManualClock>,
    server: Server,
    transcripts: Transcripts,
    bridge: EnhancedTokenDatabaseBridge,
}

impl Day {
    /// It is so late; what follows happens at this time.
    fn is_at(&self, hour: i64) {
        self.clock.set(at(hour));
    }
}

/// This hour of 2026-03-02, UTC.
fn at(hour: i64) -> Timestamp {
    const MIDNIGHT: i64 = 1_772_409_600_000;
    Timestamp::from_millis(MIDNIGHT + hour * 3_600_000).unwrap()
}

/// The hour that begins then.
fn within(hour: i64) -> TimeRange {
    TimeRange { start: Some(at(hour)), end: Some(at(hour + 1)) }
}

/// The checkpoint of the day.
fn before_the_import() -> CheckpointName {
    CheckpointName::new("before_the_import").unwrap()
}
