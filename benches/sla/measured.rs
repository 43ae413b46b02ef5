//! A measurement in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bridge_benches::is_measurement;
use bridge_embedded::{Credentials, Endpoint};
use serde::{Deserialize, Serialize};

use crate::{Outcome, dashboard, load, ours, resting, yardstick};

/// The first argument of the process that measures.
pub(crate) const CHILD: &str = "--measure";

/// What is measured, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) endpoint: Endpoint,
    pub(crate) name: String,
    /// So many operations run at once.
    pub(crate) concurrency: usize,
    /// Whether it only shows that it runs.
    pub(crate) small: bool,
    /// Transcripts to read.
    pub(crate) history: PathBuf,
}

/// What was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// How long each operation took.
    pub(crate) times: Vec<Duration>,
    pub(crate) concurrency: usize,
    /// The most memory that the process held.
    pub(crate) peak_mib: f64,
    /// What it held before its first operation.
    pub(crate) before_mib: f64,
    /// The most that lay in memory while it was at work, where that was looked at.
    pub(crate) resident_mib: f64,
    /// Operations that were made, and of those the ones that failed, where that is what is measured.
    pub(crate) operations: u64,
    pub(crate) failures: u64,
    /// What one operation did, for people.
    pub(crate) detail: String,
}

impl Job {
    pub(crate) fn new(endpoint: &Endpoint, name: &str, concurrency: usize, history: &Path) -> Self {
        let (endpoint, name, history) = (endpoint.clone(), name.to_owned(), history.to_owned());
        Self { endpoint, name, concurrency, small: !is_measurement(), history }
    }

    /// The database of this job; those of one size of a dashboard share one. The engine's reader may read it.
    pub(crate) fn database(&self) -> String {
        match self.name.split_once('_') {
            Some(("fill" | "dashboard" | "sums", size)) => format!("bridge_sla_{size}"),
            _ => format!("bridge_sla_{}_{}", self.name, self.concurrency),
        }
    }

    /// The official client with nothing around it.
    pub(crate) fn client(&self, user: &Credentials) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(&self.endpoint.url)
            .with_user(&user.user)
            .with_password(&user.password)
            .with_database(self.database())
    }

    /// So many operations, few where it only shows that it runs.
    pub(crate) fn rounds(&self, measured: usize) -> usize {
        if self.small { 2 } else { measured }
    }

    pub(crate) fn measure(&self) -> Outcome<Measured> {
        let child = Command::new(std::env::current_exe()?)
            .arg(CHILD)
            // Not among the arguments, where others could read the password.
            .env("BRIDGE_SLA_JOB", serde_json::to_string(self)?)
            .stderr(Stdio::inherit())
            .output()?;
        if !child.status.success() {
            return Err(format!("{}: {}", self.name, child.status).into());
        }
        Ok(serde_json::from_slice(&child.stdout)?)
    }
}

/// In the process that measures.
pub(crate) fn run_child() -> Outcome<()> {
    let job: Job = serde_json::from_str(&std::env::var("BRIDGE_SLA_JOB")?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut measured = runtime.block_on(async {
        match job.name.as_str() {
            "single" => ours::single(&job).await,
            "batch" => ours::batch(&job).await,
            "sync" => ours::sync(&job).await,
            "backfill" => ours::backfill(&job).await,
            "cold" => ours::cold(&job).await,
            "resting" => resting::resting(&job).await,
            "load" => load::load(&job).await,
            "bare_single" => yardstick::single(&job).await,
            "bare_batch" => yardstick::batch(&job).await,
            "wc" => yardstick::wc(&job),
            name => dashboard::measure(&job, name).await,
        }
    })?;
    measured.concurrency = job.concurrency;
    measured.peak_mib = bridge::peak_memory_mib();
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}
