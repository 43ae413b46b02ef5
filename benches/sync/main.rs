//! Measures the synchronization of a known history, unchanged and with one line appended, relative to `wc -l` over the
//! same files in the same run.
//!
//! `cargo bench -p bridge-benches --bench sync`. The history is always generated (300 MB), because the bench appends to
//! it. The store is in memory, so that reading dominates. Reports the minimum of all rounds.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bridge::storage::InMemoryStore;
use bridge::{EnhancedTokenDatabaseBridge, SyncOptions};
use bridge_benches::{BenchHistory, is_measurement};
use bridge_core::{Stopwatch, SyncResult, SyncStatus};

/// Limit in `performance.md`, as a multiple of `wc -l`.
const LIMIT: f64 = 0.2;

fn main() -> Result<(), Box<dyn Error>> {
    let (megabytes, rounds) = if is_measurement() { (300, 15) } else { (2, 1) };
    let history = BenchHistory::generated(megabytes)?;
    let files = history.files();
    let wc = minimum(rounds, || wc(&files))?;
    println!("{} files; wc -l: {:.1} ms", files.len(), millis(wc));

    let store = Arc::new(InMemoryStore::default());
    let bridge = EnhancedTokenDatabaseBridge::builder(store).sources([history.folder()]).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sync = || runtime.block_on(bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)));
    sync()?;
    // A file modified within the last two seconds is always read again.
    thread::sleep(Duration::from_secs(3));
    sync()?;
    let timed_sync = |changed| {
        let stopwatch = Stopwatch::start();
        let results = sync()?;
        let elapsed = stopwatch.elapsed();
        expect(&results, changed)?;
        Ok(elapsed)
    };
    let unchanged = minimum(rounds, || timed_sync(0))?;
    report("unchanged", unchanged, wc);

    let mut number = 0;
    let grown = largest(&files);
    let appended = minimum(rounds, || {
        number += 1;
        append(&grown, number)?;
        timed_sync(1)
    })?;
    report("one line appended", appended, wc);
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn report(change: &str, elapsed: Duration, wc: Duration) {
    let ratio = elapsed.as_secs_f64() / wc.as_secs_f64();
    println!("{change}: {:.2} ms, {ratio:.3} x wc -l (limit {LIMIT})", millis(elapsed));
}

/// Returns the minimum time of this number of runs.
fn minimum(
    rounds: usize,
    mut run: impl FnMut() -> Result<Duration, Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    (0..rounds).try_fold(Duration::MAX, |minimum, _| Ok(minimum.min(run()?)))
}

fn expect(results: &[SyncResult], changed: usize) -> Result<(), Box<dyn Error>> {
    let found = results.iter().filter(|result| result.status == SyncStatus::Changed).count();
    if found == changed {
        Ok(())
    } else {
        Err(format!("{found} sessions changed instead of {changed}").into())
    }
}

fn wc(files: &[PathBuf]) -> Result<Duration, Box<dyn Error>> {
    let stopwatch = Stopwatch::start();
    Command::new("wc").arg("-l").args(files).stdout(Stdio::null()).status()?;
    Ok(stopwatch.elapsed())
}

fn largest(files: &[PathBuf]) -> PathBuf {
    let size = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
    files.iter().max_by_key(|path| size(path)).cloned().unwrap_or_default()
}

fn append(path: &Path, number: u64) -> Result<(), Box<dyn Error>> {
    let line = format!(
        r#"{{"type":"assistant","sessionId":"bench","timestamp":"2026-01-31T12:00:00Z","message":{{"id":"msg_bench{number:020}","stop_reason":"end_turn","usage":{{"input_tokens":10,"output_tokens":32}}}}}}"#
    );
    writeln!(File::options().append(true).open(path)?, "{line}")?;
    Ok(())
}
