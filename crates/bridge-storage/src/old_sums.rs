//! Sums as revision 1 stored them: one row an analysis.

use bridge_core::{Origin, ResponseUsage, RuleRevision};

/// Returns whether revision 1 stored this row for an analysis without responses.
pub(crate) fn is_old(row: &ResponseUsage) -> bool {
    row.origin == Origin::Summed && row.rule_revision == RuleRevision::FIRST
}

/// Returns what takes the place of such a row: the same sums under the session's key, where those of the newest
/// analysis win, and a marker over the old key.
pub(crate) fn upgraded(old: &ResponseUsage) -> [ResponseUsage; 2] {
    let marker = ResponseUsage::covered(old.key, old.session.clone());
    let sums = ResponseUsage {
        key: bridge_core::ResponseKey::of_session_sums(&old.session),
        rule_revision: RuleRevision::CURRENT,
        forced: 0,
        ..old.clone()
    };
    [sums, marker]
}
