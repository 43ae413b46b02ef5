//! Concurrent upserts share their requests, and each caller gets its own answer.

use std::sync::Arc;

use bridge_core::{ResponseUsage, SessionId};
use bridge_storage::{
    CircuitPolicy, ClickHouseStore, ResponseFilter, RetryPolicy, TokenStore, UpsertOptions, UpsertOutcome,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};
use tokio::task::JoinSet;

use crate::{client, options, response};

const CALLERS: u8 = 10;

async fn behind_proxy() -> (FaultProxy, Arc<ClickHouseStore>) {
    let database = TestDatabase::of_this_test();
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    // Otherwise an open circuit would fail calls before they reach the database.
    let circuit = CircuitPolicy { failures: u32::MAX, ..CircuitPolicy::default() };
    let options = options(&database.writer_url_by(proxy.host()));
    let options = options.with_retry(RetryPolicy::once()).with_circuit(circuit);
    let store = ClickHouseStore::new(options).unwrap();
    store.migrate().await.unwrap();
    // The first upsert also reads the tables' columns and the store's state.
    store.upsert(&[row(0)], &UpsertOptions::default()).await.unwrap();
    (proxy, Arc::new(store))
}

/// A row in a session of the caller's own.
fn row(caller: u8) -> ResponseUsage {
    let session = SessionId::new(format!("s{caller}")).unwrap();
    ResponseUsage { session, ..response(caller.into(), 10) }
}

/// Returns the callers whose upsert succeeded. Each stores its own row and one shared by all callers.
async fn upsert_at_once(store: &Arc<ClickHouseStore>) -> Vec<(u8, Vec<UpsertOutcome>)> {
    let mut running = JoinSet::new();
    for caller in 1..=CALLERS {
        let store = Arc::clone(store);
        running.spawn(async move {
            let options = UpsertOptions::default().with_run_id(caller.into());
            let outcomes = store.upsert(&[row(caller), row(100)], &options).await;
            outcomes.map(|outcomes| (caller, outcomes))
        });
    }
    let mut answers: Vec<_> = running.join_all().await.into_iter().filter_map(Result::ok).collect();
    answers.sort_by_key(|(caller, _)| *caller);
    answers
}

#[tokio::test]
async fn concurrent_upserts_share_requests_but_not_outcomes_or_runs() {
    let (proxy, store) = behind_proxy().await;
    let before = proxy.requests().len();
    let answers = upsert_at_once(&store).await;
    let inserts = proxy.requests().split_off(before).iter().filter(|line| line.contains("INSERT")).count();
    assert!(inserts <= 3, "ten callers made {inserts} inserts");

    let own: Vec<_> = answers.iter().map(|(caller, outcomes)| (*caller, outcomes[0].clone())).collect();
    assert_eq!(own, (1..=CALLERS).map(|caller| (caller, UpsertOutcome::New)).collect::<Vec<_>>());
    let shared = answers.iter().filter(|(_, outcomes)| outcomes[1] == UpsertOutcome::New).count();
    assert_eq!(shared, 1, "the shared row is new for exactly one caller: {answers:?}");

    let query = "SELECT toUInt64(key), toUInt64(run_id) FROM token_usage FINAL WHERE key BETWEEN 1 AND 10 ORDER BY key";
    let runs: Vec<(u64, u64)> = client(&TestDatabase::of_this_test()).query(query).fetch_all().await.unwrap();
    assert_eq!(runs, (1..=10).map(|caller| (caller, caller)).collect::<Vec<_>>());
}

/// Whichever request of the group fails, each caller gets the outcome of its own rows.
#[tokio::test]
async fn callers_of_a_failed_group_succeed_only_if_their_rows_do() {
    for passing in 0..6 {
        let (proxy, store) = behind_proxy().await;
        proxy.set(Fault::CutAfterRequests(passing));
        let upserts = upsert_at_once(&store);
        let (answers, ()) = tokio::join!(upserts, async {
            // Long enough for some callers to hit the fault, short enough for others to miss it.
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
            proxy.set(Fault::None);
        });
        let stored: Vec<_> = store.responses(&ResponseFilter::default()).await.unwrap();
        for (caller, _) in answers {
            assert!(stored.contains(&row(caller)), "caller {caller} succeeded but its row is not stored");
        }
        // After repeating the failed calls, every row is stored once.
        upsert_at_once(&store).await;
        let totals = store.totals(&ResponseFilter::default()).await.unwrap();
        assert_eq!(totals.responses, u64::from(CALLERS) + 2);
    }
}

#[tokio::test]
async fn cancelled_callers_leave_the_group() {
    let (proxy, store) = behind_proxy().await;
    proxy.set(Fault::Silent);
    let spawn = |caller: u8| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.upsert(&[row(caller)], &UpsertOptions::default()).await })
    };
    let (writer, cancelled, waiting) = (spawn(1), spawn(2), spawn(3));
    // All three calls are in flight; the first one leads the group.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    proxy.set(Fault::None);
    assert_eq!(waiting.await.unwrap().unwrap(), [UpsertOutcome::New]);
    let stored = store.responses(&ResponseFilter::default()).await.unwrap();
    assert!(stored.contains(&row(3)) && !stored.contains(&row(2)), "{stored:?}");
}
