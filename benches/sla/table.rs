//! Formats the results as a table and compares them with their targets.

use std::time::Duration;

use crate::job::Measurement;

pub(crate) const HEADER: &str = "\
| operation | concurrency | p50 | p99 | target | memory allocated, of the process | memory limit | baseline, same run |
|---|---|---|---|---|---|---|---|";

/// The specification's limits for the memory under normal load and for the error rate.
const RESIDENT_MB_MAX: f64 = 50.0;
const ERROR_RATE_MAX: f64 = 0.001;

const MB_PER_MIB: f64 = 1.048_576;

/// An operation and its targets.
pub(crate) struct Row {
    name: String,
    target: Duration,
    memory_mib: u64,
    /// `true` if the specification sets the target, so that missing it fails the bench.
    is_specified: bool,
    /// Name and result of the measurement to compare with.
    baseline: Option<(&'static str, Measurement)>,
}

impl Row {
    /// Creates the row of an operation with a specified target in milliseconds and memory limit in MiB.
    pub(crate) fn new(name: &str, target_ms: u64, memory_mib: u64) -> Self {
        let (name, target) = (name.to_owned(), Duration::from_millis(target_ms));
        Self { name, target, memory_mib, is_specified: true, baseline: None }
    }

    /// Creates the row of an operation whose targets are not part of the specification.
    pub(crate) fn informative(name: &str, target_ms: u64, memory_mib: u64) -> Self {
        Self { is_specified: false, ..Self::new(name, target_ms, memory_mib) }
    }

    /// Describes the targets of the specification that were missed.
    pub(crate) fn missed(&self, measured: &Measurement) -> Vec<String> {
        let (p99, peak) = (quantile(&measured.times, 99), measured.allocated_mib);
        let operation = format!("{}, concurrency {}", self.name, measured.concurrency);
        let slow = (p99 >= self.target)
            .then(|| format!("{operation}: p99 {}, target {}", format_time(p99), format_time(self.target)));
        let limit = self.memory_mib;
        let large = (peak >= limit as f64).then(|| format!("{operation}: {peak:.1} MiB, limit {limit} MiB"));
        if self.is_specified { slow.into_iter().chain(large).collect() } else { Vec::new() }
    }

    pub(crate) fn with_baseline(mut self, name: &'static str, baseline: &Measurement) -> Self {
        self.baseline = Some((name, baseline.clone()));
        self
    }

    pub(crate) fn line(&self, measured: &Measurement) -> String {
        let (p50, p99) = (quantile(&measured.times, 50), quantile(&measured.times, 99));
        let target =
            if self.target > Duration::from_hours(24) { "–".to_owned() } else { format_time(self.target) };
        let baseline = self.baseline.as_ref().map_or("–".to_owned(), |(name, baseline)| {
            let ratio = |percent| {
                quantile(&measured.times, percent).as_secs_f64()
                    / quantile(&baseline.times, percent).as_secs_f64()
            };
            format!("{name}: {:.2} x, p99 {:.2} x", ratio(50), ratio(99))
        });
        let name = [self.name.as_str(), measured.detail.as_str()].join(if measured.detail.is_empty() {
            ""
        } else {
            ": "
        });
        format!(
            "| {name} | {} | {} | {} | {target} | {:.1} of {:.1} MiB | {} MiB | {baseline} |",
            measured.concurrency,
            format_time(p50),
            format_time(p99),
            measured.allocated_mib,
            measured.process_mib,
            self.memory_mib,
        )
    }
}

/// Reports the resident memory of a process under normal load, and the bridge's share of it.
pub(crate) fn resident(measured: &Measurement) -> String {
    let share = measured.resident_mib - measured.before_mib;
    format!(
        "Resident memory of a process under normal load (after {}): at most {:.1} MB, {:.1} MB of it by the bridge \
         (limit {RESIDENT_MB_MAX:.0} MB).",
        measured.detail,
        measured.resident_mib * MB_PER_MIB,
        share * MB_PER_MIB
    )
}

pub(crate) fn resident_missed(measured: &Measurement) -> Option<String> {
    let mb = measured.resident_mib * MB_PER_MIB;
    (mb >= RESIDENT_MB_MAX).then(|| format!("normal load: {mb:.1} MB, limit {RESIDENT_MB_MAX:.0} MB"))
}

/// Reports the error rate under the specification's load.
pub(crate) fn error_rate(measured: &Measurement) -> String {
    let Measurement { operations, failures, detail, .. } = measured;
    let percent = rate(measured) * 100.0;
    format!("Failed operations: {failures} of {operations} ({detail}), {percent:.2}% (limit 0.1%).")
}

pub(crate) fn error_rate_missed(measured: &Measurement) -> Option<String> {
    let is_missed = measured.operations == 0 || rate(measured) >= ERROR_RATE_MAX;
    is_missed.then(|| format!("error rate: {} of {}", measured.failures, measured.operations))
}

fn rate(measured: &Measurement) -> f64 {
    measured.failures as f64 / measured.operations.max(1) as f64
}

/// Returns the median in seconds.
pub(crate) fn median(measured: &Measurement) -> f64 {
    quantile(&measured.times, 50).as_secs_f64()
}

/// Returns the percentile of the times.
fn quantile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = sorted.len() * percent / 100;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn format_time(time: Duration) -> String {
    match time.as_secs() {
        60.. => format!("{} min", time.as_secs() / 60),
        2.. => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1e3),
    }
}
