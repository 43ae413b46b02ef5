//! Promises about checkpoints and rollback.

use bridge_core::{
    BridgeError, CheckpointName, CheckpointTotals, Epoch, ResponseUsage, SessionDifference, StorageKind,
    StoreMode, StoreState,
};

use super::sources::record;
use super::{Rows, all_stored, at, checkpoints, response, session};
use crate::{
    CheckpointStore, InMemoryStore, ResponseFilter, SourceFilter, SourceRecord, StoredResponse, StoredScope,
    SummaryFilter, TokenStore, UpsertOptions,
};

fn name(text: &str) -> CheckpointName {
    CheckpointName::new(text).expect("a name")
}

/// Everything that a store holds.
#[derive(Debug, PartialEq)]
struct Everything {
    responses: Vec<ResponseUsage>,
    /// `None` where the store does not show them.
    stored: Option<Vec<StoredResponse>>,
    sources: Vec<SourceRecord>,
    summaries: Vec<bridge_core::TokenSummaryRecord>,
}

async fn everything(store: &dyn TokenStore) -> Everything {
    let filter = SummaryFilter::default().with_metadata(true);
    Everything {
        responses: store.responses(&ResponseFilter::default()).await.unwrap(),
        stored: all_stored(store).await,
        sources: store.sources(&SourceFilter::default()).await.unwrap(),
        summaries: store.summaries(&filter).await.unwrap(),
    }
}

async fn put(store: &dyn TokenStore, rows: &[ResponseUsage]) -> Result<(), BridgeError> {
    store.upsert(rows, &UpsertOptions::default()).await.map(drop)
}

fn source(path: &str, offset: u64, epoch: Epoch) -> SourceRecord {
    SourceRecord { epoch, ..record(path, at(5), offset) }
}

pub(super) fn assert_kind<T: std::fmt::Debug>(
    result: Result<T, BridgeError>,
    expected: StorageKind,
) -> String {
    let error = result.unwrap_err();
    assert!(matches!(&error, BridgeError::Storage { kind, .. } if *kind == expected), "{error:?}");
    assert!(!error.is_retryable());
    error.to_string()
}

/// A rollback brings back every row, every record of a source and every summary as they were.
pub async fn a_rollback_brings_back_the_exact_state(store: &dyn TokenStore) {
    put(store, &[response(1, 5), response(2, 6)]).await.unwrap();
    store.put_sources(&[source("a", 10, Epoch(0)), source("b", 20, Epoch(0))]).await.unwrap();
    let before = everything(store).await;
    checkpoints(store).create_checkpoint(&name("good"), at(1)).await.unwrap();
    assert_eq!(everything(store).await, before);

    put(store, &[response(1, 50), response(3, 7)]).await.unwrap();
    store.upsert(&[response(2, 1)], &UpsertOptions::default().forced()).await.unwrap();
    store.put_sources(&[source("a", 90, Epoch(0)), source("c", 1, Epoch(0))]).await.unwrap();
    let replaced = checkpoints(store).roll_back(&name("good"), at(2)).await.unwrap();
    assert_eq!(everything(store).await, before);
    let kept = checkpoints(store).list_checkpoints().await.unwrap().pop().unwrap();
    assert_eq!((&kept.name, kept.name.as_str(), kept.taken_at), (&replaced, "before_rollback_1", at(2)));
    assert_eq!(kept.totals, CheckpointTotals { tokens: 58, responses: 3, sessions: 1 });
}

/// After a rollback nothing is stored and everything is read, until the store is resumed.
pub async fn a_store_that_was_rolled_back_takes_nothing_until_it_is_resumed(store: &dyn TokenStore) {
    assert_eq!(checkpoints(store).state().await.unwrap(), StoreState::first());
    assert_eq!(checkpoints(store).resume().await.unwrap(), StoreState::first());
    put(store, &[response(1, 5)]).await.unwrap();
    checkpoints(store).create_checkpoint(&name("good"), at(1)).await.unwrap();
    checkpoints(store).roll_back(&name("good"), at(2)).await.unwrap();

    let mode = StoreMode::Direct { checkpoint: name("good") };
    assert_eq!(checkpoints(store).state().await.unwrap(), StoreState { epoch: Epoch(1), mode });
    let message = assert_kind(put(store, &[response(2, 5)]).await, StorageKind::RolledBack);
    assert!(message.contains("checkpoint good") && message.contains("resumed"), "{message}");
    // Even what is there already: the caller must not believe that he may go on.
    assert_kind(put(store, &[response(1, 5)]).await, StorageKind::RolledBack);
    let record = source("a", 1, Epoch(1));
    assert_kind(store.put_sources(std::slice::from_ref(&record)).await, StorageKind::RolledBack);
    if let Some(integrity) = store.integrity() {
        let row = integrity.stored(&StoredScope::all()).await.unwrap().remove(0);
        assert_kind(integrity.remove(&[(row.key, row.version)]).await, StorageKind::RolledBack);
    }
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.output, 5);

    let state = StoreState { epoch: Epoch(1), mode: StoreMode::Stored };
    assert_eq!(checkpoints(store).resume().await.unwrap(), state);
    put(store, &[response(2, 5)]).await.unwrap();
    store.put_sources(&[record]).await.unwrap();
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap().counts.output, 10);
}

/// An operation that began before a rollback stores nothing more, no cursor either, even after the resumption.
pub async fn what_began_before_a_rollback_is_refused_for_ever(store: &dyn TokenStore) {
    checkpoints(store).create_checkpoint(&name("empty"), at(1)).await.unwrap();
    let begun = UpsertOptions::default().begun_in(checkpoints(store).state().await.unwrap().epoch);
    store.upsert(&[response(1, 5)], &begun).await.unwrap();
    checkpoints(store).roll_back(&name("empty"), at(2)).await.unwrap();
    for _ in 0..2 {
        assert_kind(store.upsert(&[response(2, 5)], &begun).await, StorageKind::RolledBack);
        assert_kind(store.put_sources(&[source("a", 9, Epoch(0))]).await, StorageKind::RolledBack);
        // One old record among new ones.
        let records = [source("a", 9, Epoch(1)), source("b", 9, Epoch(0))];
        assert_kind(store.put_sources(&records).await, StorageKind::RolledBack);
        checkpoints(store).resume().await.unwrap();
    }
    let Everything { responses, stored, sources, summaries } = everything(store).await;
    assert!(responses.is_empty() && sources.is_empty() && summaries.is_empty());
    assert!(stored.is_none_or(|rows| rows.is_empty()));
}

/// Rows and records of sources that were stored before can be stored again after the resumption.
pub async fn what_a_rollback_took_is_stored_again(store: &dyn TokenStore) {
    checkpoints(store).create_checkpoint(&name("empty"), at(1)).await.unwrap();
    let rows = [response(1, 5), response(2, 6)];
    put(store, &rows).await.unwrap();
    store.put_sources(&[source("a", 9, Epoch(0))]).await.unwrap();
    let before = everything(store).await;
    checkpoints(store).roll_back(&name("empty"), at(2)).await.unwrap();
    checkpoints(store).resume().await.unwrap();
    put(store, &rows).await.unwrap();
    store.put_sources(&[source("a", 9, Epoch(1))]).await.unwrap();
    let after = everything(store).await;
    assert_eq!(
        (after.responses, after.stored, after.summaries),
        (before.responses, before.stored, before.summaries)
    );

    // The record of a later epoch wins over one that was read further.
    store.put_sources(&[source("b", 90, Epoch(1))]).await.unwrap();
    checkpoints(store).create_checkpoint(&name("full"), at(3)).await.unwrap();
    checkpoints(store).roll_back(&name("full"), at(4)).await.unwrap();
    checkpoints(store).resume().await.unwrap();
    store.put_sources(&[source("b", 3, Epoch(2))]).await.unwrap();
    let sources = store.sources(&SourceFilter::default()).await.unwrap();
    assert_eq!(sources, [source("a", 9, Epoch(1)), source("b", 3, Epoch(2))]);
}

/// A rollback can be rolled back, and a checkpoint used again.
pub async fn a_rollback_can_be_rolled_back(store: &dyn TokenStore) {
    put(store, &[response(1, 5)]).await.unwrap();
    checkpoints(store).create_checkpoint(&name("one"), at(1)).await.unwrap();
    put(store, &[response(2, 6)]).await.unwrap();
    store.put_sources(&[source("a", 10, Epoch(0))]).await.unwrap();
    let two = everything(store).await;
    let replaced = checkpoints(store).roll_back(&name("one"), at(2)).await.unwrap();
    let one = everything(store).await;
    checkpoints(store).roll_back(&replaced, at(3)).await.unwrap();
    assert_eq!(everything(store).await, two);
    for _ in 0..2 {
        checkpoints(store).roll_back(&name("one"), at(4)).await.unwrap();
        assert_eq!(everything(store).await, one);
    }
    assert_eq!(checkpoints(store).state().await.unwrap().epoch, Epoch(4));
}

/// Checkpoints are listed by time and name, with what they hold; a dropped one is gone, and its name is free.
pub async fn checkpoints_are_listed_and_dropped(store: &dyn TokenStore) {
    assert_eq!(checkpoints(store).list_checkpoints().await.unwrap(), []);
    put(store, &[response(1, 5)]).await.unwrap();
    let b = checkpoints(store).create_checkpoint(&name("b"), at(1)).await.unwrap();
    put(store, &[response(1, 7), response(2, 1)]).await.unwrap();
    let c = checkpoints(store).create_checkpoint(&name("c"), at(1)).await.unwrap();
    let a = checkpoints(store).create_checkpoint(&name("a"), at(2)).await.unwrap();
    assert_eq!(b.totals, CheckpointTotals { tokens: 5, responses: 1, sessions: 1 });
    assert_eq!(c.totals, CheckpointTotals { tokens: 8, responses: 2, sessions: 1 });
    assert_eq!(checkpoints(store).list_checkpoints().await.unwrap(), [b, c.clone(), a.clone()]);

    checkpoints(store).drop_checkpoint(&name("b")).await.unwrap();
    assert_eq!(checkpoints(store).list_checkpoints().await.unwrap(), [c, a]);
    assert_kind(checkpoints(store).drop_checkpoint(&name("b")).await, StorageKind::Checkpoint);
    checkpoints(store).create_checkpoint(&name("b"), at(3)).await.unwrap();
}

/// A name that is taken, unknown or reserved is refused, and nothing is changed.
pub async fn a_name_that_cannot_be_used_changes_nothing(store: &dyn TokenStore) {
    put(store, &[response(1, 5)]).await.unwrap();
    checkpoints(store).create_checkpoint(&name("good"), at(1)).await.unwrap();
    let before = (everything(store).await, checkpoints(store).list_checkpoints().await.unwrap());
    assert_kind(checkpoints(store).create_checkpoint(&name("good"), at(2)).await, StorageKind::Checkpoint);
    assert_kind(
        checkpoints(store).create_checkpoint(&name("before_rollback_1"), at(2)).await,
        StorageKind::Checkpoint,
    );
    assert_kind(checkpoints(store).roll_back(&name("other"), at(2)).await, StorageKind::Checkpoint);
    let message = assert_kind(
        checkpoints(store).compare_with_checkpoint(&name("other")).await,
        StorageKind::Checkpoint,
    );
    assert!(message.contains("other is not among the checkpoints"), "{message}");
    assert_eq!((everything(store).await, checkpoints(store).list_checkpoints().await.unwrap()), before);
    assert_eq!(checkpoints(store).state().await.unwrap(), StoreState::first());
}

/// Names that differ only in hyphens and underscores, or that contain the names of tables, are different checkpoints.
/// Each can be listed, compared, rolled back to and dropped.
pub async fn similar_names_are_different_checkpoints(store: &dyn TokenStore) {
    const NAMES: [&str; 6] = ["a-b", "a_b", "-a-", "-", "x-token_usage-source_files", "2026-11-26_local"];
    for (number, text) in (1_u32..).zip(NAMES) {
        put(store, &[response(number.into(), 1)]).await.unwrap();
        let taken = checkpoints(store).create_checkpoint(&name(text), at(number.into())).await.unwrap();
        assert_eq!((taken.name.as_str(), taken.totals.tokens), (text, u64::from(number)));
    }
    let listed = checkpoints(store).list_checkpoints().await.unwrap();
    assert_eq!(listed.iter().map(|checkpoint| checkpoint.name.as_str()).collect::<Vec<_>>(), NAMES);
    for (number, text) in (1_u32..).zip(NAMES) {
        let comparison = checkpoints(store).compare_with_checkpoint(&name(text)).await.unwrap();
        assert_eq!(comparison.then.tokens, u64::from(number), "{text}");
        checkpoints(store).roll_back(&name(text), at(i64::from(number) + 10)).await.unwrap();
        let mode = StoreMode::Direct { checkpoint: name(text) };
        assert_eq!(checkpoints(store).state().await.unwrap().mode, mode);
        let totals = store.totals(&ResponseFilter::default()).await.unwrap();
        assert_eq!(totals.counts.output, u64::from(number), "{text}");
        checkpoints(store).resume().await.unwrap();
    }
    for text in NAMES {
        checkpoints(store).drop_checkpoint(&name(text)).await.unwrap();
    }
    let left = checkpoints(store).list_checkpoints().await.unwrap();
    assert!(left.len() == NAMES.len() && left.iter().all(|checkpoint| checkpoint.name.is_automatic()));
}

/// A comparison says by how much which sessions would change, and changes nothing.
pub async fn a_comparison_says_what_a_rollback_would_change(store: &dyn TokenStore) {
    let of = |key, output, of: &str| ResponseUsage { session: session(of), ..response(key, output) };
    put(store, &[of(1, 5, "same"), of(2, 6, "grown"), of(3, 9, "moved"), of(5, 1, "model")]).await.unwrap();
    checkpoints(store).create_checkpoint(&name("good"), at(1)).await.unwrap();
    let none = checkpoints(store).compare_with_checkpoint(&name("good")).await.unwrap();
    assert_eq!((none.differing_sessions, none.differences.len(), none.now), (0, 0, none.then));

    put(store, &[of(2, 60, "grown"), of(3, 10, "new"), of(4, 2, "new")]).await.unwrap();
    // Another row with the same tokens.
    let mut renamed = of(5, 1, "model");
    renamed.model = bridge_core::ModelName::new("other").ok();
    store.upsert(&[renamed], &UpsertOptions::default().forced()).await.unwrap();
    let before = everything(store).await;
    let comparison = checkpoints(store).compare_with_checkpoint(&name("good")).await.unwrap();
    let difference =
        |of, tokens_now, tokens_then| SessionDifference { session: session(of), tokens_now, tokens_then };
    assert_eq!(comparison.then, CheckpointTotals { tokens: 21, responses: 4, sessions: 4 });
    assert_eq!(comparison.now, CheckpointTotals { tokens: 78, responses: 5, sessions: 4 });
    assert_eq!(comparison.differing_sessions, 4);
    let expected = [
        difference("grown", 60, 6),
        difference("new", 12, 0),
        difference("moved", 0, 9),
        difference("model", 1, 1),
    ];
    assert_eq!(comparison.differences, expected);
    assert_eq!(everything(store).await, before);

    let many: Vec<_> = (0..150).map(|n| of(100 + n, 1, &format!("many{n:03}"))).collect();
    put(store, &many).await.unwrap();
    let comparison = checkpoints(store).compare_with_checkpoint(&name("good")).await.unwrap();
    assert_eq!((comparison.differing_sessions, comparison.differences.len()), (154, 100));
    assert_eq!(comparison.differences[3].session, session("many000"));
}

/// After any sequence of stores, checkpoints, rollbacks and resumptions the store holds and answers what the model
/// does.
pub async fn any_sequence_of_rollbacks_gives_what_the_model_gives(store: &dyn TokenStore) {
    let model = InMemoryStore::default();
    let mut rows = Rows::new(13);
    for step in 0..40 {
        let now = at(step);
        let name = name(&format!("c{}", rows.draw(&(0..3))));
        let number = rows.draw(&(1_usize..5));
        let written = rows.mixed(number);
        // Some began in an epoch that is over.
        let state = model.state().await.unwrap();
        let epoch = Epoch(state.epoch.0.saturating_sub(u32::from(rows.draw(&(0..4)) == 0)));
        let options = UpsertOptions::default().begun_in(epoch);
        let record = source(&format!("p{}", rows.draw(&(0..3))), rows.draw(&(0_u64..99)), epoch);
        let records = std::slice::from_ref(&record);
        let kind = rows.draw(&(0..14));
        let (message, expected) = match kind {
            0..3 => outcome_of(
                checkpoints(store).create_checkpoint(&name, now).await,
                model.create_checkpoint(&name, now).await,
            ),
            3..6 => {
                outcome_of(checkpoints(store).roll_back(&name, now).await, model.roll_back(&name, now).await)
            }
            6 => outcome_of(
                checkpoints(store).drop_checkpoint(&name).await,
                model.drop_checkpoint(&name).await,
            ),
            7 => outcome_of(
                checkpoints(store).compare_with_checkpoint(&name).await,
                model.compare_with_checkpoint(&name).await,
            ),
            8..10 => outcome_of(checkpoints(store).resume().await, model.resume().await),
            10 => outcome_of(store.put_sources(records).await, model.put_sources(records).await),
            _ => outcome_of(store.upsert(&written, &options).await, model.upsert(&written, &options).await),
        };
        assert_eq!(message, expected, "step {step}: {kind}");
        let found = everything(store).await;
        let mut expected = everything(&model).await;
        expected.stored = expected.stored.filter(|_| found.stored.is_some());
        assert_eq!(found, expected, "step {step}: {kind}");
        assert_eq!(
            checkpoints(store).state().await.unwrap(),
            model.state().await.unwrap(),
            "step {step}: {kind}"
        );
        assert_eq!(
            checkpoints(store).list_checkpoints().await.unwrap(),
            model.list_checkpoints().await.unwrap(),
            "step {step}"
        );
    }
    assert!(model.state().await.unwrap().epoch > Epoch(1), "the sequence rolls nothing back");
}

fn outcome_of<T: std::fmt::Debug>(
    store: Result<T, BridgeError>,
    model: Result<T, BridgeError>,
) -> (String, String) {
    let text = |result: Result<T, BridgeError>| match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{}: {error}", error.kind()),
    };
    (text(store), text(model))
}
