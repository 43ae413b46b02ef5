//! Measures the analysis of a whole history as a separate process, relative to `wc -l` over the same files in the same
//! run.
//!
//! `cargo bench -p bridge-benches --bench analysis_process`. `BRIDGE_HISTORY` names the history; by default, one of
//! 300 MB is generated. The page cache is warm, the order of the programs alternates between rounds, and the minimum of
//! all rounds is reported, because it contains the least interference from other processes.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bridge_benches::{BenchHistory, is_measurement};
use bridge_core::Stopwatch;
use serde_json::Value;

const ROUNDS: usize = 15;

/// A measured program that reads the history.
struct Program {
    name: &'static str,
    command: Command,
    minimum: Duration,
    /// Limit in `performance.md`, as a multiple of `wc -l`.
    limit: Option<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (megabytes, rounds) = if is_measurement() { (300, ROUNDS) } else { (2, 1) };
    let history = BenchHistory::from_env_or_generated(megabytes)?;
    let backfill = build_backfill()?;
    let files = history.files();
    let mut wc = Command::new("wc");
    wc.arg("-l").args(&files);
    let mut programs = vec![
        program("wc -l", wc, None),
        program("analysis", analysis(&backfill, history.folder(), &["--no-categories"]), Some(2.0)),
        program("analysis with categories", analysis(&backfill, history.folder(), &[]), Some(4.0)),
        program(
            "analysis, strict",
            analysis(&backfill, history.folder(), &["--no-categories", "--strict"]),
            None,
        ),
    ];
    for round in 0..=rounds {
        // Round 0 only warms the page cache.
        programs.reverse();
        for program in &mut programs {
            let elapsed = run(&mut program.command)?;
            program.minimum = if round == 0 { Duration::MAX } else { program.minimum.min(elapsed) };
        }
    }
    programs.sort_by_key(|program| program.limit.is_some() || program.name != "wc -l");
    report(&mut programs, &files)
}

fn report(programs: &mut [Program], files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let bytes = files.iter().map(|file| fs::metadata(file).map_or(0, |metadata| metadata.len())).sum::<u64>();
    println!("{} files, {:.0} MB", files.len(), bytes as f64 / 1e6);
    let baseline = programs.first().map_or(Duration::MAX, |wc| wc.minimum);
    for program in programs {
        let ratio = program.minimum.as_secs_f64() / baseline.as_secs_f64();
        let limit = program.limit.map_or(String::new(), |limit| format!(" (limit {limit})"));
        let memory = peak_memory_mib(&mut program.command)?;
        let memory = memory.map_or(String::new(), |mib| format!(", VmHWM {mib:.1} MiB"));
        let millis = program.minimum.as_secs_f64() * 1e3;
        println!("{}: {millis:.1} ms, {ratio:.2} x wc -l{limit}{memory}", program.name);
    }
    Ok(())
}

fn program(name: &'static str, command: Command, limit: Option<f64>) -> Program {
    Program { name, command, minimum: Duration::MAX, limit }
}

fn analysis(backfill: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(backfill);
    command.arg("--source").arg(folder).args(["--dry-run", "--json"]).args(arguments);
    command
}

fn run(command: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let stopwatch = Stopwatch::start();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let elapsed = stopwatch.elapsed();
    if status.success() { Ok(elapsed) } else { Err(format!("{command:?} failed").into()) }
}

/// Returns the program's peak memory, polled until it exits; `None` if the system does not report it.
fn peak_memory_mib(command: &mut Command) -> Result<Option<f64>, Box<dyn Error>> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    while child.try_wait()?.is_none() {
        peak = fs::read_to_string(&status).ok().and_then(|status| peak_mib(&status)).or(peak);
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(peak)
}

fn peak_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

/// Builds the example `backfill` in release mode and returns its path.
fn build_backfill() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "bridge-examples", "--example", "backfill"])
        .args(["--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()?;
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.ok_or_else(|| "the example backfill cannot be built".into())
}
