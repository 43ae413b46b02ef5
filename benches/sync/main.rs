//! A second look at a history: nothing changed, and one line appended, beside `wc -l` over the same files in the
//! same run.
//!
//! `cargo bench -p bridge-benches --bench sync`. The history is generated (300 MB), because it is written to; the
//! store is in memory, so that it is the looking that is measured. The least of all rounds is taken.
#![allow(clippy::print_stdout, reason = "a program for people")]

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

/// What `performance.md` allows, as a multiple of `wc -l`.
const ALLOWED: f64 = 0.2;

fn main() -> Result<(), Box<dyn Error>> {
    let (megabytes, rounds) = if is_measurement() { (300, 15) } else { (2, 1) };
    let history = BenchHistory::generated(megabytes)?;
    let files = history.files();
    let wc = least(rounds, || wc(&files))?;
    println!("{} files; wc -l: {:.1} ms", files.len(), millis(wc));

    let store = Arc::new(InMemoryStore::default());
    let bridge = EnhancedTokenDatabaseBridge::builder(store).sources([history.folder()]).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sync = || runtime.block_on(bridge.sync_all_sessions(SyncOptions::default().with_parallel_limit(2)));
    sync()?;
    // What was written within the last two seconds is not trusted to be unchanged.
    thread::sleep(Duration::from_secs(3));
    sync()?;
    let timed_sync = |changed| {
        let watch = Stopwatch::start();
        let results = sync()?;
        let took = watch.elapsed();
        expect(&results, changed)?;
        Ok(took)
    };
    let nothing = least(rounds, || timed_sync(0))?;
    tell("nothing changed", nothing, wc);

    let mut number = 0;
    let grown = largest(&files);
    let appended = least(rounds, || {
        number += 1;
        append(&grown, number)?;
        timed_sync(1)
    })?;
    tell("one line appended", appended, wc);
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn tell(what: &str, took: Duration, wc: Duration) {
    let ratio = took.as_secs_f64() / wc.as_secs_f64();
    println!("{what}: {:.2} ms, {ratio:.3} x wc -l (at most {ALLOWED})", millis(took));
}

/// The least time of so many runs.
fn least(
    rounds: usize,
    mut run: impl FnMut() -> Result<Duration, Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    (0..rounds).try_fold(Duration::MAX, |least, _| Ok(least.min(run()?)))
}

fn expect(results: &[SyncResult], changed: usize) -> Result<(), Box<dyn Error>> {
    let found = results.iter().filter(|result| result.status == SyncStatus::Changed).count();
    if found == changed { Ok(()) } else { Err(format!("{found} sessions changed, not {changed}").into()) }
}

fn wc(files: &[PathBuf]) -> Result<Duration, Box<dyn Error>> {
    let watch = Stopwatch::start();
    Command::new("wc").arg("-l").args(files).stdout(Stdio::null()).status()?;
    Ok(watch.elapsed())
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
