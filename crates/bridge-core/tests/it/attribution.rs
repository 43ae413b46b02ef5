//! Fields that are set enter the version; unset ones leave it as it was before these fields existed.

use bridge_core::{
    Attribution, AttributionValue, RequestId, ResponseKey, ResponseUsage, RuleRevision, SessionId, Timestamp,
};

fn row() -> ResponseUsage {
    let time = Timestamp::from_millis(1_750_000_000_000).expect("a time in range");
    let mut row = ResponseUsage::new(ResponseKey(7), SessionId::new("s").expect("a short name"), time);
    (row.counts.input, row.counts.output) = (3, 5);
    row.finished = true;
    row
}

#[test]
fn every_value_makes_a_version_of_its_own() {
    let value = || AttributionValue::new("1").ok();
    let fields: Vec<_> = Attribution::<AttributionValue>::default().values().map(|(name, _)| name).collect();
    let mut rows = vec![row()];
    for name in fields {
        let json = serde_json::json!({ name: value() });
        let attribution: Attribution = serde_json::from_value(json).unwrap();
        rows.push(ResponseUsage { attribution: attribution.into(), ..row() });
    }
    rows.push(ResponseUsage { thinking_tokens: Some(1), ..row() });
    rows.push(ResponseUsage { thinking_tokens: Some(0), ..row() });
    rows.push(ResponseUsage { web_search_requests: Some(1), ..row() });
    rows.push(ResponseUsage { web_fetch_requests: Some(1), ..row() });
    rows.push(ResponseUsage { request_id: RequestId::new("1").ok(), ..row() });
    let mut versions: Vec<_> = rows.iter().map(ResponseUsage::version).collect();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), rows.len());
}

/// Stores hold these versions; the integrity check computes them again.
#[test]
fn versions_of_older_revisions_stay() {
    let version =
        |revision| ResponseUsage { rule_revision: RuleRevision(revision), ..row() }.version().to_string();
    assert_eq!(version(1), "80000000000028000000000001183f0991f4dff800000000ce4c72f62f4ef12a");
    assert_eq!(version(2), "81200000000001400000000001183f0991f4dff80000000095554be72d93a6d5");
}
