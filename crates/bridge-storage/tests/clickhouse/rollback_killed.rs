//! A rollback killed at any step: the next start completes or undoes it.

use std::time::Duration;

use bridge_core::{Epoch, StoreMode, StoreState};
use bridge_embedded::{Engine, EngineOptions};
use bridge_storage::{
    CheckpointStore, ClickHouseStore, HealthProbes, RetryPolicy, TokenStore, UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::proxy::{Fault, FaultProxy};

use crate::rollback::{NOW, every_byte, name, source, store};
use crate::{client, hasty, options, response};

/// A database with a checkpoint and rows stored after it.
struct Scene {
    database: TestDatabase,
    then: Vec<String>,
    now: Vec<String>,
}

impl Scene {
    async fn new(database_name: &str) -> Self {
        let database = TestDatabase::named(database_name);
        let store = store(&database).await;
        store.upsert(&[response(1, 5), response(2, 6)], &UpsertOptions::default()).await.unwrap();
        store.put_sources(&[source("a", 10, Epoch(0))]).await.unwrap();
        store.create_checkpoint(&name("good"), NOW).await.unwrap();
        let then = every_byte(&database).await;
        store.upsert(&[response(1, 50), response(3, 7)], &UpsertOptions::default()).await.unwrap();
        store.put_sources(&[source("a", 90, Epoch(0)), source("b", 3, Epoch(0))]).await.unwrap();
        let now = every_byte(&database).await;
        Self { database, then, now }
    }

    /// Starts three hosts at once. Returns whether the rollback took place; a partial one fails the test.
    async fn start_again(&self) -> bool {
        let store = || ClickHouseStore::new(options(&self.database.writer_url())).unwrap();
        let (a, b, c) = (store(), store(), store());
        let (one, two, three) = tokio::join!(a.migrate(), b.migrate(), c.migrate());
        one.and(two).and(three).unwrap();
        let bytes = every_byte(&self.database).await;
        let state = a.state().await.unwrap();
        let happened = state != StoreState::first();
        if happened {
            assert_eq!(bytes, self.then);
            let mode = StoreMode::Direct { checkpoint: name("good") };
            assert_eq!(state, StoreState { epoch: Epoch(1), mode });
        } else {
            assert_eq!(bytes, self.now);
        }
        let names: Vec<_> =
            a.list_checkpoints().await.unwrap().into_iter().map(|checkpoint| checkpoint.name).collect();
        assert_eq!(names.len(), 1 + usize::from(happened), "{names:?}");
        let staged = "SELECT count() FROM system.tables WHERE database = currentDatabase() \
                      AND match(name, '^[a-z]+_[a-z]+_(rollback|claim)_')";
        assert_eq!(client(&self.database).query_raw(staged).fetch_one::<u64>().await.unwrap(), 0);

        // In either case rollbacks work again, including one to the replaced state.
        a.roll_back(&name("good"), NOW).await.unwrap();
        assert_eq!(every_byte(&self.database).await, self.then);
        a.roll_back(&name("before_rollback_1"), NOW).await.unwrap();
        assert_eq!(every_byte(&self.database).await, self.now);
        happened
    }
}

#[tokio::test]
async fn an_interrupted_rollback_is_completed_or_undone_on_restart() {
    let (mut completed, mut undone) = (0, 0);
    for kind in [Fault::CutAfterRequests, Fault::CutLastAnswerOf] {
        for requests in 1.. {
            let scene =
                Scene::new(&format!("cut_{}_{requests}", kind(0) == Fault::CutAfterRequests(0))).await;
            let proxy = FaultProxy::before(scene.database.host()).await.unwrap();
            let no_retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
            let url = scene.database.writer_url_by(proxy.host());
            let cut = ClickHouseStore::new(options(&url).with_retry(no_retry)).unwrap();
            proxy.set(kind(requests));
            let result = cut.roll_back(&name("good"), NOW).await;
            let happened = scene.start_again().await;
            assert!(happened || result.is_err(), "the rollback was acknowledged but did not take place");
            if result.is_ok() {
                assert!(requests > 10, "a rollback cannot take only {requests} requests");
                break;
            }
            if happened { completed += 1 } else { undone += 1 }
        }
    }
    assert!(completed > 5 && undone > 5, "{completed} completed, {undone} undone");
}

/// Needs its own engine, which is killed at various moments of a rollback.
#[tokio::test]
async fn an_engine_killed_mid_rollback_has_the_old_or_new_state() {
    let engine = Engine::start(&EngineOptions::ephemeral()).unwrap();
    let writer = &engine.endpoint().writer;
    let host = engine.endpoint().url.strip_prefix("http://").unwrap();
    let url = format!("http://{}:{}@{host}/test_killed", writer.user, writer.password);
    let store = || ClickHouseStore::new(hasty(&url).with_operation_timeout(Duration::from_secs(10))).unwrap();
    let admin = store();
    admin.migrate().await.unwrap();
    admin.upsert(&[response(1, 5)], &UpsertOptions::default()).await.unwrap();
    admin.create_checkpoint(&name("good"), NOW).await.unwrap();
    for round in 0..8_u64 {
        let epoch = admin.state().await.unwrap().epoch;
        let rows = [response(1, 50 + round), response(2, 1)];
        admin.upsert(&rows, &UpsertOptions::default()).await.unwrap();
        admin.put_sources(&[source("a", round, epoch)]).await.unwrap();
        let all = bridge_storage::ResponseFilter::default();
        let before = admin.responses(&all).await.unwrap();

        let pid = engine.engine_pid().unwrap().to_string();
        let kill = async {
            tokio::time::sleep(Duration::from_millis(round * 6)).await;
            assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        };
        let no_retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
        let killed = ClickHouseStore::new(options(&url).with_retry(no_retry)).unwrap();
        let good = name("good");
        let (result, ()) = tokio::join!(killed.roll_back(&good, NOW), kill);
        let back = async {
            while engine.engine_pid().is_none_or(|new| new.to_string() == pid)
                || store().probe_connection().await.is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), back).await.expect("the engine restarts");
        let next = store();
        next.migrate().await.unwrap();
        let state = next.state().await.unwrap();
        let after = next.responses(&all).await.unwrap();
        if state.epoch == epoch {
            assert!(result.is_err());
            assert_eq!(after, before);
            assert_eq!(next.sources(&Default::default()).await.unwrap().len(), 1);
        } else {
            assert_eq!(after, [response(1, 5)]);
            assert_eq!(next.sources(&Default::default()).await.unwrap(), []);
        }
        admin.resume().await.unwrap();
    }
}
