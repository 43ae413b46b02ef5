//! The table that is shown.

use std::time::Duration;

use crate::measured::Measured;

pub(crate) const HEAD: &str = "\
| operation | at once | p50 | p99 | target | memory | its limit | beside, in the same run |
|---|---|---|---|---|---|---|---|";

/// The specification's limits of a process under normal load and of failing operations.
const RESIDENT_MB_MAX: f64 = 50.0;
const ERROR_RATE_MAX: f64 = 0.001;

const MB_PER_MIB: f64 = 1.048_576;

/// One operation and what is asked of it.
pub(crate) struct Row {
    name: String,
    target: Duration,
    memory_mib: u64,
    /// Whether the specification sets the target, so that missing it fails the bench.
    is_specified: bool,
    /// What the times are compared with, and what it is called.
    yardstick: Option<(&'static str, Measured)>,
}

impl Row {
    /// An operation of the specification's with its target in milliseconds and its limit of memory in MiB.
    pub(crate) fn new(name: &str, target_ms: u64, memory_mib: u64) -> Self {
        let (name, target) = (name.to_owned(), Duration::from_millis(target_ms));
        Self { name, target, memory_mib, is_specified: true, yardstick: None }
    }

    /// The same for an operation that the specification sets no target for.
    pub(crate) fn informative(name: &str, target_ms: u64, memory_mib: u64) -> Self {
        Self { is_specified: false, ..Self::new(name, target_ms, memory_mib) }
    }

    /// The targets of the specification that were missed.
    pub(crate) fn missed(&self, measured: &Measured) -> Vec<String> {
        let (p99, peak) = (quantile(&measured.times, 99), measured.peak_mib);
        let what = format!("{}, {} at once", self.name, measured.concurrency);
        let late = (p99 >= self.target).then(|| format!("{what}: {} of {}", shown(p99), shown(self.target)));
        let limit = self.memory_mib;
        let large = (peak >= limit as f64).then(|| format!("{what}: {peak:.1} MiB of {limit} MiB"));
        if self.is_specified { late.into_iter().chain(large).collect() } else { Vec::new() }
    }

    pub(crate) fn beside(mut self, name: &'static str, yardstick: &Measured) -> Self {
        self.yardstick = Some((name, yardstick.clone()));
        self
    }

    pub(crate) fn line(&self, measured: &Measured) -> String {
        let (p50, p99) = (quantile(&measured.times, 50), quantile(&measured.times, 99));
        let target =
            if self.target > Duration::from_hours(24) { "–".to_owned() } else { shown(self.target) };
        let beside = self.yardstick.as_ref().map_or("–".to_owned(), |(name, yardstick)| {
            let ratio = |percent| {
                quantile(&measured.times, percent).as_secs_f64()
                    / quantile(&yardstick.times, percent).as_secs_f64()
            };
            format!("{name}: {:.2} x, p99 {:.2} x", ratio(50), ratio(99))
        });
        let name = [self.name.as_str(), measured.detail.as_str()].join(if measured.detail.is_empty() {
            ""
        } else {
            ": "
        });
        format!(
            "| {name} | {} | {} | {} | {target} | {:.1} MiB, +{:.1} | {} MiB | {beside} |",
            measured.concurrency,
            shown(p50),
            shown(p99),
            measured.peak_mib,
            measured.peak_mib - measured.before_mib,
            self.memory_mib,
        )
    }
}

/// What the bridge adds to a process that embeds it.
pub(crate) fn resident(measured: &Measured) -> String {
    let share = measured.resident_mib - measured.before_mib;
    format!(
        "A process under normal load (at rest after {}) has at most {:.1} MB in memory, of which {:.1} MB are the bridge's \
         ({RESIDENT_MB_MAX:.0} allowed).",
        measured.detail,
        measured.resident_mib * MB_PER_MIB,
        share * MB_PER_MIB
    )
}

pub(crate) fn resident_missed(measured: &Measured) -> Option<String> {
    let mb = measured.resident_mib * MB_PER_MIB;
    (mb >= RESIDENT_MB_MAX).then(|| format!("normal load: {mb:.1} MB of {RESIDENT_MB_MAX:.0} MB"))
}

/// How many operations fail under the specification's load.
pub(crate) fn error_rate(measured: &Measured) -> String {
    let Measured { operations, failures, detail, .. } = measured;
    let share = rate(measured) * 100.0;
    format!(
        "Of {operations} operations ({detail}) {failures} failed, {share:.2} % (less than 0.1 % allowed)."
    )
}

pub(crate) fn error_rate_missed(measured: &Measured) -> Option<String> {
    let is_missed = measured.operations == 0 || rate(measured) >= ERROR_RATE_MAX;
    is_missed.then(|| format!("error rate: {} of {}", measured.failures, measured.operations))
}

fn rate(measured: &Measured) -> f64 {
    measured.failures as f64 / measured.operations.max(1) as f64
}

/// The median, in seconds.
pub(crate) fn median(measured: &Measured) -> f64 {
    quantile(&measured.times, 50).as_secs_f64()
}

/// The time that so many of a hundred operations stay under.
fn quantile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = sorted.len() * percent / 100;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn shown(time: Duration) -> String {
    match time.as_secs() {
        60.. => format!("{} min", time.as_secs() / 60),
        2.. => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1e3),
    }
}
