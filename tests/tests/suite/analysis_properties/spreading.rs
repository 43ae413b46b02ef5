//! Counts do not depend on repetitions or on the distribution of lines over files.

use bridge_core::{ReceiptLine, ResponseKey};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::corpus::{AnalysisResult, Corpus, strict};
use super::strategy::{
    Text, Transcript, adversarial_files, adversarial_lines, cases, independent_lines, write_corpus,
};

/// Distributes each line to the file with its index. All files have the same project folder and time.
fn distribute(lines: &[Text], places: impl IntoIterator<Item = usize>) -> Corpus {
    let mut contents: Vec<Vec<u8>> = vec![Vec::new()];
    for (line, place) in lines.iter().zip(places) {
        contents.resize(contents.len().max(place + 1), Vec::new());
        contents[place].extend([&line.0[..], b"\n"].concat());
    }
    let file = |(place, content)| Transcript::new(format!("f{place}.jsonl"), 0, content);
    let files: Vec<_> = contents.into_iter().enumerate().map(file).collect();
    write_corpus(&files)
}

/// Generates permutations of the lines, with some of them repeated.
fn reordered(lines: &[Text], repeated: &[Index]) -> impl Strategy<Value = Vec<Text>> + use<> {
    let again = repeated.iter().filter(|_| !lines.is_empty()).map(|index| index.get(lines).clone());
    Just(lines.iter().cloned().chain(again).collect::<Vec<_>>()).prop_shuffle()
}

/// Generates lines of a history, a permutation with repetitions, and a file index for each line of the latter.
fn spread() -> impl Strategy<Value = (Vec<Text>, Vec<Text>, Vec<usize>)> {
    (independent_lines(), vec(any::<Index>(), 0..20)).prop_flat_map(|(lines, repeated)| {
        let places = vec(0..5_usize, lines.len() + repeated.len());
        (Just(lines.clone()), reordered(&lines, &repeated), places)
    })
}

/// Returns each response's tokens and `finished`, without fields that only a tie-break decides.
fn tokens(findings: &AnalysisResult) -> Vec<(ResponseKey, bool, u64, u64)> {
    let rows = findings.rows.iter();
    rows.map(|row| {
        // Among snapshots without tokens, the time decides which one wins and thus whether it is finished.
        let finished = row.finished && !row.counts.is_zero();
        (row.key, finished, row.counts.output, row.counts.total())
    })
    .collect()
}

/// Removes a byte order mark, which is only valid at the start of a file.
fn without_byte_order_mark(line: Text) -> Text {
    Text(line.0.strip_prefix(b"\xef\xbb\xbf").map_or(line.0.clone(), <[u8]>::to_vec))
}

/// Generates adversarial lines whose validity does not depend on their position.
fn movable_lines() -> impl Strategy<Value = Vec<Text>> {
    adversarial_lines(40).prop_map(|lines| lines.into_iter().map(without_byte_order_mark).collect())
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn interleaving_splitting_and_repeating_lines_does_not_change_responses((lines, others, places) in spread()) {
        prop_assume!(!lines.is_empty());
        let together = AnalysisResult::of(&distribute(&lines, std::iter::repeat(0)).analyze(&strict()));
        let apart = AnalysisResult::of(&distribute(&others, places).analyze(&strict()));
        prop_assert_eq!(&apart.rows, &together.rows);
        prop_assert_eq!(apart.summary.counts, together.summary.counts);
        prop_assert_eq!(apart.summary.receipt.total, together.summary.receipt.total);
        prop_assert!(apart.summary.receipt.adds_up());
    }
}

proptest! {
    #![proptest_config(cases(60))]

    /// Lines may inherit time and session from their file, so only their tokens are compared.
    #[test]
    fn adversarial_lines_have_the_same_tokens_in_any_file(
        (lines, others, places) in (movable_lines(), vec(any::<Index>(), 0..9)).prop_flat_map(
            |(lines, repeated)| {
                let places = vec(0..4_usize, lines.len() + repeated.len());
                (Just(lines.clone()), reordered(&lines, &repeated), places)
            }
        )
    ) {
        let together = AnalysisResult::of(&distribute(&lines, std::iter::repeat(0)).analyze(&strict()));
        let apart = AnalysisResult::of(&distribute(&others, places).analyze(&strict()));
        prop_assert_eq!(tokens(&apart), tokens(&together));
    }

    #[test]
    fn copies_of_files_do_not_change_responses(files in adversarial_files()) {
        let twice: Vec<_> = files.iter().flat_map(|file| [file.below("p"), file.below("p/copies")]).collect();
        let twice = Corpus::write(twice);
        let once = AnalysisResult::of(&write_corpus(&files).analyze(&strict()));
        let twice = AnalysisResult::of(&twice.analyze(&strict()));
        prop_assert_eq!(&twice.rows, &once.rows);
        let (receipt, before) = (twice.summary.receipt, once.summary.receipt);
        let mut copies = before.copies_across_files;
        copies += before.copies_across_files;
        copies += before.total;
        prop_assert_eq!(receipt.copies_across_files, copies);
        let ReceiptLine { count, tokens } = before.repeats_within_files;
        prop_assert_eq!(receipt.repeats_within_files, ReceiptLine { count: 2 * count, tokens: 2 * tokens });
    }
}
