//! Promises about what a store holds of each host.

use bridge_core::{AuditRecord, Timestamp};

use super::sources::record;
use super::{at, host, hosts};
use crate::{HostActivity, SourceFilter, SourceRecord, SourcesDigest, TokenStore};

async fn digest_of_records(store: &dyn TokenStore, name: &str) -> SourcesDigest {
    let mut digest = SourcesDigest::default();
    let records = store.sources(&SourceFilter::on_host(host(name))).await.unwrap();
    records.iter().for_each(|record| digest.add(record));
    digest
}

/// Every write that changes a record changes it, and none of another host.
pub async fn the_digest_of_sources_is_that_of_their_records(store: &dyn TokenStore) {
    let mut seen = vec![hosts(store).sources_digest(&host("here")).await.unwrap()];
    assert_eq!(seen[0], SourcesDigest::default());
    let state = |name: &str, path: &str, modified: Timestamp, read_at: Timestamp| SourceRecord {
        host: host(name),
        read_at,
        ..record(path, modified, 10)
    };
    let first = state("here", "/a", at(5), at(100));
    let mut other_content = state("here", "/a", at(6), at(110));
    other_content.cursor.fingerprint = 7;
    let writes = [
        first.clone(),
        state("here", "/b", at(5), at(100)),
        state("here", "/a", at(6), at(100)),
        state("here", "/a", at(6), Timestamp::MIN),
        state("here", "/a", at(6), at(110)),
        other_content,
    ];
    for record in writes {
        store.put_sources(&[record]).await.unwrap();
        let digest = hosts(store).sources_digest(&host("here")).await.unwrap();
        assert_eq!(digest, digest_of_records(store, "here").await);
        assert!(!seen.contains(&digest), "{digest:?} in {seen:?}");
        seen.push(digest);
    }
    // An older record, which changes nothing, and one of another host.
    store.put_sources(&[first, state("there", "/a", at(5), at(100))]).await.unwrap();
    assert_eq!(hosts(store).sources_digest(&host("here")).await.unwrap(), seen[seen.len() - 1]);
}

/// A host is seen by what it read, and by the operations that are on record.
pub async fn the_activity_of_hosts_is_the_latest(store: &dyn TokenStore) {
    assert_eq!(hosts(store).host_activity(Timestamp::MIN).await.unwrap(), []);
    let state = |name: &str, path: &str, read_at: Timestamp| SourceRecord {
        host: host(name),
        read_at,
        ..record(path, at(5), 10)
    };
    let records = [state("a", "/a", at(100)), state("a", "/b", at(50)), state("b", "/a", at(70))];
    store.put_sources(&records).await.unwrap();
    if let Some(audit) = store.audit() {
        let operation = |id: u128, name: &str, time| {
            let mut operation = AuditRecord::new(
                bridge_core::AuditId(id),
                time,
                bridge_core::CorrelationId(id),
                bridge_core::OperationName::new("o").unwrap(),
            );
            operation.host = Some(host(name));
            operation
        };
        let operations = [operation(1, "b", at(900)), operation(2, "b", at(90)), operation(3, "c", at(20))];
        audit.put_audit(&operations).await.unwrap();
    }
    let audited = store.audit().is_some();
    let expected = |name: &str, sources, last_read: Option<i64>, last_operation: Option<i64>| HostActivity {
        host: host(name),
        sources,
        last_read: last_read.map(at),
        last_operation: last_operation.filter(|_| audited).map(at),
    };
    let (a, b) = (expected("a", 2, Some(100), None), expected("b", 1, Some(70), Some(900)));
    let mut all = vec![a.clone(), b.clone()];
    all.extend(audited.then(|| expected("c", 0, None, Some(20))));
    assert_eq!(hosts(store).host_activity(Timestamp::MIN).await.unwrap(), all);
    assert_eq!(hosts(store).host_activity(at(50)).await.unwrap(), [a, b.clone()]);
    assert_eq!(b.last_seen(), at(if audited { 900 } else { 70 }).into());
}
