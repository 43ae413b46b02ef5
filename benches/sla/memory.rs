//! Measures the memory of a program that embeds the bridge, under normal load.

use std::path::Path;

use bridge::TimeRange;
use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, IntegrityOptions, StoreOptions, SyncOptions};

use crate::Outcome;
use crate::job::{Job, Measurement};
use crate::operations::{analysis, builder};

/// Stages after which the resident memory is measured.
const STAGES: [&str; 4] = ["backfill", "second backfill", "verification", "day's work"];

/// Backfills twice, verifies, and then repeatedly stores, synchronizes and queries the dashboard.
pub(crate) async fn normal_load(job: &Job) -> Outcome<Measurement> {
    let before_mib = resident_mib();
    let bridge = builder(job).await?.sources([&job.history]).build();
    let (mut resident, mut stages) = (0.0_f64, Vec::new());
    for stage in STAGES {
        let peak = match stage {
            "verification" => verify(&bridge).await?,
            "day's work" => work(job, &bridge).await?,
            _ => backfill(&bridge).await?,
        };
        resident = resident.max(peak);
        stages.push(format!("{stage} {peak:.1} MiB"));
    }
    let detail = stages.join(", ");
    Ok(Measurement { before_mib, resident_mib: resident, detail, ..Measurement::default() })
}

async fn backfill(bridge: &EnhancedTokenDatabaseBridge) -> Outcome<f64> {
    let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    if !result.success {
        return Err(format!("{:?}", result.errors).into());
    }
    drop(result);
    Ok(resident_mib())
}

async fn verify(bridge: &EnhancedTokenDatabaseBridge) -> Outcome<f64> {
    let result = bridge.verify_data_integrity(IntegrityOptions::default()).await?;
    if !result.passed {
        return Err(format!("{result:?}").into());
    }
    drop(result);
    Ok(resident_mib())
}

/// Returns the maximum resident memory during a day's work.
async fn work(job: &Job, bridge: &EnhancedTokenDatabaseBridge) -> Outcome<f64> {
    let mut peak = 0.0_f64;
    for round in 0..job.rounds(200) {
        let analysis = analysis(round as u128, 10);
        let _ = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await?;
        if round % 20 == 0 {
            let _ = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await?;
            let _ = bridge.dashboard().get_dashboard_token_metrics(TimeRange::ALL).await?;
        }
        peak = peak.max(resident_mib());
    }
    Ok(peak)
}

/// Returns the process's current resident memory.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
