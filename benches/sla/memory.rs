//! Measures the memory of a program that embeds the bridge: its peak during an operation, and under normal load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

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

/// Returns the process's current resident memory, including the mapped pages of its executable.
fn resident_mib() -> f64 {
    status_mib("VmRSS:")
}

/// Returns a field of the process's status that is in kB.
fn status_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = value.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// Samples the memory that the process has allocated: heap and stacks, without the mapped pages of its executable.
///
/// Those pages belong to the system's page cache, and their number is the size of the program that embeds the bridge.
/// The kernel keeps a peak only of both together, so this thread samples.
pub(crate) struct AllocatedPeak {
    is_done: Arc<AtomicBool>,
    sampler: JoinHandle<f64>,
}

impl AllocatedPeak {
    pub(crate) fn start() -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let sampler = std::thread::spawn(move || {
            let mut peak_mib = 0.0_f64;
            loop {
                // Read before the sample: one more is taken after the work is done.
                let is_last = done.load(Ordering::Acquire);
                peak_mib = peak_mib.max(status_mib("RssAnon:"));
                if is_last {
                    return peak_mib;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { is_done, sampler }
    }

    /// Stops sampling and returns the peak in MiB.
    pub(crate) fn stop(self) -> f64 {
        self.is_done.store(true, Ordering::Release);
        self.sampler.join().expect("the sampler does not panic")
    }
}
