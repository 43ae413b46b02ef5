//! The merge of response versions is a maximum under a total order that sorts as the counting rule says.

use std::cmp::Reverse;

use bridge_core::strategy::response_usage;
use bridge_core::{
    AttributionValue, ResponseKey, ResponseUsage, ResponseVersion, RuleRevision, SessionId, SharedAssignment,
    Timestamp,
};
use proptest::prelude::*;

fn versions_of_one_response() -> impl Strategy<Value = Vec<ResponseUsage>> {
    prop::collection::vec(response_usage(), 1..6).prop_map(|mut rows| {
        rows.iter_mut().for_each(|row| row.key = ResponseKey(7));
        rows
    })
}

fn merged(rows: impl IntoIterator<Item = ResponseUsage>) -> Option<ResponseUsage> {
    rows.into_iter().reduce(ResponseUsage::merge)
}

/// The rule's order without the hash, written down once more as a tuple.
fn by_the_rule(row: &ResponseUsage) -> impl Ord + use<> {
    let main = !row.sidechain && !row.nested;
    let finished = row.finished && (row.rule_revision.0 == 1 || !row.counts.is_zero());
    let counts_as = if row.rule_revision.0 == 3 { 2 } else { row.rule_revision.0 };
    let counts = (row.counts.output, row.counts.total());
    (counts_as, finished, counts, main, !row.forked, row.rule_revision, Reverse(row.time))
}

proptest! {
    #[test]
    fn order_repetition_and_grouping_do_not_matter(
        rows in versions_of_one_response(),
        cut in 0_usize..6,
        seed in any::<usize>(),
    ) {
        let whole = merged(rows.clone());
        let mut shuffled = rows.clone();
        shuffled.extend(rows.iter().cloned());
        let length = shuffled.len();
        for index in 0..length {
            shuffled.swap(index, seed.wrapping_mul(index + 1) % length);
        }
        prop_assert_eq!(&merged(shuffled), &whole);
        let (left, right) = rows.split_at(cut.min(rows.len()));
        let halves = merged(left.to_vec()).into_iter().chain(merged(right.to_vec()));
        prop_assert_eq!(&merged(halves), &whole);
    }

    #[test]
    fn the_version_sorts_as_the_rule_does(a in response_usage(), b in response_usage()) {
        let (rule_a, rule_b) = (by_the_rule(&a), by_the_rule(&b));
        prop_assert_eq!(a.rank() > b.rank(), rule_a > rule_b);
        if rule_a != rule_b {
            prop_assert_eq!(a.version() > b.version(), rule_a > rule_b);
        }
    }

    #[test]
    fn an_assigned_row_replaces_the_same_row_without_one(row in response_usage(), forced in any::<bool>()) {
        let without = ResponseUsage { assignment: SharedAssignment::default(), ..row.clone() };
        let mut assigned = without.clone();
        assigned.assignment.team = AttributionValue::new("t").ok();
        prop_assert!(assigned.version() > without.version());
        prop_assert_eq!(&assigned.clone().merge(without.clone()), &assigned);
        prop_assert_eq!(assigned.rank(), without.rank());
        let mut other = assigned.clone();
        other.assignment.team = AttributionValue::new("u").ok();
        prop_assert!(!assigned.version().verifies(&without) && !assigned.version().verifies(&other));
        if forced {
            let version = row.version().replaced_by(&assigned);
            let stored = ResponseUsage { forced: version.forced(), ..assigned };
            prop_assert!(version.verifies(&stored));
            let other = ResponseUsage { forced: version.forced(), ..other };
            prop_assert!(!version.verifies(&other));
        }
    }

    #[test]
    fn equal_versions_are_equal_rows(a in response_usage(), mut b in response_usage()) {
        b.key = a.key;
        if a != b {
            prop_assert_ne!(a.version(), b.version());
        }
    }

    #[test]
    fn a_forced_row_beats_every_copy_of_what_it_replaced_and_loses_to_what_is_greater(
        stored in response_usage(), correction in response_usage(), mut copy in response_usage(),
    ) {
        let forced = stored.version().replaced_by(&correction);
        prop_assert_eq!(forced.forced(), 1);
        prop_assert!(forced > stored.version());
        prop_assert!(forced.replaced_by(&stored) > forced);
        prop_assert_eq!(copy.version() > forced, copy.rank() > stored.rank());
        copy = ResponseUsage { host: copy.host, project: copy.project, ..stored };
        prop_assert!(forced > copy.version());
    }

    #[test]
    fn a_version_vouches_for_its_row_and_for_no_other(a in response_usage(), mut b in response_usage()) {
        b.key = a.key;
        prop_assert!(a.version().verifies(&a));
        let forced = a.version().replaced_by(&b);
        let stored = ResponseUsage { forced: forced.forced(), ..b.clone() };
        prop_assert!(forced.verifies(&stored));
        if a != b {
            prop_assert!(!a.version().verifies(&b));
            let other = ResponseUsage { forced: stored.forced, ..a };
            prop_assert!(!forced.verifies(&other));
        }
        for other in [
            ResponseUsage { finished: !b.finished, ..stored.clone() },
            ResponseUsage { forked: !b.forked, ..stored.clone() },
            ResponseUsage { forced: stored.forced + 1, ..stored.clone() },
            ResponseUsage { forced: 0, ..stored },
        ] {
            prop_assert!(!forced.verifies(&other));
        }
    }

    #[test]
    fn a_row_of_a_newer_revision_replaces_any_of_an_older(
        a in response_usage(),
        b in response_usage(),
        forced in 0_u32..9,
    ) {
        let older = ResponseUsage { rule_revision: RuleRevision::FIRST, forced, ..a };
        let newer = ResponseUsage { rule_revision: RuleRevision::CURRENT, ..b.clone() };
        prop_assert!(newer.version() > older.version());
        let newest = ResponseUsage { rule_revision: RuleRevision(u8::MAX), ..b };
        prop_assert!(newest.version() > newer.version());
    }

    #[test]
    fn of_revisions_that_count_alike_the_greater_snapshot_wins_and_else_the_newer(
        a in response_usage(),
        b in response_usage(),
    ) {
        let older = ResponseUsage { rule_revision: RuleRevision(2), ..a.clone() };
        let newer = ResponseUsage { rule_revision: RuleRevision(3), ..b };
        prop_assert_eq!(newer.version() > older.version(), by_the_rule(&newer) > by_the_rule(&older));
        prop_assert_eq!(newer.rank() > older.rank(), by_the_rule(&newer) > by_the_rule(&older));
        let read_again = ResponseUsage { rule_revision: RuleRevision(3), ..older.clone() };
        prop_assert!(read_again.version() > older.version());
        let greater = ResponseUsage { rule_revision: RuleRevision(2), finished: true, ..read_again.clone() };
        let lesser = ResponseUsage { finished: false, ..read_again };
        if !greater.counts.is_zero() {
            prop_assert!(greater.version() > lesser.version(), "a snapshot whose file is gone stays");
        }
    }

    #[test]
    fn covered_sums_are_greater_than_all_sums(row in response_usage(), forced in 0_u32..9) {
        let covered = ResponseUsage::covered_sums(row.session.clone());
        let newest = ResponseUsage { rule_revision: RuleRevision(u8::MAX), forced, ..row };
        prop_assert!(covered.version() > newest.version());
        prop_assert!(covered.version().verifies(&covered));
        let renamed = ResponseUsage { session: SessionId::new("other").unwrap(), ..covered.clone() };
        prop_assert!(!covered.version().verifies(&renamed));
    }

    #[test]
    fn a_marker_covers_what_revision_1_made_of_snapshots_of_at_most_its_weight(
        a in response_usage(),
        b in response_usage(),
        forced in 0_u32..9,
    ) {
        let stored = ResponseUsage { rule_revision: RuleRevision::FIRST, forced, ..a };
        let read = ResponseUsage { rule_revision: RuleRevision::FIRST, ..b };
        let marker = ResponseUsage {
            origin: bridge_core::Origin::Covered,
            ..ResponseUsage::new(read.key, read.session.clone(), read.time)
        };
        let version = ResponseVersion::covering_revision_1(read.finished, &read.counts, &marker);
        let weight = |row: &ResponseUsage| (row.finished, row.counts.output, row.counts.total());
        prop_assert_eq!(version > stored.version(), weight(&read) >= weight(&stored));
        prop_assert!(version.verifies(&marker));
        let newer = ResponseUsage { rule_revision: RuleRevision::CURRENT, ..stored };
        prop_assert!(newer.version() > version);
    }

    #[test]
    fn the_sums_of_the_newest_analysis_win(row in response_usage(), later in 1_i64..9) {
        let time = row.time.as_millis().min(Timestamp::MAX.as_millis() - later);
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let sums = ResponseUsage {
            origin: bridge_core::Origin::Summed,
            rule_revision: RuleRevision::CURRENT,
            time: at(time),
            ..row.clone()
        };
        let mut newer = ResponseUsage { time: at(time + later), ..sums.clone() };
        newer.counts.output = 0;
        prop_assert!(newer.version() > sums.version());
        prop_assert!(newer.version().verifies(&newer));
    }

    #[test]
    fn versions_survive_their_bytes(row in response_usage()) {
        let version = row.version();
        prop_assert_eq!(ResponseVersion::from_le_bytes(version.to_le_bytes()), version);
        let (high, low) = version.to_parts();
        prop_assert_eq!(ResponseVersion::from_parts(high, low), version);
    }
}
