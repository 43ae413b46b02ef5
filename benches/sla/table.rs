//! The table that is shown.

use std::time::Duration;

use crate::measured::Measured;

pub(crate) const HEAD: &str = "\
| operation | at once | p50 | p99 | target | memory | its limit | beside, in the same run |
|---|---|---|---|---|---|---|---|";

/// One operation and what is asked of it.
pub(crate) struct Row {
    name: String,
    target: Duration,
    memory_mib: u64,
    /// What the times are compared with, and what it is called.
    yardstick: Option<(&'static str, Measured)>,
}

impl Row {
    /// An operation with its target in milliseconds and its limit of memory in MiB.
    pub(crate) fn new(name: &str, target_ms: u64, memory_mib: u64) -> Self {
        Self { name: name.to_owned(), target: Duration::from_millis(target_ms), memory_mib, yardstick: None }
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
        "A process under normal load ({}) has {:.1} MiB in memory, of which {share:.1} MiB are the bridge's (16 aimed at, 50 allowed).",
        measured.detail, measured.resident_mib
    )
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
