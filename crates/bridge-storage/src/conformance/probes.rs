//! Promises of health probes.

use bridge_core::Timestamp;

use super::sources::record;
use super::{at, host, probes, response};
use crate::{NewestSource, ResponseFilter, SourceFilter, SourceRecord, TokenStore, UpsertOptions};

/// A healthy store says so, and is what it was before.
pub async fn health_probes_are_read_only(store: &dyn TokenStore) {
    store.upsert(&[response(1, 5)], &UpsertOptions::default()).await.unwrap();
    let before = store.totals(&ResponseFilter::default()).await.unwrap();
    probes(store).probe_connection().await.unwrap();
    probes(store).probe_write().await.unwrap();
    for disk in probes(store).disks().await.unwrap() {
        assert!(disk.free > 0 && disk.free <= disk.total, "{disk:?}");
    }
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap(), before);
    assert!(store.sources(&SourceFilter::default()).await.unwrap().is_empty());
    if let Some(pool) = probes(store).stats().pool {
        assert!(pool.in_use == 0 && pool.waiting == 0 && pool.size > 0, "{pool:?}");
    }
}

/// The latest change that was read, and when something was read last, whatever other machines read and whatever bears
/// a time in the future.
pub async fn the_newest_source_is_of_its_machine(store: &dyn TokenStore) {
    assert_eq!(probes(store).newest_source(&host("here"), at(1000)).await.unwrap(), None);
    let state = |name: &str, path: &str, modified: Timestamp, read_at: Timestamp| SourceRecord {
        host: host(name),
        read_at,
        ..record(path, modified, 10)
    };
    let records = [
        state("here", "/a", at(5), at(100)),
        state("here", "/b", at(9), at(50)),
        state("there", "/c", at(70), at(700)),
    ];
    store.put_sources(&records).await.unwrap();
    let newest = async |name, until| probes(store).newest_source(&host(name), until).await.unwrap();
    let all = Some(NewestSource { modified: at(9), read_at: at(100) });
    assert_eq!((newest("here", at(9)).await, newest("here", at(1000)).await), (all, all));
    assert_eq!(newest("here", at(8)).await, Some(NewestSource { modified: at(5), read_at: at(100) }));
    assert_eq!((newest("here", at(4)).await, newest("nowhere", at(1000)).await), (None, None));
}
