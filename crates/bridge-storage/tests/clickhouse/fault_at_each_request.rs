//! A foreign answer to each request in turn, from the first migration to the resume after a rollback.

use bridge_core::{BridgeError, ConnectionKind, StorageKind, Timestamp};
use bridge_storage::{
    CheckpointStore, CircuitPolicy, ClickHouseOptions, ClickHouseStore, ResponseFilter, RetryPolicy,
    TokenStore, UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::foreign_answers::{EMPTY, HTML, JSON};
use crate::rollback::{NOW, name};
use crate::{options, response};

/// If set, every answer is given to every request, which takes many minutes.
const EXHAUSTIVE: &str = "ETB_TEST_EVERY_FAULT";

/// Otherwise every n-th request gets one of the answers, in turn.
const SAMPLE: u64 = 8;

const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
const GATEWAY_TIMEOUT: &str = "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n";
const TOO_MANY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

const ANSWERS: [&str; 7] = [HTML, EMPTY, JSON, BAD_GATEWAY, UNAVAILABLE, GATEWAY_TIMEOUT, TOO_MANY];

/// Leaves the two responses of the checkpoint in a store that accepts writes.
async fn all_calls(store: &ClickHouseStore, now: Timestamp) -> Result<(), BridgeError> {
    let options = UpsertOptions::default();
    store.migrate().await?;
    store.resume().await?;
    store.upsert(&[response(1, 5), response(2, 7)], &options).await?;
    let checkpoint = name("two");
    match store.create_checkpoint(&checkpoint, now).await {
        // An interrupted run may have created it.
        Err(BridgeError::Storage { kind: StorageKind::Checkpoint, .. }) => {}
        created => drop(created?),
    }
    store.upsert(&[response(3, 11)], &options).await?;
    store.roll_back(&checkpoint, now).await?;
    store.resume().await.map(drop)
}

async fn totals(store: &ClickHouseStore) -> (u64, u64) {
    let totals = store.totals(&ResponseFilter::default()).await.unwrap();
    (totals.responses, totals.counts.output)
}

fn without_retries(url: &str) -> ClickHouseOptions {
    let retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
    let circuit = CircuitPolicy { failures: 0, ..CircuitPolicy::default() };
    options(url).with_retry(retry).with_circuit(circuit)
}

/// The number of requests of `all_calls` against a fresh database without faults.
async fn requests_of_all_calls() -> u64 {
    let database = TestDatabase::named("fault_at_none");
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    let store = ClickHouseStore::new(without_retries(&database.writer_url_by(proxy.host()))).unwrap();
    all_calls(&store, NOW).await.unwrap();
    let requests = proxy.requests().len() as u64;
    assert_eq!(totals(&store).await, (2, 12));
    requests
}

async fn assert_harmless(number: u64, place: usize) {
    let case = format!("answer {place} at request {number}");
    let database = TestDatabase::named(&format!("fault_{number}_{place}"));
    let proxy = FaultProxy::before(database.host()).await.unwrap();
    proxy.set(Fault::AnswerInstead(number, ANSWERS[place]));
    let faulty = ClickHouseStore::new(without_retries(&database.writer_url_by(proxy.host()))).unwrap();
    let result = all_calls(&faulty, NOW).await;
    assert!(proxy.requests().len() as u64 > number, "{case}: the request was never made");
    let direct = ClickHouseStore::new(options(&database.writer_url())).unwrap();
    match result {
        Ok(()) => assert_eq!(totals(&direct).await, (2, 12), "{case} was mistaken for the database's"),
        Err(error) => {
            let is_clear =
                matches!(&error, BridgeError::Connection { kind: ConnectionKind::Unreachable, .. });
            assert!(is_clear && error.is_retryable(), "{case}: {error:?}");
        }
    }
    proxy.set(Fault::None);
    all_calls(&direct, NOW).await.unwrap_or_else(|error| panic!("{case}: retry without faults: {error:?}"));
    assert_eq!(totals(&direct).await, (2, 12), "{case}: after the retry");
    let checkpoints = direct.list_checkpoints().await.unwrap();
    let two =
        checkpoints.iter().find(|checkpoint| checkpoint.name == name("two")).expect("the checkpoint exists");
    assert_eq!((two.totals.responses, two.totals.tokens), (2, 12), "{case}");
    // The store behind the proxy recovers as well.
    let now = UpsertOptions::default().begun_in(faulty.state().await.unwrap().epoch);
    faulty.upsert(&[response(4, 1)], &now).await.unwrap();
    assert_eq!(totals(&direct).await, (3, 13), "{case}: after the recovery");
}

#[tokio::test]
async fn a_foreign_answer_to_any_request_is_a_harmless_error() {
    let requests = requests_of_all_calls().await;
    assert!(requests > 40, "only {requests} requests were made");
    let is_exhaustive = std::env::var_os(EXHAUSTIVE).is_some();
    for number in 0..requests {
        for place in 0..ANSWERS.len() {
            let is_sample = number % SAMPLE == 0 && (number / SAMPLE) % ANSWERS.len() as u64 == place as u64;
            if is_exhaustive || is_sample {
                assert_harmless(number, place).await;
            }
        }
    }
}
