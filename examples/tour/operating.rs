//! What those see who run it.

use std::error::Error;
use std::sync::Arc;

use bridge::embedded::Shutdown;
use bridge::{
    AnalysisSource, AuditFilter, EnhancedTokenDatabaseBridge, Escaped, HealthState, HealthStatus, Probe,
    SyncOptions, SyncStatus,
};

use crate::place::{self, Place};
use crate::promises::Promises;
use crate::{show, syncing};

/// So many records of the audit are shown.
const RECORDS: u32 = 6;

fn show_health(status: &HealthStatus) {
    for found in &status.probes {
        let (probe, state) = (found.probe.to_string(), found.state.to_string());
        let detail: String = found.detail.chars().take(60).collect();
        println!("      {probe:<14}{state:<11}{:>8}  {}", show::time(found.duration), Escaped::text(&detail));
    }
}

pub(crate) async fn lose_the_database(
    place: Place,
    bridge: EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<Place, Box<dyn Error>> {
    promises.step("How it is", "health_check");
    let status = bridge.health_check().await;
    show_health(&status);
    // A machine whose disk is nearly full is degraded, and may be.
    let works = status.overall != HealthState::Unhealthy;
    promises.hold("nothing keeps the service from working", works, status.reasons().join("; "));
    let tokens = bridge.token_store().totals(&Default::default()).await?.counts.total();
    bridge.shutdown().await?;

    promises.step("The database is gone", "get_analysis_with_fallback, health_check");
    let Place { engine, folder } = place;
    let closed = tokio::task::spawn_blocking(move || engine.close()).await?;
    promises.hold("the engine was closed", closed == Shutdown::Stopped, format!("{closed:?}"));
    let answer = bridge.get_analysis_with_fallback(&syncing::session()).await?;
    for reason in &answer.fallback_reasons {
        println!("      {}", Escaped::text(&reason.chars().take(90).collect::<String>()));
    }
    let source = answer.source;
    promises.hold(
        "sessions are answered from the transcripts",
        source == AnalysisSource::Live,
        format!("{source:?}"),
    );
    promises.equal("exactly", answer.analysis.calculated_total_tokens, 366);
    let status = bridge.health_check().await;
    let state = status.probe(Probe::Connectivity).map(|found| found.state);
    promises.hold("the health says so", state == Some(HealthState::Unhealthy), format!("{state:?}"));
    promises.hold("what happened waits for the audit", bridge.stats().audit.buffered > 0, "nothing does");

    promises.step("The database is back", "Engine::start_with");
    let engine = place::start(&folder).await?;
    let place = Place { engine, folder };
    let bridge = place.bridge()?;
    bridge.token_store().migrate().await?;
    let stored = bridge.token_store().totals(&Default::default()).await?.counts.total();
    promises.equal("it holds what it held", stored, tokens);
    let synchronized = bridge.sync_all_sessions(SyncOptions::default()).await?;
    let changed = synchronized.iter().filter(|result| result.status == SyncStatus::Changed).count();
    promises.equal("a synchronization finds nothing to add", changed, 0);
    bridge.shutdown().await?;
    Ok(place)
}

pub(crate) async fn close(place: Place, promises: &mut Promises) -> Result<(), Box<dyn Error>> {
    promises.step("What was done, and the end", "audit_log, shutdown, Engine::close");
    let bridge = place.bridge()?;
    let audit = bridge.audit_log(&AuditFilter::default().with_limit(1000)).await?;
    for record in audit.iter().take(RECORDS as usize) {
        let (operation, outcome) = (record.operation.as_str(), record.outcome.to_string());
        println!(
            "      {operation:<32}{outcome:<12}{:>9}{:>20} tokens",
            show::time(record.duration),
            show::number(record.tokens)
        );
    }
    println!("      … {} records in all", show::number(audit.len() as u64));
    let has = |name: &str| audit.iter().any(|record| record.operation.as_str() == name);
    let names =
        ["backfill_historical_data", "create_checkpoint", "rollback_bridge_integration", "export_store"];
    let missing: Vec<_> = names.into_iter().filter(|name| !has(name)).collect();
    promises.hold("what an administrator did is on record", missing.is_empty(), missing.join(", "));
    bridge.shutdown().await?;
    promises.equal("nothing is left unwritten", bridge.stats().audit.buffered, 0);
    drop(bridge);
    let Place { engine, folder } = place;
    let closed = tokio::task::spawn_blocking(move || engine.close()).await?;
    promises.hold("the engine is gone", closed == Shutdown::Stopped, format!("{closed:?}"));
    Arc::try_unwrap(folder).map_err(|_| "the tour's folder is still in use")?.close()?;
    Ok(())
}
