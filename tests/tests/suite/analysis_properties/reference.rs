//! The analyzer agrees with the reference model on adversarial transcripts and generated histories.

use bridge_analysis::{AnalysisProgress, AnalyzerOptions, History, analyze_files, discover};
use bridge_testkit::history::HistoryPlan;
use proptest::prelude::*;

use super::comparison::assert_agreement;
use super::corpus::strict;
use super::strategy::{adversarial_files, cases, corpus, history, small_plan, write_corpus};

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn adversarial_transcripts_match_the_reference(files in adversarial_files()) {
        assert_agreement(&write_corpus(&files), &strict());
    }

    #[test]
    fn lenient_mode_misses_only_damage_in_lines_without_usage(files in adversarial_files()) {
        assert_agreement(&write_corpus(&files), &AnalyzerOptions::default());
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn histories_match_the_reference(history in history(small_plan()), strict in any::<bool>()) {
        let mut options = AnalyzerOptions::default();
        options.strict = strict;
        assert_agreement(&corpus(&history), &options);
    }
}

#[test]
fn a_discovered_history_has_its_true_totals() {
    let folder = tempfile::tempdir().unwrap();
    let generated = HistoryPlan::default().generate();
    generated.write_below(&folder.path().join("projects")).unwrap();
    let found = discover(&[folder.path().to_owned()]);
    assert!(found.errors.is_empty());
    let mut history = History::default();
    let progress = AnalysisProgress::default();
    analyze_files(&found.files, &AnalyzerOptions::default(), &progress, &mut history, |file| {
        assert!(file.complete);
    });
    let (counts, truth) = (history.counts().unwrap(), &generated.truth);
    assert_eq!(history.responses().len() as u64, truth.responses);
    assert_eq!(
        (counts.input, counts.output, counts.cache_creation, counts.cache_read),
        (
            truth.counters.input,
            truth.counters.output,
            truth.counters.cache_creation,
            truth.counters.cache_read
        )
    );
    assert_eq!((progress.files(), progress.bytes()), (found.files.len() as u64, found.bytes()));
}
