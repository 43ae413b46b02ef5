//! Promises about the audit.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge_core::{
    Actor, AuditFilter, AuditId, AuditOutcome, AuditRecord, CorrelationId, OperationName, TimeRange,
};

use super::{at, audit, host, session};
use crate::TokenStore;

fn actor(name: &str) -> Actor {
    Actor::new(name).expect("a short name")
}

fn operation(name: &str) -> OperationName {
    OperationName::new(name).expect("a short name")
}

/// The record of this number, a second after the one before; every fourth of a number stands for the same operation,
/// session and outcome.
pub(super) fn record(number: u32) -> AuditRecord {
    let time = at(i64::from(number) * 1000);
    let id = AuditId::new(time, number, u64::from(number));
    let kind = number % 4;
    let mut record =
        AuditRecord::new(id, time, CorrelationId(u128::from(number)), operation(&format!("o{kind}")));
    record.session = (kind > 0).then(|| session(&format!("s{kind}")));
    record.actor = [None, Some("a1"), Some("a2")][number as usize % 3].map(actor);
    record.outcome = AuditOutcome::ALL[kind as usize];
    record
}

/// Every field comes back, newest first; records of the same time stand by id.
pub async fn audit_records_come_back_newest_first(store: &dyn TokenStore) {
    let mut full = record(5);
    full.forced = true;
    (full.records_stored, full.new_responses, full.tokens) = (u64::MAX, 2, 3);
    (full.tokens_replaced, full.tokens_written) = (4, u64::MAX - 1);
    full.counts = BTreeMap::from([("files".to_owned(), 7), ("sessions".to_owned(), u64::MAX)]);
    full.duration = Duration::from_micros(1_234_567);
    (full.error_kind, full.error) = ("busy".to_owned(), "it's \"busy\"\\\n\u{e9}".to_owned());
    full.host = Some(host("h"));
    full.actor = Some(actor("it's \"me\"\\\u{e9}\n"));
    full.version = "1.2.3".to_owned();
    let mut next = record(6);
    (next.time, next.id) = (full.time, AuditId::new(full.time, 6, 0));
    audit(store).put_audit(&[record(4), next.clone(), full.clone()]).await.unwrap();
    audit(store).put_audit(&[]).await.unwrap();
    let found = audit(store).audit_records(&AuditFilter::default()).await.unwrap();
    assert_eq!(found, [next, full, record(4)]);
}

/// A record that is written repeatedly is one record.
pub async fn an_audit_record_that_is_written_again_stays_one(store: &dyn TokenStore) {
    let records: Vec<_> = (0..10).map(record).collect();
    audit(store).put_audit(&records[..6]).await.unwrap();
    audit(store).put_audit(&records).await.unwrap();
    audit(store).put_audit(&records[3..]).await.unwrap();
    let mut found = audit(store).audit_records(&AuditFilter::default()).await.unwrap();
    found.reverse();
    assert_eq!(found, records);
}

/// A record that is written again with other content, as when an operation has ended, replaces the one before.
pub async fn an_audit_record_that_is_written_anew_is_replaced(store: &dyn TokenStore) {
    let begun = record(5);
    let mut ended = begun.clone();
    (ended.tokens, ended.outcome) = (7, AuditOutcome::Succeeded);
    audit(store).put_audit(&[record(4), begun]).await.unwrap();
    audit(store).put_audit(std::slice::from_ref(&ended)).await.unwrap();
    assert_eq!(audit(store).audit_records(&AuditFilter::default()).await.unwrap(), [ended, record(4)]);
}

/// Pages, each after the last record of the one before, are the whole list, also where records have the same time.
pub async fn audit_pages_add_up_to_the_list(store: &dyn TokenStore) {
    let mut records: Vec<_> = (0..20).map(record).collect();
    for record in &mut records[4..16] {
        record.time = at(4_000);
    }
    audit(store).put_audit(&records).await.unwrap();
    let whole = audit(store).audit_records(&AuditFilter::default()).await.unwrap();
    assert_eq!(whole.len(), records.len());
    let (mut listed, mut filter) = (Vec::new(), AuditFilter::default().with_limit(3));
    loop {
        let page = audit(store).audit_records(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter = filter.listed_after(last);
        listed.extend(page);
    }
    assert_eq!(listed, whole);
}

/// Each condition, and the limit, admits what [`AuditFilter::admits`] does.
pub async fn audit_filters_admit_what_they_name(store: &dyn TokenStore) {
    let records: Vec<_> = (0..40).map(record).collect();
    audit(store).put_audit(&records).await.unwrap();
    let all = AuditFilter::default();
    let middle = TimeRange { start: Some(at(9_000)), end: Some(at(20_000)) };
    let filters = [
        all.clone(),
        all.clone().with_time(middle),
        all.clone().with_operation(operation("o2")),
        all.clone().with_session(session("s3")),
        all.clone().with_outcome(AuditOutcome::Failed),
        all.clone().with_correlation_id(CorrelationId(17)),
        all.clone().with_actor(actor("a2")),
        all.clone().with_actor(actor("a1")).with_operation(operation("o2")),
        all.clone().listed_after(&records[17]),
        all.clone().listed_after(&records[17]).with_actor(actor("a1")).with_time(middle).with_limit(2),
        all.clone().listed_after(&records[0]),
        all.clone().with_limit(5).with_time(middle),
        all.clone().with_time(middle).with_operation(operation("o1")).with_session(session("s1")),
        all.clone().with_operation(operation("o1")).with_session(session("s2")),
        all.with_limit(0),
    ];
    for filter in filters {
        let mut wanted: Vec<_> = records.iter().rev().filter(|record| filter.admits(record)).collect();
        wanted.truncate(filter.limit as usize);
        let found = audit(store).audit_records(&filter).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{filter:?}");
    }
}
