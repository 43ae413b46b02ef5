//! Adversarial lines are worth their name, and the reference keeps its promises on them.

use bridge_testkit::{
    adversarial,
    reference::{Options, ReferenceFile, ReferenceTotals, analyze},
};
use fastrand::Rng;

fn files(rng: &mut Rng) -> Vec<ReferenceFile> {
    let number = rng.usize(1..5);
    (0..number)
        .map(|index| {
            let lines = rng.usize(..30);
            ReferenceFile::new(
                format!("p/f{index}.jsonl"),
                rng.i64(..1 << 40),
                adversarial::transcript(rng, lines),
            )
        })
        .collect()
}

fn count(files: &[ReferenceFile]) -> ReferenceTotals {
    analyze(files.iter().cloned(), Options::default())
}

#[test]
fn a_record_is_valid_and_on_one_line() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..5_000 {
        let record = adversarial::record(&mut rng);
        let totals = count(&[ReferenceFile::new("f.jsonl", 0, [&record[..], b"\n"].concat())]);
        assert_eq!((totals.lines, totals.bad_lines), (1, 0), "{}", String::from_utf8_lossy(&record));
    }
}

#[test]
fn the_receipt_adds_up_in_any_order_and_every_kind_occurs() {
    let mut rng = Rng::with_seed(2);
    let mut seen = [0; 15];
    for _ in 0..400 {
        let mut files = files(&mut rng);
        let totals = count(&files);
        assert_eq!(
            totals.all_snapshots() - totals.repeats_within_files - totals.copies_across_files,
            totals.total
        );
        assert_eq!(totals.by_response.len() as u64, totals.responses);
        rng.shuffle(&mut files);
        assert_eq!(count(&files), totals);
        let figures = [
            totals.bad_lines,
            totals.pending,
            totals.bad_usage,
            totals.usage_lines,
            totals.nested_snapshots,
            totals.from_iterations,
            totals.raised,
            totals.advisor_naive,
            totals.compaction_naive,
            totals.declined_naive,
            totals.other_naive,
            totals.weak_snapshots,
            totals.repeats_within_files,
            totals.copies_across_files,
            totals.total_nested_only,
        ];
        seen.iter_mut().zip(figures).for_each(|(seen, figure)| *seen += figure);
    }
    assert!(seen.iter().all(|figure| *figure > 10), "{seen:?}");
}

/// Reading a file again, or another time under another name, changes no total.
#[test]
fn copies_change_no_total() {
    let mut rng = Rng::with_seed(3);
    for _ in 0..200 {
        let mut files = files(&mut rng);
        let once = count(&files);
        let mut copy = files[0].clone();
        copy.path = "p/copy.jsonl".into();
        files.push(copy);
        let twice = count(&files);
        assert_eq!((twice.responses, twice.total), (once.responses, once.total));
    }
}
