//! Promises that a proof of integrity relies on.

use bridge_core::{ResponseKey, ResponseUsage, SessionId};

use super::{Rows, integrity, response, session};
use crate::{ResponseFilter, StoredResponse, StoredScope, TokenStore, UpsertOptions};

async fn put(store: &dyn TokenStore, rows: &[ResponseUsage]) {
    store.upsert(rows, &UpsertOptions::default()).await.unwrap();
}

/// A scope gives its rows and no other, each with the version that it is stored under, forced ones too.
pub async fn stored_rows_come_with_versions_that_vouch_for_them(store: &dyn TokenStore) {
    let rows = Rows::new(4).rows(30);
    put(store, &rows).await;
    store.upsert(&Rows::new(5).rows(8), &UpsertOptions::default().forced()).await.unwrap();
    let all = integrity(store).stored(&StoredScope::all()).await.unwrap();
    assert!(all.iter().all(StoredResponse::is_intact));
    let usages = all.iter().filter_map(|row| row.usage.clone());
    let readable: Vec<ResponseUsage> = usages.filter(|row| row.origin.is_counted()).collect();
    assert_eq!(readable, store.responses(&ResponseFilter::default()).await.unwrap());

    let expect = |wanted: &dyn Fn(&ResponseUsage) -> bool| {
        all.iter().filter(|row| row.usage.as_ref().is_some_and(wanted)).cloned().collect::<Vec<_>>()
    };
    let (first, last) = (all[2].key, all[4].key);
    let range = integrity(store).stored(&StoredScope::Keys(first..=last)).await.unwrap();
    assert_eq!(range, all[2..=4]);
    for name in ["n0", "n1", "nobody"] {
        for keys in [Vec::new(), vec![first, last, ResponseKey(5)]] {
            let wanted = |row: &ResponseUsage| row.session.as_str() == name || keys.contains(&row.key);
            let scope = StoredScope::Session { session: session(name), keys: keys.clone() };
            assert_eq!(integrity(store).stored(&scope).await.unwrap(), expect(&wanted), "{name} {keys:?}");
        }
    }
}

/// A version that was replaced in the meantime is not removed, nor is what stands under another key.
pub async fn exactly_the_named_versions_are_removed(store: &dyn TokenStore) {
    put(store, &[response(1, 5), response(2, 5), response(3, 5)]).await;
    let seen = integrity(store).stored(&StoredScope::all()).await.unwrap();
    put(store, &[response(2, 6)]).await;
    let versions: Vec<_> = seen[..2].iter().map(|row| (row.key, row.version)).collect();
    integrity(store).remove(&[]).await.unwrap();
    integrity(store).remove(&versions).await.unwrap();
    let left = |rows: Vec<ResponseUsage>| {
        rows.into_iter().map(|row| (row.key.0, row.counts.output)).collect::<Vec<_>>()
    };
    assert_eq!(left(store.responses(&ResponseFilter::default()).await.unwrap()), [(2, 6), (3, 5)]);
    // What was removed can be stored again.
    put(store, &[response(1, 5)]).await;
    let all = ResponseFilter::of_sessions(vec![SessionId::new("s").unwrap()]);
    assert_eq!(left(store.responses(&all).await.unwrap()), [(1, 5), (2, 6), (3, 5)]);
}

/// Without a retention no response leaves the store by its age.
pub async fn what_has_no_retention_keeps_everything(store: &dyn TokenStore) {
    assert_eq!(integrity(store).retention_cutoff(super::at(0)).await.unwrap(), None);
}
