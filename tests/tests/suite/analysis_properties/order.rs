//! The results do not depend on the order of files or the number of threads.

use std::collections::BTreeMap;

use bridge_analysis::{AnalysisProgress, AnalyzerOptions, History, SourceFile, analyze_files};
use bridge_core::{ResponseKey, ResponseUsage};
use proptest::prelude::*;

use super::corpus::{AnalysisResult, strict};
use super::strategy::{Transcript, adversarial_files, cases, corpus, history, small_plan, write_corpus};

fn on_threads(threads: usize) -> AnalyzerOptions {
    let mut options = strict();
    options.categories = true;
    options.threads = threads;
    options
}

fn read_into(history: &mut History, file: &SourceFile, options: &AnalyzerOptions) {
    analyze_files(std::slice::from_ref(file), options, &AnalysisProgress::default(), history, |_| {});
}

/// Generates files and a permutation of them.
fn shuffled() -> impl Strategy<Value = (Vec<Transcript>, Vec<usize>)> {
    adversarial_files().prop_flat_map(|files| {
        let order: Vec<usize> = (0..files.len()).collect();
        (Just(files), Just(order).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn the_order_of_files_does_not_change_the_result((files, order) in shuffled()) {
        let mut corpus = write_corpus(&files);
        let mut arrived = History::default();
        for index in &order {
            read_into(&mut arrived, &corpus.files[*index], &on_threads(1));
        }
        let in_order = AnalysisResult::of(&corpus.analyze(&on_threads(1)));
        prop_assert_eq!(&AnalysisResult::of(&arrived), &in_order);
        corpus.files = order.iter().map(|index| corpus.files[*index].clone()).collect();
        prop_assert_eq!(&AnalysisResult::of(&corpus.analyze(&on_threads(1))), &in_order);
    }

    #[test]
    fn merged_incremental_changes_equal_the_final_result(files in adversarial_files()) {
        let corpus = write_corpus(&files);
        let mut history = History::default();
        let mut stored: BTreeMap<ResponseKey, ResponseUsage> = BTreeMap::new();
        for file in &corpus.files {
            read_into(&mut history, file, &strict());
            for row in history.take_changed() {
                let row = match stored.remove(&row.key) {
                    Some(known) => known.merge(row),
                    None => row,
                };
                stored.insert(row.key, row);
            }
        }
        prop_assert!(stored.into_values().eq(AnalysisResult::of(&history).rows));
        prop_assert!(history.take_changed().is_empty());
    }
}

proptest! {
    #![proptest_config(cases(6))]

    #[test]
    fn the_number_of_threads_does_not_change_the_result(history in history(small_plan())) {
        let corpus = corpus(&history);
        let one = AnalysisResult::of(&corpus.analyze(&on_threads(1)));
        for threads in 2..=4 {
            prop_assert_eq!(&AnalysisResult::of(&corpus.analyze(&on_threads(threads))), &one);
        }
    }
}
