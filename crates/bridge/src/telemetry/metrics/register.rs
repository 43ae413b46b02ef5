//! Where the handles of metrics come from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};

use super::names::{METRICS, Metric, MetricKind};

/// A recorder of a bridge's own.
pub type MetricsRecorder = Arc<dyn Recorder + Send + Sync>;

/// The process' recorder, or one of the bridge's own.
#[derive(Clone, Default)]
pub(crate) enum Register {
    #[default]
    Global,
    Own(MetricsRecorder),
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Global) { "Global" } else { "Own" })
    }
}

const METADATA: Metadata<'static> = Metadata::new("bridge", Level::INFO, Some("bridge"));

impl Register {
    pub(crate) fn counter(&self, metric: &Metric, values: &[&'static str]) -> Counter {
        self.with(|recorder| recorder.register_counter(&key(metric, values), &METADATA))
    }

    pub(crate) fn gauge(&self, metric: &Metric, values: &[&'static str]) -> Gauge {
        self.with(|recorder| recorder.register_gauge(&key(metric, values), &METADATA))
    }

    pub(crate) fn histogram(&self, metric: &Metric, values: &[&'static str]) -> Histogram {
        self.with(|recorder| recorder.register_histogram(&key(metric, values), &METADATA))
    }

    /// Tells the recorder of units and meanings.
    pub(crate) fn describe(&self) {
        self.with(|recorder| {
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

    fn with<T>(&self, work: impl FnOnce(&dyn Recorder) -> T) -> T {
        match self {
            Self::Global => metrics::with_recorder(work),
            Self::Own(recorder) => work(&**recorder),
        }
    }
}

fn key(metric: &Metric, values: &[&'static str]) -> Key {
    assert_eq!(metric.labels.len(), values.len(), "{} has labels {:?}", metric.name, metric.labels);
    let labels = metric.labels.iter().zip(values);
    let labels: Vec<_> = labels.map(|(label, value)| Label::from_static_parts(label, value)).collect();
    Key::from_parts(metric.name, labels)
}

/// A counter of something that is counted elsewhere. It adds what is new, so that several bridges can share it.
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
