//! Promises about covering superseded keys.

use bridge_core::{ResponseKey, ResponseUsage, RuleRevision, SupersededKey, TokenCounts};

use super::{all_stored, at, response, session};
use crate::{ReplacedRow, ResponseFilter, StoredResponse, TokenStore, UpsertOptions, UpsertOutcome};

fn of_first_revision(key: u128, output: u64) -> ResponseUsage {
    ResponseUsage { rule_revision: RuleRevision::FIRST, ..response(key, output) }
}

fn superseded(key: u128, output: u64) -> SupersededKey {
    SupersededKey::new(ResponseKey(key), true, TokenCounts { output, ..TokenCounts::ZERO })
}

async fn tokens(store: &dyn TokenStore) -> u64 {
    store.totals(&ResponseFilter::default()).await.unwrap().counts.total()
}

/// Only rows of an older revision are covered, and only those of at most the key's weight.
pub async fn superseded_keys_are_covered(store: &dyn TokenStore) {
    let options = UpsertOptions::default();
    assert!(store.cover(&[superseded(1, 9)], &options).await.unwrap().is_empty());
    assert!(store.cover(&[], &options).await.unwrap().is_empty());
    assert!(
        all_stored(store).await.is_none_or(|rows| rows.is_empty()),
        "nothing is written in a fresh store"
    );

    let rows = [of_first_revision(1, 5), of_first_revision(2, 50), response(3, 500)];
    store.upsert(&rows, &options).await.unwrap();
    let keys: Vec<_> = (1..=4).map(|key| superseded(key, 9)).collect();
    let replaced =
        ReplacedRow { session: session("s"), tokens: 5, rule_revision: RuleRevision::FIRST, usage: None };
    assert_eq!(store.cover(&keys, &options).await.unwrap(), [replaced]);
    assert_eq!(tokens(store).await, 550);
    assert!(store.cover(&keys, &options).await.unwrap().is_empty(), "it is done once");
    assert!(all_stored(store).await.is_none_or(|rows| rows.iter().all(StoredResponse::is_intact)));

    // An old program that stores its row again changes nothing; one that has a greater snapshot does.
    let again = store.upsert(&rows[..1], &options).await.unwrap();
    assert_eq!((again, tokens(store).await), (vec![UpsertOutcome::Covered], 550));
    let copy = ResponseUsage { time: at(-9), session: session("t"), ..of_first_revision(1, 9) };
    store.upsert(&[copy], &options).await.unwrap();
    assert_eq!(tokens(store).await, 550);
    store.upsert(&[of_first_revision(1, 10)], &options).await.unwrap();
    assert_eq!(tokens(store).await, 560);
}
