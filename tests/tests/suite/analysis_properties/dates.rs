//! Time ranges partition the total of a history without losing anything.

use bridge_analysis::History;
use bridge_core::{TimeRange, Timestamp, TokenCounts};
use proptest::prelude::*;

use super::corpus::strict;
use super::strategy::{adversarial_files, cases, write_corpus};

/// Generates boundaries near the times of adversarial lines and files.
fn boundary() -> impl Strategy<Value = Timestamp> {
    const NEW_YEAR_2026: i64 = 1_767_225_600_000;
    let millis = prop_oneof![0..4_i64, 0..1_i64 << 40, NEW_YEAR_2026 - 2..NEW_YEAR_2026 + 3];
    millis.prop_map(|millis| Timestamp::from_millis(millis).unwrap())
}

fn assert_summary_of_range(history: &History, range: &TimeRange) -> TokenCounts {
    let summary = history.summary(range).unwrap();
    let inside: Vec<_> = history.responses().filter(|response| range.contains(response.time)).collect();
    let counts = TokenCounts::checked_sum(inside.iter().map(|response| response.counts)).unwrap();
    assert_eq!((summary.responses, summary.counts), (inside.len() as u64, counts));
    let whole = summary.receipt.total;
    assert_eq!(summary.responses + summary.outside_range.count, whole.count);
    assert_eq!(counts.total() + summary.outside_range.tokens, whole.tokens);
    assert_eq!(summary.receipt, history.receipt());
    counts
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn time_ranges_partition_the_total_and_keep_the_receipt(
        files in adversarial_files(), one in boundary(), other in boundary(),
    ) {
        let history = write_corpus(&files).analyze(&strict());
        let (start, end) = (one.min(other), one.max(other));
        let ranges = [(None, Some(start)), (Some(start), Some(end)), (Some(end), None)];
        let parts = ranges.map(|(start, end)| assert_summary_of_range(&history, &TimeRange { start, end }));
        prop_assert_eq!(TokenCounts::checked_sum(parts).unwrap(), history.counts().unwrap());
        prop_assert!(history.receipt().adds_up());
    }
}
