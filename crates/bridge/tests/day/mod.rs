//! An operator's day, from the configuration to the evening's review of the audit, on a real engine.
//!
//! A bad import doubles the counts, the database fails during the investigation, and a rollback and a new ingestion
//! repair everything. All totals are compared with those of the reference analyzer, which reads the same transcripts
//! and shares no code with the bridge.

mod checks;
mod import;
mod morning;
mod outage;
mod rollback;
mod server;
mod session_totals;
mod story;
mod transcripts;

use std::sync::Arc;
use std::time::Duration;

use bridge::{CheckpointName, EnhancedTokenDatabaseBridge, ManualClock, TimeRange, Timestamp};

use server::Server;
use transcripts::Transcripts;

/// The maximum time that a step waits for anything.
const DEADLINE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_survives_bad_data_and_an_outage_in_one_day() {
    let day = Day::configured().await;
    let morning = day.backfills_the_history().await;
    day.creates_a_checkpoint(&morning).await;

    let import = day.imports_bad_data(&morning).await;
    day.sees_degraded_health(&import).await;
    day.traces_it_in_the_audit(&import).await;
    day.verifies_that_nothing_is_damaged(&import).await;

    let failures = day.loses_the_database().await;
    day.sees_the_outage_and_gets_live_analyses().await;
    day.recovers_with_the_database(failures, &import).await;

    day.previews_the_rollback(&morning, &import).await;
    day.rolls_back(&morning, &import).await;
    day.analyses_directly(&morning).await;
    day.resumes(&morning).await;

    day.cleans_up_and_ingests_again(&morning).await;
    day.is_healthy_in_the_evening().await;
    day.reviews_the_audit(failures).await;
    day.ends().await;
}

/// The operator's environment.
struct Day {
    clock: Arc<ManualClock>,
    server: Server,
    transcripts: Transcripts,
    bridge: EnhancedTokenDatabaseBridge,
}

impl Day {
    /// Sets the clock to this hour.
    fn is_at(&self, hour: i64) {
        self.clock.set(at(hour));
    }
}

/// This hour of 2026-03-02, UTC.
fn at(hour: i64) -> Timestamp {
    const MIDNIGHT: i64 = 1_772_409_600_000;
    Timestamp::from_millis(MIDNIGHT + hour * 3_600_000).unwrap()
}

/// The hour that starts then.
fn within(hour: i64) -> TimeRange {
    TimeRange { start: Some(at(hour)), end: Some(at(hour + 1)) }
}

/// The day's checkpoint.
fn before_the_import() -> CheckpointName {
    CheckpointName::new("before_the_import").unwrap()
}
