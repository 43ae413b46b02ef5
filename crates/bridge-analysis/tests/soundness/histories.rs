//! Generated histories.

use bridge_analysis::{AnalyzerOptions, discover};
use bridge_testkit::history::HistoryPlan;
use bridge_testkit::reference::ReferenceFile;

use crate::comparison::{analyze, compare};

fn check(plan: HistoryPlan, options: &AnalyzerOptions) {
    let history = plan.generate();
    let folder = tempfile::tempdir().unwrap();
    history.write_below(folder.path()).unwrap();
    let sources = discover(&[folder.path().to_owned()]).files;
    let found = analyze(&sources, options);
    // Journals of the client are no transcripts: nobody reads them.
    let is_read = |file: &ReferenceFile| sources.iter().any(|source| source.path.ends_with(&file.path));
    let files: Vec<_> = history.reference_files().filter(is_read).collect();
    let expected = compare(&found, &files, options);
    assert_eq!(expected.total, history.truth.total());
    assert_eq!(found.history.counts().unwrap().total(), history.truth.total());
}

#[test]
fn every_figure_is_the_references() {
    let cuts = [(u64::MAX, 256 << 10, true), (4096, 1000, false), (777, 64, false)];
    for (seed, cut) in (0..24).zip(cuts.iter().cycle()) {
        let mut options = AnalyzerOptions::default();
        options.threads = 3;
        (options.part_bytes, options.block_bytes, options.strict) = *cut;
        check(HistoryPlan { seed, ..HistoryPlan::default() }, &options);
    }
}

#[test]
fn a_history_of_long_texts_too() {
    let plan =
        HistoryPlan { seed: 5, text_bytes: 40_000, responses_per_session: 20, ..HistoryPlan::default() };
    let mut options = AnalyzerOptions::default();
    options.part_bytes = 100_000;
    check(plan, &options);
    options.categories = true;
    check(plan, &options);
}
