//! A range of dates takes apart what the whole history says, and loses nothing.

use bridge_analysis::History;
use bridge_core::{TimeRange, Timestamp, TokenCounts};
use proptest::prelude::*;

use super::corpus::strict;
use super::strategy::{adversarial_files, cases, written};

/// The borders lie where the times of adversarial lines and of files do.
fn border() -> impl Strategy<Value = Timestamp> {
    const NEW_YEAR_2026: i64 = 1_767_225_600_000;
    let millis = prop_oneof![0..4_i64, 0..1_i64 << 40, NEW_YEAR_2026 - 2..NEW_YEAR_2026 + 3];
    millis.prop_map(|millis| Timestamp::from_millis(millis).unwrap())
}

fn assert_range_is_what_lies_in_it(history: &History, range: &TimeRange) -> TokenCounts {
    let figures = history.summary(range).unwrap();
    let inside: Vec<_> = history.responses().filter(|response| range.contains(response.time)).collect();
    let counts = TokenCounts::checked_sum(inside.iter().map(|response| response.counts)).unwrap();
    assert_eq!((figures.responses, figures.counts), (inside.len() as u64, counts));
    let whole = figures.receipt.total;
    assert_eq!(figures.responses + figures.outside_range.count, whole.count);
    assert_eq!(counts.total() + figures.outside_range.tokens, whole.tokens);
    assert_eq!(figures.receipt, history.receipt());
    counts
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn dates_split_the_total_and_leave_the_receipt_whole(
        files in adversarial_files(), one in border(), other in border(),
    ) {
        let history = written(&files).analyze(&strict());
        let (start, end) = (one.min(other), one.max(other));
        let ranges = [(None, Some(start)), (Some(start), Some(end)), (Some(end), None)];
        let parts = ranges.map(|(start, end)| assert_range_is_what_lies_in_it(&history, &TimeRange { start, end }));
        prop_assert_eq!(TokenCounts::checked_sum(parts).unwrap(), history.counts().unwrap());
        prop_assert!(history.receipt().adds_up());
    }
}
