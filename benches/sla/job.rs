//! Measurements in separate processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bridge_benches::is_measurement;
use bridge_embedded::{Credentials, Endpoint};
use serde::{Deserialize, Serialize};

use crate::{Outcome, baseline, dashboard, load, memory, operations};

/// First argument of the measuring child process.
pub(crate) const CHILD_ARG: &str = "--measure";

/// A measurement to run, as passed to the child process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) endpoint: Endpoint,
    pub(crate) name: String,
    /// Number of concurrent operations.
    pub(crate) concurrency: usize,
    /// `true` in test mode, which only shows that the measurement works.
    pub(crate) small: bool,
    /// Transcripts to read.
    pub(crate) history: PathBuf,
}

/// The result of a measurement.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// Duration of each operation.
    pub(crate) times: Vec<Duration>,
    pub(crate) concurrency: usize,
    /// Peak of the memory that the process has allocated.
    pub(crate) allocated_mib: f64,
    /// Peak memory of the process, including the mapped pages of its executable.
    pub(crate) process_mib: f64,
    /// Resident memory before the bridge was built; only set by the memory measurement.
    pub(crate) before_mib: f64,
    /// Maximum resident memory under normal load; only set by the memory measurement.
    pub(crate) resident_mib: f64,
    /// Number of operations; only set by the load measurement.
    pub(crate) operations: u64,
    /// Number of failed operations; only set by the load measurement.
    pub(crate) failures: u64,
    /// Description of the workload for the report.
    pub(crate) detail: String,
}

impl Job {
    pub(crate) fn new(endpoint: &Endpoint, name: &str, concurrency: usize, history: &Path) -> Self {
        let (endpoint, name, history) = (endpoint.clone(), name.to_owned(), history.to_owned());
        Self { endpoint, name, concurrency, small: !is_measurement(), history }
    }

    /// Returns the job's database, which the engine's reader may read. Dashboard jobs of one size share one.
    pub(crate) fn database(&self) -> String {
        match self.name.split_once('_') {
            Some(("fill" | "dashboard" | "cost" | "sums", size)) => format!("bridge_sla_{size}"),
            _ => format!("bridge_sla_{}_{}", self.name, self.concurrency),
        }
    }

    /// Returns the official client without the bridge.
    pub(crate) fn client(&self, user: &Credentials) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(&self.endpoint.url)
            .with_user(&user.user)
            .with_password(&user.password)
            .with_database(self.database())
    }

    /// Returns the number of rounds: few in test mode.
    pub(crate) fn rounds(&self, measured: usize) -> usize {
        if self.small { 2 } else { measured }
    }

    pub(crate) fn measure(&self) -> Outcome<Measurement> {
        let child = Command::new(std::env::current_exe()?)
            .arg(CHILD_ARG)
            // Passed in the environment, because other users can read the arguments, and it contains the password.
            .env("BRIDGE_SLA_JOB", serde_json::to_string(self)?)
            .stderr(Stdio::inherit())
            .output()?;
        if !child.status.success() {
            return Err(format!("{}: {}", self.name, child.status).into());
        }
        Ok(serde_json::from_slice(&child.stdout)?)
    }
}

/// Runs a measurement; called in the child process.
pub(crate) fn run_child() -> Outcome<()> {
    let job: Job = serde_json::from_str(&std::env::var("BRIDGE_SLA_JOB")?)?;
    let allocated = memory::AllocatedPeak::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut measured = runtime.block_on(async {
        match job.name.as_str() {
            "single" => operations::single(&job).await,
            "batch" => operations::batch(&job).await,
            "sync" => operations::sync(&job).await,
            "backfill" => operations::backfill(&job).await,
            "cold" => operations::cold(&job).await,
            "memory" => memory::normal_load(&job).await,
            "load" => load::load(&job).await,
            "bare_single" => baseline::single(&job).await,
            "bare_batch" => baseline::batch(&job).await,
            "wc" => baseline::wc(&job),
            name => dashboard::measure(&job, name).await,
        }
    })?;
    measured.concurrency = job.concurrency;
    measured.allocated_mib = allocated.stop();
    measured.process_mib = bridge::peak_memory_mib();
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}
