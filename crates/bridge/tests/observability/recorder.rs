//! A metrics recorder whose values tests can read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Keeps each series by its name and labels, `name{label=value,…}`.
#[derive(Debug, Default)]
pub(crate) struct Escaped {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Values>>>,
    pub(crate) described: Mutex<BTreeMap<String, (Option<Unit>, String)>>,
}

/// The number of values recorded in a histogram.
#[derive(Debug, Default)]
struct Values(AtomicU64);

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        assert!(value >= 0.0, "{value}");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn series(key: &Key) -> String {
    let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    if labels.is_empty() { key.name().to_owned() } else { format!("{}{{{}}}", key.name(), labels.join(",")) }
}

fn handle<T: Default>(of: &Mutex<BTreeMap<String, Arc<T>>>, key: &Key) -> Arc<T> {
    Arc::clone(of.lock().unwrap().entry(series(key)).or_default())
}

impl Escaped {
    /// All series with their values; for a histogram, the number of recorded values.
    pub(crate) fn all(&self) -> BTreeMap<String, f64> {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for (series, value) in &*self.counters.lock().unwrap() {
            all.insert(series.clone(), load(value) as f64);
        }
        for (series, value) in &*self.gauges.lock().unwrap() {
            all.insert(series.clone(), f64::from_bits(load(value)));
        }
        for (series, values) in &*self.histograms.lock().unwrap() {
            all.insert(series.clone(), load(&values.0) as f64);
        }
        all
    }

    /// The value of one series.
    #[track_caller]
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self.all().get(series).unwrap_or_else(|| panic!("there is no {series} in {:?}", self.all().keys()))
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, text: &SharedString) {
        let text = (unit, text.to_string());
        self.described.lock().unwrap().insert(name.as_str().to_owned(), text);
    }
}

impl Recorder for Escaped {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(handle(&self.counters, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(handle(&self.gauges, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(handle(&self.histograms, key))
    }
}
