//! A rollback that is killed at any step: the next start completes it or shows that nothing happened.

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

/// A database with a checkpoint, and more stored since.
struct Scene {
    database: TestDatabase,
    then: Vec<String>,
    now: Vec<String>,
}

impl Scene {
    async fn new(name_of_it: &str) -> Self {
        let database = TestDatabase::named(name_of_it);
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

    /// The next start, of three hosts at once: whether the rollback happened. It did or did not, wholly.
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

        // Whatever happened, the whole of it works again, and so does what a rollback replaced.
        a.roll_back(&name("good"), NOW).await.unwrap();
        assert_eq!(every_byte(&self.database).await, self.then);
        a.roll_back(&name("before_rollback_1"), NOW).await.unwrap();
        assert_eq!(every_byte(&self.database).await, self.now);
        happened
    }
}

#[tokio::test]
async fn cut_at_every_request_it_is_completed_or_undone_by_the_next_start() {
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
            let told = cut.roll_back(&name("good"), NOW).await;
            let happened = scene.start_again().await;
            assert!(happened || told.is_err(), "it was acknowledged and did not happen");
            if told.is_ok() {
                assert!(requests > 10, "a rollback takes more than {requests} requests");
                break;
            }
            if happened { completed += 1 } else { undone += 1 }
        }
    }
    assert!(completed > 5 && undone > 5, "{completed} completed, {undone} undone");
}

/// On an engine of its own, which dies at any moment of a rollback.
#[tokio::test]
async fn an_engine_that_is_killed_has_the_old_state_or_the_new_one() {
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
        let (told, ()) = tokio::join!(killed.roll_back(&good, NOW), kill);
        let back = async {
            while engine.engine_pid().is_none_or(|new| new.to_string() == pid)
                || store().probe_connection().await.is_err()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), back).await.expect("the engine is started again");
        let next = store();
        next.migrate().await.unwrap();
        let state = next.state().await.unwrap();
        let after = next.responses(&all).await.unwrap();
        if state.epoch == epoch {
            assert!(told.is_err());
            assert_eq!(after, before);
            assert_eq!(next.sources(&Default::default()).await.unwrap().len(), 1);
        } else {
            assert_eq!(after, [response(1, 5)]);
            assert_eq!(next.sources(&Default::default()).await.unwrap(), []);
        }
        admin.resume().await.unwrap();
    }
}
