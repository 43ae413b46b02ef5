//! Measures a history of many small files: a first and a second backfill, a synchronization without changes, and the
//! dashboard.
//!
//! `cargo bench -p bridge-benches --bench many_files`. 200,000 files (or `BRIDGE_BENCH_FILES`) with one response each in
//! 2,000 folders. Starts its own embedded engine. Each step runs in a separate process, so that its peak memory (`VmHWM`)
//! includes nothing else; the baseline reads every file once and discards it.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bridge::TimeRange;
use bridge::storage::{ClickHouseOptions, ClickHouseStore, TokenStore};
use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, SyncOptions};
use bridge_benches::is_measurement;
use bridge_core::{Stopwatch, SyncStatus};
use bridge_embedded::{Endpoint, Engine, EngineOptions};
use serde::{Deserialize, Serialize};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// First argument of the measuring child process.
const CHILD_ARG: &str = "--measure";
const FILES_PER_FOLDER: usize = 100;
const TOKENS_PER_FILE: u64 = 42;

fn main() -> Outcome<()> {
    if std::env::args().nth(1).as_deref() == Some(CHILD_ARG) {
        return run_child();
    }
    let files = file_count()?;
    let history = tempfile::tempdir()?;
    generate(history.path(), files)?;
    // A file modified within the last two seconds is always read again.
    thread::sleep(Duration::from_secs(3));
    let engine = Engine::start(&EngineOptions::ephemeral())?;
    let baseline = read_all(history.path())?;
    println!("{files} files; reading each once: {:.2} s", baseline.as_secs_f64());
    for step in Step::ALL {
        let job = Job { endpoint: engine.endpoint().clone(), step, history: history.path().into(), files };
        let measured = job.measure()?;
        let ratio = measured.elapsed.as_secs_f64() / baseline.as_secs_f64();
        println!(
            "{}: {:.2} s, {ratio:.1} x reading, {:.0} MiB",
            step.name(),
            measured.elapsed.as_secs_f64(),
            measured.peak_mib
        );
    }
    Ok(())
}

fn file_count() -> Outcome<usize> {
    match std::env::var("BRIDGE_BENCH_FILES") {
        Ok(files) => Ok(files.parse()?),
        Err(_) => Ok(if is_measurement() { 200_000 } else { 400 }),
    }
}

/// Writes this number of files with one response each.
fn generate(root: &Path, files: usize) -> Outcome<()> {
    for number in 0..files {
        let folder = root.join("projects").join(format!("-project-{:04}", number / FILES_PER_FOLDER));
        if number % FILES_PER_FOLDER == 0 {
            fs::create_dir_all(&folder)?;
        }
        let line = format!(
            r#"{{"type":"assistant","sessionId":"session-{number:06}","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_many{number:020}","model":"claude-opus-4-5","stop_reason":"end_turn","usage":{{"input_tokens":10,"output_tokens":32}}}}}}"#
        );
        fs::write(folder.join(format!("session-{number:06}.jsonl")), line + "\n")?;
    }
    Ok(())
}

/// Returns the time for finding and reading all files.
fn read_all(root: &Path) -> Outcome<Duration> {
    let stopwatch = Stopwatch::start();
    for file in bridge_benches::files_below(root) {
        fs::read(file)?;
    }
    Ok(stopwatch.elapsed())
}

/// The measured steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    FirstBackfill,
    SecondBackfill,
    Sync,
    Dashboard,
}

impl Step {
    const ALL: [Self; 4] = [Self::FirstBackfill, Self::SecondBackfill, Self::Sync, Self::Dashboard];

    fn name(self) -> &'static str {
        match self {
            Self::FirstBackfill => "first backfill",
            Self::SecondBackfill => "second backfill",
            Self::Sync => "synchronization, nothing changed",
            Self::Dashboard => "dashboard",
        }
    }
}

/// A step and its environment, as passed to the child process.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    endpoint: Endpoint,
    step: Step,
    history: PathBuf,
    files: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Measurement {
    elapsed: Duration,
    peak_mib: f64,
}

impl Job {
    fn measure(&self) -> Outcome<Measurement> {
        let child = Command::new(std::env::current_exe()?)
            .arg(CHILD_ARG)
            // Passed in the environment, because other users can read the arguments, and it contains the password.
            .env("BRIDGE_BENCH_JOB", serde_json::to_string(self)?)
            .stderr(Stdio::inherit())
            .output()?;
        if !child.status.success() {
            return Err(format!("{}: {}", self.step.name(), child.status).into());
        }
        Ok(serde_json::from_slice(&child.stdout)?)
    }

    async fn run(&self) -> Outcome<Duration> {
        let options = ClickHouseOptions::from_url(&self.endpoint.url)?
            .with_database("bridge_many_files")
            .with_user(&self.endpoint.writer.user, &self.endpoint.writer.password);
        let store = Arc::new(ClickHouseStore::new(options)?);
        store.migrate().await?;
        let bridge = EnhancedTokenDatabaseBridge::builder(store).sources([&self.history]).build();
        let stopwatch = Stopwatch::start();
        match self.step {
            Step::FirstBackfill => self.backfill(&bridge, self.files as u64).await?,
            Step::SecondBackfill => self.backfill(&bridge, 0).await?,
            Step::Sync => self.sync(&bridge).await?,
            Step::Dashboard => drop(bridge.dashboard().get_dashboard_token_metrics(TimeRange::ALL).await?),
        }
        Ok(stopwatch.elapsed())
    }

    async fn backfill(&self, bridge: &EnhancedTokenDatabaseBridge, new: u64) -> Outcome<()> {
        let result = bridge.backfill_historical_data(BackfillOptions::default()).await?;
        let tokens = self.files as u64 * TOKENS_PER_FILE;
        if !result.success || (result.new_responses, result.total_tokens_stored) != (new, tokens) {
            return Err(format!("expected {new} new responses and {tokens} tokens: {result:?}").into());
        }
        Ok(())
    }

    async fn sync(&self, bridge: &EnhancedTokenDatabaseBridge) -> Outcome<()> {
        let results = bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)).await?;
        let unchanged = results.iter().filter(|result| result.status == SyncStatus::Unchanged).count();
        if unchanged != self.files || results.len() != self.files {
            return Err(format!("{unchanged} of {} sessions are unchanged", results.len()).into());
        }
        Ok(())
    }
}

/// Measures one step; runs in the child process.
fn run_child() -> Outcome<()> {
    let job: Job = serde_json::from_str(&std::env::var("BRIDGE_BENCH_JOB")?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let elapsed = runtime.block_on(job.run())?;
    println!("{}", serde_json::to_string(&Measurement { elapsed, peak_mib: bridge::peak_memory_mib() })?);
    Ok(())
}
