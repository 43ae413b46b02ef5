//! Promises about storing.

use std::collections::BTreeMap;

use bridge_core::{
    Attribution, AttributionValue, ModelName, RequestId, ResponseKey, ResponseUsage, RuleRevision,
    ServiceTier, SupersededKey, TokenCounts,
};

use super::{Rows, host, project, response, session};
use crate::{ReplacedRow, ResponseFilter, StoreTotals, TokenStore, UpsertOptions, UpsertOutcome};

const NEW: UpsertOutcome = UpsertOutcome::New;
const UNCHANGED: UpsertOutcome = UpsertOutcome::Unchanged;

/// A response of session `s` with so many output tokens was replaced.
fn replaced(tokens: u64) -> UpsertOutcome {
    UpsertOutcome::Replaced(ReplacedRow {
        session: session("s"),
        tokens,
        rule_revision: RuleRevision::CURRENT,
        usage: None,
    })
}

async fn put(store: &dyn TokenStore, rows: &[ResponseUsage]) -> Vec<UpsertOutcome> {
    store.upsert(rows, &UpsertOptions::default().with_run_id(7)).await.unwrap()
}

async fn force(store: &dyn TokenStore, row: &ResponseUsage) -> UpsertOutcome {
    store.upsert(std::slice::from_ref(row), &UpsertOptions::default().forced()).await.unwrap().remove(0)
}

async fn all(store: &dyn TokenStore) -> Vec<ResponseUsage> {
    store.responses(&ResponseFilter::default()).await.unwrap()
}

async fn output(store: &dyn TokenStore) -> u64 {
    store.totals(&ResponseFilter::default()).await.unwrap().counts.output
}

/// Outcomes have the rows that were replaced or covered, as they were stored, if that is asked for.
pub async fn replaced_rows_come_back_if_asked_for(store: &dyn TokenStore) {
    let mut old = ResponseUsage { model: "m".parse().ok(), project: project("p"), ..response(1, 5) };
    old.web_search_requests = Some(3);
    let of_first_revision = ResponseUsage { rule_revision: RuleRevision::FIRST, ..response(2, 7) };
    put(store, &[old.clone(), of_first_revision.clone()]).await;
    let options = UpsertOptions::default().with_replaced_rows();
    let rows = [response(1, 9), response(3, 1)];
    let outcomes = store.upsert(&rows, &options).await.unwrap();
    let row_of = |outcome: &UpsertOutcome| match outcome {
        UpsertOutcome::Replaced(replaced) => replaced.usage.as_deref().cloned(),
        _ => None,
    };
    assert_eq!(outcomes.iter().map(row_of).collect::<Vec<_>>(), [Some(old), None]);
    assert_eq!(outcomes.iter().map(without_row).collect::<Vec<_>>(), [replaced(5), NEW]);
    assert_eq!(put(store, &[response(1, 10)]).await, [replaced(9)], "it was not asked for");
    let key = SupersededKey::new(ResponseKey(2), true, of_first_revision.counts);
    let covered = store.cover(&[key], &options).await.unwrap();
    assert_eq!(
        covered.into_iter().map(|row| row.usage).collect::<Vec<_>>(),
        [Some(of_first_revision.into())]
    );
}

fn without_row(outcome: &UpsertOutcome) -> UpsertOutcome {
    match outcome {
        UpsertOutcome::Replaced(row) => UpsertOutcome::Replaced(ReplacedRow { usage: None, ..row.clone() }),
        other => other.clone(),
    }
}

/// An empty store answers, with nothing.
pub async fn a_new_store_is_empty(store: &dyn TokenStore) {
    assert_eq!(store.totals(&ResponseFilter::default()).await.unwrap(), StoreTotals::default());
    assert_eq!(all(store).await, []);
    assert_eq!(put(store, &[]).await, []);
}

/// Migrating is repeatable and leaves what is stored.
pub async fn migrating_again_changes_nothing(store: &dyn TokenStore) {
    put(store, &[response(1, 5)]).await;
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(output(store).await, 5);
}

/// Each row has its outcome: of several with one key the greatest carries it, of equal ones the first.
pub async fn outcomes_say_what_was_done(store: &dyn TokenStore) {
    let (low, high) = (response(1, 5), response(1, 6));
    let rows = [low.clone(), high.clone(), high.clone(), response(2, 1)];
    assert_eq!(put(store, &rows).await, [UNCHANGED, NEW, UNCHANGED, NEW]);
    assert_eq!(put(store, &rows).await, [const { UNCHANGED }; 4]);
    assert_eq!(put(store, &[low, response(1, 7), high]).await, [UNCHANGED, replaced(6), UNCHANGED]);
    assert_eq!(output(store).await, 8);
}

/// In any order, repeated and divided in any way: the greatest row of each key stays, whole.
pub async fn the_store_is_the_join_of_what_was_stored(store: &dyn TokenStore) {
    let rows = Rows::new(1).rows(60);
    let mut joined: BTreeMap<ResponseKey, ResponseUsage> = BTreeMap::new();
    for row in &rows {
        let row = row.clone();
        let known = joined.remove(&row.key);
        joined.insert(row.key, known.map_or(row.clone(), |known| known.merge(row)));
    }
    let joined: Vec<ResponseUsage> = joined.into_values().collect();
    for part in rows.chunks(13).rev() {
        put(store, part).await;
    }
    assert_eq!(all(store).await, joined);
    put(store, &rows).await;
    assert_eq!(all(store).await, joined);
}

/// Force is the one way down. The row that it replaced loses when it is read again, from another host too.
pub async fn force_lowers_a_total_until_a_greater_snapshot_comes(store: &dyn TokenStore) {
    let (wrong, right) = (response(1, 900), response(1, 9));
    put(store, std::slice::from_ref(&wrong)).await;
    assert_eq!(put(store, std::slice::from_ref(&right)).await, [UNCHANGED]);
    assert_eq!(force(store, &right).await, replaced(900));
    assert_eq!((output(store).await, all(store).await[0].forced), (9, 1));
    assert_eq!(force(store, &right).await, UNCHANGED);
    let elsewhere = ResponseUsage { host: Some(host("elsewhere")), ..wrong.clone() };
    assert_eq!(put(store, &[wrong, elsewhere]).await, [const { UNCHANGED }; 2]);
    assert_eq!(force(store, &response(1, 8)).await, replaced(9));
    assert_eq!((output(store).await, all(store).await[0].forced), (8, 2));
    assert_eq!(put(store, &[response(1, 901)]).await, [replaced(8)]);
    assert_eq!((output(store).await, all(store).await[0].forced), (901, 0));
    assert_eq!(force(store, &response(2, 1)).await, NEW);
}

/// Two writers of overlapping rows need not know of each other.
pub async fn writers_at_once_end_in_the_same_store(store: &dyn TokenStore) {
    let rows = Rows::new(2).rows(40);
    let write = |rows: Vec<ResponseUsage>| async move {
        for part in rows.chunks(3) {
            put(store, part).await;
        }
    };
    let backwards: Vec<ResponseUsage> = rows.iter().rev().cloned().collect();
    tokio::join!(write(rows.clone()), write(backwards), write(rows[10..30].to_vec()));
    let model = crate::InMemoryStore::default();
    put(&model, &rows).await;
    assert_eq!(all(store).await, all(&model).await);
}

/// One call takes any number of rows.
pub async fn many_rows_are_stored_in_one_call(store: &dyn TokenStore) {
    // Odd factors spread the keys and hit each only once.
    let rows: Vec<ResponseUsage> =
        (0..2_500).map(|key: u128| response(key.wrapping_mul(u128::MAX / 3), 1)).collect();
    assert!(put(store, &rows).await.iter().all(|outcome| *outcome == NEW));
    assert!(put(store, &rows).await.iter().all(|outcome| *outcome == UNCHANGED));
    assert_eq!(output(store).await, 2_500);
}

/// Names are data, never a part of a query.
pub async fn whatever_a_name_holds_comes_back(store: &dyn TokenStore) {
    let names =
        ["'; DROP TABLE token_usage --", "a\\'b\"`", "?", "{x:String}", "line\nbreak\ttab", "日本 🦀", "%s"];
    let mut rows = Vec::new();
    for (key, name) in names.into_iter().enumerate() {
        let mut row = response(key as u128, 1);
        row.session = session(name);
        row.project = project(name);
        row.host = Some(host(name));
        row.model = Some(ModelName::new(name).expect("a short name"));
        row.service_tier = Some(ServiceTier::new(name).expect("a short name"));
        row.attribution = every_value(name).into();
        row.request_id = Some(RequestId::new(name).expect("a short name"));
        (row.thinking_tokens, row.web_search_requests) =
            (Some(key as u64), (key % 2 == 1).then_some(u64::MAX));
        rows.push(row);
    }
    put(store, &rows).await;
    assert_eq!(all(store).await, rows);
    for (name, row) in names.into_iter().zip(&rows) {
        let filter = ResponseFilter::of_sessions(vec![session(name)]);
        assert_eq!(store.responses(&filter).await.unwrap(), std::slice::from_ref(row));
    }
}

/// An attribution in which each value is another one.
fn every_value(name: &str) -> Attribution {
    let value = |field: &str| AttributionValue::new(format!("{field} {name}")).ok();
    Attribution {
        branch: value("branch"),
        client_version: value("version"),
        entrypoint: value("entrypoint"),
        effort: value("effort"),
        agent_type: value("agent"),
        skill: value("skill"),
        plugin: value("plugin"),
        mcp_server: value("server"),
        mcp_tool: value("tool"),
        speed: value("speed"),
        inference_geo: value("geo"),
        worktree: value("worktree"),
        fallback_credit: value("credit"),
    }
}

/// Sums do not lose a token where floating point would.
pub async fn large_counters_are_summed_exactly(store: &dyn TokenStore) {
    let counts =
        TokenCounts { input: (1 << 53) + 1, output: 3, cache_creation: 1 << 52, cache_read: (1 << 54) + 1 };
    let rows: Vec<ResponseUsage> = (0..5).map(|key| ResponseUsage { counts, ..response(key, 0) }).collect();
    put(store, &rows).await;
    let sums = store.totals(&ResponseFilter::default()).await.unwrap().counts;
    assert_eq!(Ok(sums), TokenCounts::checked_sum([counts; 5]));
}
