//! Repeating lines and files, and spreading the same lines over files in any way, changes no count.

use bridge_core::{ReceiptLine, ResponseKey};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::corpus::{Corpus, Findings, strict};
use super::strategy::{
    Text, Transcript, adversarial_files, adversarial_lines, cases, independent_lines, written,
};

/// Each line goes to the file that is dealt to it; the files have one project folder and one time.
fn dealt(lines: &[Text], places: impl IntoIterator<Item = usize>) -> Corpus {
    let mut contents: Vec<Vec<u8>> = vec![Vec::new()];
    for (line, place) in lines.iter().zip(places) {
        contents.resize(contents.len().max(place + 1), Vec::new());
        contents[place].extend([&line.0[..], b"\n"].concat());
    }
    let file = |(place, content)| Transcript::new(format!("f{place}.jsonl"), 0, content);
    let files: Vec<_> = contents.into_iter().enumerate().map(file).collect();
    written(&files)
}

/// The lines in another order, some of them again.
fn reordered(lines: &[Text], repeated: &[Index]) -> impl Strategy<Value = Vec<Text>> + use<> {
    let again = repeated.iter().filter(|_| !lines.is_empty()).map(|index| index.get(lines).clone());
    Just(lines.iter().cloned().chain(again).collect::<Vec<_>>()).prop_shuffle()
}

/// Lines of a history; the same in another order, some repeated; and a file for each.
fn spread() -> impl Strategy<Value = (Vec<Text>, Vec<Text>, Vec<usize>)> {
    (independent_lines(), vec(any::<Index>(), 0..20)).prop_flat_map(|(lines, repeated)| {
        let places = vec(0..5_usize, lines.len() + repeated.len());
        (Just(lines.clone()), reordered(&lines, &repeated), places)
    })
}

/// The tokens of each response and whether it is finished, without what only a tie decides.
fn worth(findings: &Findings) -> Vec<(ResponseKey, bool, u64, u64)> {
    let rows = findings.rows.iter();
    rows.map(|row| {
        // Between snapshots of no tokens the time decides, and with it whether the winner is a finished one.
        let finished = row.finished && !row.counts.is_zero();
        (row.key, finished, row.counts.output, row.counts.total())
    })
    .collect()
}

/// The line without a byte order mark: it is valid at a file's start and damage everywhere else.
fn without_byte_order_mark(line: Text) -> Text {
    Text(line.0.strip_prefix(b"\xef\xbb\xbf").map_or(line.0.clone(), <[u8]>::to_vec))
}

/// Lines that try to mislead, and are as valid in one place as in another.
fn movable_lines() -> impl Strategy<Value = Vec<Text>> {
    adversarial_lines(40).prop_map(|lines| lines.into_iter().map(without_byte_order_mark).collect())
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn interleaving_splitting_and_repeating_lines_changes_no_response((lines, others, places) in spread()) {
        prop_assume!(!lines.is_empty());
        let together = Findings::of(&dealt(&lines, std::iter::repeat(0)).analyze(&strict()));
        let apart = Findings::of(&dealt(&others, places).analyze(&strict()));
        prop_assert_eq!(&apart.rows, &together.rows);
        prop_assert_eq!(apart.figures.counts, together.figures.counts);
        prop_assert_eq!(apart.figures.receipt.total, together.figures.receipt.total);
        prop_assert!(apart.figures.receipt.adds_up());
    }
}

proptest! {
    #![proptest_config(cases(60))]

    /// A line may take its time and its session from its place, so these may change; its tokens may not.
    #[test]
    fn adversarial_lines_are_worth_the_same_wherever_they_stand(
        (lines, others, places) in (movable_lines(), vec(any::<Index>(), 0..9)).prop_flat_map(
            |(lines, repeated)| {
                let places = vec(0..4_usize, lines.len() + repeated.len());
                (Just(lines.clone()), reordered(&lines, &repeated), places)
            }
        )
    ) {
        let together = Findings::of(&dealt(&lines, std::iter::repeat(0)).analyze(&strict()));
        let apart = Findings::of(&dealt(&others, places).analyze(&strict()));
        prop_assert_eq!(worth(&apart), worth(&together));
    }

    #[test]
    fn reading_copies_of_files_changes_no_response(files in adversarial_files()) {
        let twice: Vec<_> = files.iter().flat_map(|file| [file.below("p"), file.below("p/copies")]).collect();
        let twice = Corpus::write(twice);
        let once = Findings::of(&written(&files).analyze(&strict()));
        let twice = Findings::of(&twice.analyze(&strict()));
        prop_assert_eq!(&twice.rows, &once.rows);
        let (receipt, before) = (twice.figures.receipt, once.figures.receipt);
        let mut copies = before.copies_across_files;
        copies += before.copies_across_files;
        copies += before.total;
        prop_assert_eq!(receipt.copies_across_files, copies);
        let ReceiptLine { count, tokens } = before.repeats_within_files;
        prop_assert_eq!(receipt.repeats_within_files, ReceiptLine { count: 2 * count, tokens: 2 * tokens });
    }
}
