//! Measures the stages of an analysis within one process: discovery, reading at each depth, and queries on a history.
//!
//! `cargo bench -p bridge-benches --bench analysis`

use std::sync::LazyLock;

use bridge_analysis::{AnalysisProgress, AnalyzerOptions, Discovery, History, analyze_files, discover};
use bridge_benches::{BenchHistory, is_measurement};
use bridge_core::TimeRange;
use divan::Bencher;
use divan::counter::BytesCount;

static HISTORY: LazyLock<BenchHistory> = LazyLock::new(|| {
    let megabytes = if is_measurement() { 100 } else { 1 };
    BenchHistory::from_env_or_generated(megabytes)
        .expect("the history is readable and the generated one writable")
});
static DISCOVERED: LazyLock<Discovery> = LazyLock::new(|| discover(&[HISTORY.folder().to_owned()]));

fn main() {
    divan::main();
}

fn read(options: &AnalyzerOptions) -> History {
    let mut history = History::default();
    analyze_files(&DISCOVERED.files, options, &AnalysisProgress::default(), &mut history, drop);
    history
}

fn options(depth: &str) -> AnalyzerOptions {
    let mut options = AnalyzerOptions::default();
    options.strict = depth == "strict";
    options.categories = depth == "categories";
    options.activity = depth == "activity";
    options
}

#[divan::bench(sample_count = 10)]
fn discovery(bencher: Bencher<'_, '_>) {
    let folder = HISTORY.folder().to_owned();
    bencher.bench(|| discover(std::slice::from_ref(&folder)));
}

#[divan::bench(args = ["usage", "activity", "strict", "categories"], sample_count = 10)]
fn reading(bencher: Bencher<'_, '_>, depth: &str) {
    bencher.counter(BytesCount::new(DISCOVERED.bytes())).bench(|| read(&options(depth)));
}

#[divan::bench(args = [1, 2, 4], sample_count = 10)]
fn reading_on_threads(bencher: Bencher<'_, '_>, threads: usize) {
    let mut options = options("usage");
    options.threads = threads;
    bencher.counter(BytesCount::new(DISCOVERED.bytes())).bench(|| read(&options));
}

#[divan::bench(sample_count = 10)]
fn summary(bencher: Bencher<'_, '_>) {
    let history = read(&options("usage"));
    bencher.bench(|| history.summary(&TimeRange::ALL));
}

#[divan::bench(sample_count = 10)]
fn rows_for_the_store(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(|| read(&options("usage"))).bench_values(|mut history| history.take_changed().len());
}
