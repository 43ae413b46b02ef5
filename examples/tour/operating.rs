//! Steps for operators: health, outages, recovery and the audit.

use std::error::Error;
use std::sync::Arc;

use bridge::embedded::Shutdown;
use bridge::{
    AnalysisSource, AuditFilter, EnhancedTokenDatabaseBridge, Escaped, HealthState, HealthStatus, Probe,
    SyncOptions, SyncStatus,
};

use crate::environment::{self, TourEnvironment};
use crate::promises::Promises;
use crate::{print, syncing};

/// Maximum number of audit records listed.
const RECORDS: u32 = 6;

fn show_health(status: &HealthStatus) {
    for found in &status.probes {
        let (probe, state) = (found.probe.to_string(), found.state.to_string());
        let detail: String = found.detail.chars().take(60).collect();
        println!(
            "      {probe:<14}{state:<11}{:>8}  {}",
            print::time(found.duration),
            Escaped::text(&detail)
        );
    }
}

pub(crate) async fn lose_the_database(
    environment: TourEnvironment,
    bridge: EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<TourEnvironment, Box<dyn Error>> {
    promises.step("Health", "health_check");
    let status = bridge.health_check().await;
    show_health(&status);
    // Degraded is acceptable: the machine's disk may be nearly full.
    let works = status.overall != HealthState::Unhealthy;
    promises.check("the service is not unhealthy", works, status.reasons().join("; "));
    let tokens = bridge.token_store().totals(&Default::default()).await?.counts.total();
    bridge.shutdown().await?;

    promises.step("The database goes down", "get_analysis_with_fallback, health_check");
    let TourEnvironment { engine, folder } = environment;
    let closed = tokio::task::spawn_blocking(move || engine.close()).await?;
    promises.check("the engine has stopped", closed == Shutdown::Stopped, format!("{closed:?}"));
    let answer = bridge.get_analysis_with_fallback(&syncing::session()).await?;
    for reason in &answer.fallback_reasons {
        println!("      {}", Escaped::text(&reason.chars().take(90).collect::<String>()));
    }
    let source = answer.source;
    promises.check(
        "queries fall back to the transcripts",
        source == AnalysisSource::Live,
        format!("{source:?}"),
    );
    promises.check_equal("with exact totals", answer.analysis.calculated_total_tokens, 366);
    let status = bridge.health_check().await;
    let state = status.probe(Probe::Connectivity).map(|found| found.state);
    promises.check(
        "the health check reports the outage",
        state == Some(HealthState::Unhealthy),
        format!("{state:?}"),
    );
    promises.check("audit records are buffered", bridge.stats().audit.buffered > 0, "none are");

    promises.step("The database comes back", "Engine::start_with");
    let engine = environment::start(&folder).await?;
    let environment = TourEnvironment { engine, folder };
    let bridge = environment.bridge()?;
    bridge.token_store().migrate().await?;
    let stored = bridge.token_store().totals(&Default::default()).await?.counts.total();
    promises.check_equal("nothing is lost", stored, tokens);
    let synchronized = bridge.sync_all_sessions(SyncOptions::default()).await?;
    let changed = synchronized.iter().filter(|result| result.status == SyncStatus::Changed).count();
    promises.check_equal("a synchronization has nothing to add", changed, 0);
    bridge.shutdown().await?;
    Ok(environment)
}

pub(crate) async fn close(
    environment: TourEnvironment,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("Audit and shutdown", "audit_log, shutdown, Engine::close");
    let bridge = environment.bridge()?;
    let audit = bridge.audit_log(&AuditFilter::default().with_limit(1000)).await?;
    for record in audit.iter().take(RECORDS as usize) {
        let (operation, outcome) = (record.operation.as_str(), record.outcome.to_string());
        println!(
            "      {operation:<32}{outcome:<12}{:>9}{:>20} tokens",
            print::time(record.duration),
            print::number(record.tokens)
        );
    }
    println!("      … {} records in total", print::number(audit.len() as u64));
    let has = |name: &str| audit.iter().any(|record| record.operation.as_str() == name);
    let names =
        ["backfill_historical_data", "create_checkpoint", "rollback_bridge_integration", "export_store"];
    let missing: Vec<_> = names.into_iter().filter(|name| !has(name)).collect();
    promises.check("administrative operations are audited", missing.is_empty(), missing.join(", "));
    bridge.shutdown().await?;
    promises.check_equal("the audit is flushed", bridge.stats().audit.buffered, 0);
    drop(bridge);
    let TourEnvironment { engine, folder } = environment;
    let closed = tokio::task::spawn_blocking(move || engine.close()).await?;
    promises.check("the engine has stopped again", closed == Shutdown::Stopped, format!("{closed:?}"));
    Arc::try_unwrap(folder).map_err(|_| "the tour's folder is still in use")?.close()?;
    Ok(())
}
