//! The costs in the results of backfills and synchronizations.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bridge::pricing::{Catalog, Cost, CostChange};
use bridge::storage::{InMemoryStore, SummaryFilter, TokenStore};
use bridge::stream::{SessionEntries, StreamResult, TranscriptStream};
use bridge::{
    BackfillOptions, EnhancedTokenDatabaseBridge, SessionId, SummaryQuery, SyncMode, SyncOptions, SyncResult,
};
use bridge_testkit::history::HistoryPlan;

use crate::facade::bridge;

struct Setup {
    store: Arc<InMemoryStore>,
    bridge: EnhancedTokenDatabaseBridge,
    folder: tempfile::TempDir,
    /// The transcripts, with what is written to them in the end.
    files: Vec<(std::path::PathBuf, Vec<u8>)>,
}

/// A generated history of which nothing is on disk yet.
fn setup() -> Setup {
    let history = HistoryPlan { seed: 8, ..HistoryPlan::default() }.generate();
    let folder = tempfile::tempdir().unwrap();
    history.write_below(&folder.path().join("projects")).unwrap();
    let path = |relative: &Path| folder.path().join("projects").join(relative);
    let paths = history.files.iter().map(|file| path(Path::new(&file.relative_path)));
    let files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let store = Arc::new(InMemoryStore::default());
    let bridge = bridge(store.clone(), &[folder.path()]);
    let setup = Setup { store, bridge, folder, files };
    setup.write_parts(0, 1);
    setup
}

impl Setup {
    /// Writes this part of each transcript: its end may be within a line.
    fn write_parts(&self, part: usize, of: usize) {
        for (path, content) in &self.files {
            fs::write(path, &content[..content.len() * part / of]).unwrap();
        }
    }

    async fn sync(&self) -> Vec<SyncResult> {
        self.bridge.sync_all_sessions(SyncOptions::default()).await.unwrap()
    }

    async fn costs(&self) -> BTreeMap<SessionId, Cost> {
        let summaries = self.store.summaries(&SummaryFilter::default().with_cost(true)).await.unwrap();
        summaries.into_iter().filter_map(|summary| Some((summary.session_id, summary.cost?))).collect()
    }
}

#[tokio::test]
async fn a_synchronization_reports_the_added_cost_of_each_session() {
    let setup = setup();
    assert!(setup.bridge.dashboard().use_prices(Catalog::shipped()).await.unwrap());
    let (mut replaced, mut changed) = (0, 0);
    for part in 1..=7 {
        let before = setup.costs().await;
        setup.write_parts(part, 7);
        let results = setup.sync().await;
        let after = setup.costs().await;
        for result in results {
            let of = |costs: &BTreeMap<_, Cost>| costs.get(&result.session_id).copied().unwrap_or_default();
            let (before, after) = (of(&before), of(&after));
            let Some(change) = result.cost_change else {
                assert_eq!((before, result.changes.is_empty()), (after, true), "{result:?}");
                continue;
            };
            assert_eq!(change.tokens(), i128::from(result.changes.tokens()), "{result:?}");
            let mut sum = before;
            sum.add(&change.added);
            assert_eq!(sum.saturating_sub(change.removed), after, "{result:?}");
            assert_eq!(change.amount(), after.amount.saturating_sub(before.amount));
            changed += 1;
            replaced += u64::from(change.removed.priced_tokens > 0);
        }
    }
    assert!(changed > 10 && replaced > 2, "{changed} changes, {replaced} with replaced responses");
    assert!(setup.sync().await.iter().all(|result| result.cost_change.is_none()), "nothing changed");
}

/// Checks the stated change of each session against the stored costs. Returns the number of sessions that changed, and of
/// those with replaced responses.
fn check_stream(
    result: &StreamResult,
    before: &BTreeMap<SessionId, Cost>,
    after: &BTreeMap<SessionId, Cost>,
) -> (u64, u64) {
    assert!(result.success, "{result:?}");
    let stated: Vec<_> = result.cost_changes.keys().collect();
    assert_eq!(stated, result.changes.keys().collect::<Vec<_>>());
    let mut sum = CostChange::default();
    for (session, change) in &result.cost_changes {
        let of = |costs: &BTreeMap<_, Cost>| costs.get(session).copied().unwrap_or_default();
        let mut expected = of(before);
        expected.add(&change.added);
        assert_eq!(expected.saturating_sub(change.removed), of(after), "{session}");
        assert_eq!(change.tokens(), i128::from(result.changes[session].tokens()), "{session}");
        sum.add(change);
    }
    let is_changed = !result.changes.is_empty();
    assert_eq!(result.cost_change(), is_changed.then_some(sum));
    let is_replacing = result.cost_changes.values().filter(|change| change.removed.priced_tokens > 0);
    (result.changes.len() as u64, is_replacing.count() as u64)
}

#[tokio::test]
async fn append_and_read_stream_report_the_added_cost_of_each_session() {
    for is_pushed in [true, false] {
        let setup = setup();
        assert!(setup.bridge.dashboard().use_prices(Catalog::shipped()).await.unwrap());
        let (mut changed, mut replaced) = (0, 0);
        for part in 1..=7 {
            for (number, (path, content)) in setup.files.iter().enumerate() {
                let before = setup.costs().await;
                let content = &content[..content.len() * part / 7];
                let result = if is_pushed {
                    let session = SessionId::new(format!("session-{number}")).unwrap();
                    let entries = SessionEntries::from_ndjson(content).with_first(0);
                    setup.bridge.append(&session, entries).await.unwrap()
                } else {
                    let stream = TranscriptStream::new(path.to_str().unwrap());
                    setup.bridge.read_stream(&stream, content).await.unwrap()
                };
                let (sessions, with_replaced) = check_stream(&result, &before, &setup.costs().await);
                (changed, replaced) = (changed + sessions, replaced + with_replaced);
            }
        }
        assert!(changed > 10 && replaced > 2, "{changed} changes, {replaced} with replaced responses");
    }
}

#[tokio::test]
async fn without_a_price_list_a_push_states_no_cost() {
    let setup = setup();
    let entries = SessionEntries::from_ndjson(setup.files[0].1.clone());
    let result = setup.bridge.append(&SessionId::new("s").unwrap(), entries).await.unwrap();
    assert!(!result.changes.is_empty());
    assert_eq!((result.cost_changes.len(), result.cost_change()), (0, None));
}

#[tokio::test]
async fn a_backfill_states_what_its_responses_cost() {
    let setup = setup();
    setup.write_parts(1, 1);
    let without = setup.bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert_eq!(without.cost, None, "there is no price list");
    assert!(setup.bridge.dashboard().use_prices(Catalog::shipped()).await.unwrap());
    let result = setup.bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    let cost = result.cost.unwrap();
    let mut stored = Cost::default();
    setup.costs().await.values().for_each(|cost| stored.add(cost));
    assert_eq!((cost, cost.priced_tokens > 0), (stored, true));
    assert_eq!(cost.priced_tokens + cost.unpriced_tokens, result.total_tokens_stored);
}

#[tokio::test]
async fn without_a_price_list_a_synchronization_states_no_cost() {
    let setup = setup();
    setup.write_parts(1, 1);
    let results = setup.sync().await;
    assert!(results.iter().any(|result| !result.changes.is_empty()));
    assert!(results.iter().all(|result| result.cost_change.is_none()));
}

/// Cached summaries do not outlive the prices that they were made by, and are of their own with and without costs.
#[tokio::test]
async fn summaries_have_costs_if_they_are_asked_for() {
    let setup = setup();
    setup.write_parts(1, 1);
    let results = setup.sync().await;
    let query = || SummaryQuery::last_days(10_000).with_sessions([results[0].session_id.clone()]);
    let cost = async |query| setup.bridge.get_stored_token_summaries(query).await.unwrap()[0].cost;
    assert_eq!(cost(query().with_cost()).await, None, "there is no price list");
    assert!(setup.bridge.dashboard().use_prices(Catalog::shipped()).await.unwrap());
    let expected = setup.costs().await[&results[0].session_id];
    assert_eq!(cost(query().with_cost()).await, Some(expected));
    assert_eq!(cost(query()).await, None, "it was not asked for");
    let result = setup.bridge.sync_session_tokens(&results[0].session_id, SyncMode::Full).await.unwrap();
    assert_eq!(result.cost_change, None);
    drop(setup.folder);
}
