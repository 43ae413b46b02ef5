//! Measures synchronization while transcripts grow: one and ten at once beside a store, the time until a written response
//! can be queried, and an idle minute with many files.
//!
//! `cargo bench -p bridge-benches --bench live`. Starts its own embedded engine. 100,000 files (or `BRIDGE_BENCH_FILES`)
//! with one response each for the idle minute. `BRIDGE_LIVE_PART` names one of the parts: `syncs`, `latency`, `idle`.
#![allow(clippy::print_stdout, reason = "a command-line program")]

mod idle;
mod latency;
mod syncs;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, TokenStore};
use bridge::{AuditOptions, BridgeBuilder, EnhancedTokenDatabaseBridge};
use bridge_embedded::{Engine, EngineOptions};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let engine = Engine::start(&EngineOptions::ephemeral())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let part = std::env::var("BRIDGE_LIVE_PART").unwrap_or_default();
        let is_wanted = |name: &str| part.is_empty() || part == name;
        if is_wanted("syncs") {
            syncs::measure(&engine).await?;
        }
        if is_wanted("latency") {
            latency::measure(&engine).await?;
        }
        if is_wanted("idle") {
            idle::measure(&engine).await?;
        }
        Ok(())
    })
}

/// Returns a builder on a new database. As in a configured bridge, the audit has a spool.
pub(crate) async fn builder(engine: &Engine, database: &str) -> Outcome<BridgeBuilder> {
    let endpoint = engine.endpoint();
    let options = ClickHouseOptions::from_url(&endpoint.url)?
        .with_database(database)
        .with_user(&endpoint.writer.user, &endpoint.writer.password);
    let store = Arc::new(ClickHouseStore::new(options)?);
    store.migrate().await?;
    let spool = tempfile::tempdir()?;
    let audit = AuditOptions::default().with_spool_dir(spool.path());
    Ok(EnhancedTokenDatabaseBridge::builder(store).audit(audit).keep(spool))
}

pub(crate) fn line(session: &str, number: u64) -> String {
    format!(
        r#"{{"type":"assistant","sessionId":"{session}","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_{session}{number:024}","stop_reason":"end_turn","usage":{{"output_tokens":32}}}}}}"#
    ) + "\n"
}

/// The time that this share of the measurements does not exceed.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the slice")]
    let place = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len());
    times[place - 1]
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
