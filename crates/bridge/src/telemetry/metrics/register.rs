//! Registers metrics with the current recorder.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata};

use super::names::{METRICS, Metric, MetricKind};

const METADATA: Metadata<'static> = Metadata::new("bridge", Level::INFO, Some("bridge"));

pub(super) fn counter(metric: &Metric, values: &[&'static str]) -> Counter {
    metrics::with_recorder(|recorder| recorder.register_counter(&key(metric, values), &METADATA))
}

/// Registers a gauge whose only label has this value, a name that the embedder has chosen.
pub(super) fn named_gauge(metric: &Metric, value: &str) -> Gauge {
    let labels: Vec<_> = metric.labels.iter().map(|label| Label::new(*label, value.to_owned())).collect();
    let key = Key::from_parts(metric.name, labels);
    metrics::with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
}

pub(super) fn gauge(metric: &Metric, values: &[&'static str]) -> Gauge {
    metrics::with_recorder(|recorder| recorder.register_gauge(&key(metric, values), &METADATA))
}

pub(super) fn histogram(metric: &Metric, values: &[&'static str]) -> Histogram {
    metrics::with_recorder(|recorder| recorder.register_histogram(&key(metric, values), &METADATA))
}

/// Describes units and meanings of all metrics.
pub(super) fn describe() {
    metrics::with_recorder(|recorder| {
        for metric in METRICS {
            let (name, unit) = (metric.name.into(), Some(metric.unit));
            match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, unit, metric.meaning.into()),
                MetricKind::Gauge => recorder.describe_gauge(name, unit, metric.meaning.into()),
                MetricKind::Histogram => recorder.describe_histogram(name, unit, metric.meaning.into()),
            }
        }
    });
}

fn key(metric: &Metric, values: &[&'static str]) -> Key {
    assert_eq!(metric.labels.len(), values.len(), "{} has labels {:?}", metric.name, metric.labels);
    let labels = metric.labels.iter().zip(values);
    let labels: Vec<_> = labels.map(|(label, value)| Label::from_static_parts(label, value)).collect();
    Key::from_parts(metric.name, labels)
}

/// A counter of something that is counted elsewhere. It adds differences, so that several bridges can share it.
pub(crate) struct Follower {
    counter: Counter,
    seen: AtomicU64,
}

impl Follower {
    pub(crate) fn new(counter: Counter) -> Self {
        Self { counter, seen: AtomicU64::new(0) }
    }

    pub(crate) fn follow(&self, now: u64) {
        let seen = self.seen.fetch_max(now, Ordering::Relaxed);
        self.counter.increment(now.saturating_sub(seen));
    }
}
