//! Rollbacks under concurrent reads and writes, and concurrent rollbacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bridge_core::{
    BridgeError, CheckpointName, Epoch, HostName, SessionId, StorageKind, StoreMode, Timestamp,
};
use bridge_storage::{
    CheckpointStore, ClickHouseStore, DashboardFilter, ResponseFilter, SourceCursor, SourceFilter,
    SourceRecord, SummaryFilter, TokenStore, UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;

use crate::{client, options, response};

pub(crate) fn name(text: &str) -> CheckpointName {
    CheckpointName::new(text).unwrap()
}

pub(crate) const NOW: Timestamp = Timestamp::MIN;

pub(crate) fn source(path: &str, offset: u64, epoch: Epoch) -> SourceRecord {
    SourceRecord {
        host: HostName::new("h").unwrap(),
        path: path.into(),
        session: SessionId::new("s").unwrap(),
        cursor: SourceCursor {
            size: offset,
            modified: NOW,
            changed_nanos: 7,
            identity: 1,
            fingerprint: 2,
            offset,
            line: 3,
            carried_time: None,
            carried_before: 0,
        },
        project: None,
        lines: offset,
        damage: Default::default(),
        content_categories: Default::default(),
        snapshots: 1,
        snapshot_tokens: 5,
        first_time: None,
        last_time: None,
        activity: None,
        analysis_version: "v".to_owned(),
        rule_revision: bridge_core::RuleRevision::CURRENT,
        read_at: NOW,
        epoch,
    }
}

/// A migrated store in this database.
pub(crate) async fn store(database: &TestDatabase) -> ClickHouseStore {
    let store = ClickHouseStore::new(options(&database.writer_url())).unwrap();
    store.migrate().await.unwrap();
    store
}

/// Every row and every source record as stored, byte for byte.
pub(crate) async fn every_byte(database: &TestDatabase) -> Vec<String> {
    let mut all = Vec::new();
    for (table, order) in [("token_usage", "key"), ("source_files", "host, path, session_id")] {
        let query = format!("SELECT toString(tuple(*)) FROM {table} FINAL ORDER BY {order}");
        all.extend(client(database).query_raw(&query).fetch_all::<String>().await.unwrap());
    }
    all
}

fn is_rolled_back(error: &BridgeError) -> bool {
    matches!(error, BridgeError::Storage { kind: StorageKind::RolledBack, .. })
}

/// Stores batches of rows with their cursors, unaware of rollbacks, until refused. Returns the number of
/// acknowledged rows.
async fn write_until_refused(store: ClickHouseStore, writer: u64) -> u64 {
    let epoch = store.state().await.unwrap().epoch;
    let mut acknowledged = 0;
    for batch in 0.. {
        let first = u128::from(1_000_000 * (writer + 1) + batch * 10);
        let rows: Vec<_> = (first..first + 10).map(|key| response(key, 1000)).collect();
        match store.upsert(&rows, &UpsertOptions::default().begun_in(epoch)).await {
            Ok(_) => acknowledged += 10,
            Err(error) => {
                assert!(is_rolled_back(&error), "{error}");
                break;
            }
        }
        match store.put_sources(&[source(&format!("writer {writer}"), batch, epoch)]).await {
            Ok(()) => {}
            Err(error) => {
                assert!(is_rolled_back(&error), "{error}");
                break;
            }
        }
    }
    acknowledged
}

const KEPT: u64 = 100;
const TAKEN: u64 = 50;

/// Reads until stopped. Each read sees the kept rows alone, or together with all rows that the rollback takes.
async fn read_whole_states(store: ClickHouseStore, stop: Arc<AtomicBool>) -> u64 {
    let mut reads = 0;
    while !stop.load(Ordering::Relaxed) {
        let dashboard = store.dashboard(&DashboardFilter::default()).await.unwrap();
        let totals = store.totals(&ResponseFilter::default()).await.unwrap();
        let summaries = store.summaries(&SummaryFilter::default()).await.unwrap();
        let of_summary = (summaries[0].responses, summaries[0].total_tokens);
        for (responses, tokens) in [
            (dashboard.totals.responses, dashboard.totals.counts.total()),
            (totals.responses, totals.counts.total()),
            of_summary,
        ] {
            assert!(responses == KEPT || responses >= KEPT + TAKEN, "{responses} responses: a torn read");
            assert_eq!(tokens, KEPT + (responses - KEPT) * 1000);
        }
        reads += 1;
    }
    reads
}

#[tokio::test]
async fn a_rollback_under_load_restores_every_byte() {
    let database = TestDatabase::named("rollback_while_others_work");
    let admin = store(&database).await;
    let kept: Vec<_> = (1..=u128::from(KEPT)).map(|key| response(key, 1)).collect();
    admin.upsert(&kept, &UpsertOptions::default()).await.unwrap();
    admin.put_sources(&[source("kept", 9, Epoch(0))]).await.unwrap();
    let expected = every_byte(&database).await;
    admin.create_checkpoint(&name("good"), NOW).await.unwrap();

    for round in 0..4_u64 {
        let first = u128::from(10_000 * (round + 1));
        let taken: Vec<_> = (first..first + u128::from(TAKEN)).map(|key| response(key, 1000)).collect();
        admin.upsert(&taken, &UpsertOptions::default()).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut readers = Vec::new();
        let mut writers = Vec::new();
        for number in 0..3 {
            readers.push(tokio::spawn(read_whole_states(store(&database).await, Arc::clone(&stop))));
            writers.push(tokio::spawn(write_until_refused(store(&database).await, number)));
        }
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        let replaced = admin.roll_back(&name("good"), NOW).await.unwrap();
        let mut acknowledged = 0;
        for writer in writers {
            acknowledged += writer.await.unwrap();
        }
        assert!(acknowledged > 0, "no writer stored anything");
        assert_eq!(every_byte(&database).await, expected);
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.await.unwrap() > 0);
        }
        // Acknowledged rows are not lost: all of them are in the checkpoint of the replaced state.
        let query =
            format!("SELECT count() FROM token_usage_checkpoint_{replaced} FINAL WHERE origin != 'covered'");
        let rows: u64 = client(&database).query_raw(&query).fetch_one().await.unwrap();
        assert_eq!(rows, KEPT + TAKEN + acknowledged);
        admin.resume().await.unwrap();
    }
}

#[tokio::test]
async fn the_database_fences_stores_unaware_of_a_rollback() {
    let database = TestDatabase::of_this_test();
    let (admin, other) = (store(&database).await, store(&database).await);
    other.upsert(&[response(1, 5)], &UpsertOptions::default()).await.unwrap();
    admin.create_checkpoint(&name("good"), NOW).await.unwrap();
    admin.roll_back(&name("good"), NOW).await.unwrap();
    let error = other.put_sources(&[source("a", 1, Epoch(0))]).await.unwrap_err();
    assert!(is_rolled_back(&error) && error.to_string().contains("checkpoint good"), "{error}");
    assert!(error.context().attempts < 2, "{error}");

    // Resumed before this store noticed: decisions based on its earlier reads must not be written.
    let late = store(&database).await;
    admin.resume().await.unwrap();
    admin.roll_back(&name("good"), NOW).await.unwrap();
    admin.resume().await.unwrap();
    let error =
        late.upsert(&[response(2, 5)], &UpsertOptions::default().begun_in(Epoch(1))).await.unwrap_err();
    assert!(
        error.to_string().contains("the operation began in epoch 1, and the store is in epoch 2"),
        "{error}"
    );
    // The next operation starts in the new epoch.
    late.upsert(&[response(2, 5)], &UpsertOptions::default()).await.unwrap();
}

#[tokio::test]
async fn concurrent_rollbacks_are_atomic_or_refused() {
    let database = TestDatabase::named("rollbacks_at_once");
    let admin = store(&database).await;
    let mut states = Vec::new();
    for number in 0..3_u64 {
        admin.upsert(&[response(u128::from(number), number + 1)], &UpsertOptions::default()).await.unwrap();
        admin.put_sources(&[source("a", number, Epoch(0))]).await.unwrap();
        admin.create_checkpoint(&name(&format!("c{number}")), NOW).await.unwrap();
        states.push(every_byte(&database).await);
    }
    let (mut succeeded, mut refused) = (0, 0);
    for _ in 0..8 {
        let checkpoints = ["c0", "c1", "c2"].map(name);
        // Independent stores, as in separate processes.
        let stores = [store(&database).await, store(&database).await, store(&database).await];
        let rollbacks = tokio::join!(
            stores[0].roll_back(&checkpoints[0], NOW),
            stores[1].roll_back(&checkpoints[1], NOW),
            stores[2].roll_back(&checkpoints[2], NOW),
        );
        for rollback in <[_; 3]>::from(rollbacks) {
            match rollback {
                Ok(_) => succeeded += 1,
                Err(error) => {
                    assert!(is_rolled_back(&error), "{error}");
                    refused += 1;
                }
            }
        }
        let state = admin.state().await.unwrap();
        let StoreMode::Direct { checkpoint } = state.mode else { panic!("{state:?}") };
        let number: usize = checkpoint.as_str()[1..].parse().unwrap();
        assert_eq!(every_byte(&database).await, states[number], "{checkpoint}");
    }
    assert!(succeeded >= 8 && refused > 0, "{succeeded} succeeded, {refused} were refused");
    assert_eq!(admin.sources(&SourceFilter::default()).await.unwrap().len(), 1);
}
