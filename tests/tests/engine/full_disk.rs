//! A nearly full disk: acknowledged writes survive, and the engine starts again once there is space.
//!
//! Each round prepares a database for each operation, fills the disk to a level, runs the operations, kills the engine,
//! frees the disk, restarts the engine and compares. `FULL_DISK_LEVELS` sets the number of levels.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bridge_core::{BridgeError, CheckpointName, ResponseKey, ResponseUsage, SessionId, Timestamp};
use bridge_embedded::{Engine, EngineOptions};
use bridge_storage::{
    CheckpointStore, ClickHouseOptions, ClickHouseStore, IntegrityStore, ResponseFilter, Retention,
    RetryPolicy, TokenStore, UpsertOptions, table_definition,
};
use bridge_testkit::small_disk::{Filler, on_small_disk};

const STORED_BEFORE: u64 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Migrate,
    Store,
    CreateCheckpoint,
    RollBack,
    DropCheckpoint,
    SetRetention,
}

const STEPS: [Step; 6] = [
    Step::Migrate,
    Step::Store,
    Step::CreateCheckpoint,
    Step::RollBack,
    Step::DropCheckpoint,
    Step::SetRetention,
];

/// Free bytes that suffice for every operation.
const AMPLE: u64 = 24 << 20;

/// Returns the levels of free bytes: by default a few around the size of a table definition; with `FULL_DISK_LEVELS` that
/// many, densest near zero.
fn levels() -> Vec<u64> {
    let count: Option<u32> = std::env::var("FULL_DISK_LEVELS").ok().and_then(|count| count.parse().ok());
    let Some(count) = count else { return vec![0, 8 << 10, 24 << 10, 64 << 10, AMPLE] };
    let last = u64::from(count.max(2) - 1);
    (0..=last).map(|n| (AMPLE >> 10) * n * n / last * n / last * n / last / last * 1024).collect()
}

fn name(text: &str) -> CheckpointName {
    CheckpointName::new(text).unwrap()
}

fn now() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

fn row(key: u128, output: u64) -> ResponseUsage {
    let mut row = ResponseUsage::new(ResponseKey(key), SessionId::new("s").unwrap(), now());
    row.counts.output = output;
    row.finished = true;
    row
}

fn start(folder: &Path) -> Engine {
    let options = EngineOptions::at(folder).table_definitions(table_definition);
    Engine::start_with(&options, |_| {}).unwrap()
}

/// Returns a store with few retries, because waiting does not free the disk.
fn store(engine: &Engine, step: Step, reserve: u64, retention: Option<Retention>) -> ClickHouseStore {
    let writer = &engine.endpoint().writer;
    let retry = RetryPolicy { max_retries: 2, budget: Duration::from_secs(5), ..RetryPolicy::default() };
    let options = ClickHouseOptions::from_url(&engine.endpoint().url)
        .unwrap()
        .with_user(&writer.user, &writer.password)
        .with_database(&format!("test_{step:?}"))
        .with_retry(retry)
        .with_disk_reserve(reserve);
    let options = match retention {
        Some(retention) => options.with_retention(retention),
        None => options,
    };
    ClickHouseStore::new(options).unwrap()
}

async fn prepare(engine: &Engine, step: Step) -> Result<(), BridgeError> {
    if step == Step::Migrate {
        return Ok(());
    }
    let store = store(engine, step, 0, None);
    store.migrate().await?;
    store.upsert(&[row(1, STORED_BEFORE)], &UpsertOptions::default()).await?;
    store.create_checkpoint(&name("before"), now()).await?;
    store.upsert(&[row(2, 5)], &UpsertOptions::default()).await?;
    Ok(())
}

async fn run(engine: &Engine, step: Step, reserve: u64) -> Result<(), BridgeError> {
    let retention = (step == Step::SetRetention).then_some(Retention::For(Duration::from_hours(24 * 36_500)));
    let store = store(engine, step, reserve, retention);
    match step {
        Step::Migrate | Step::SetRetention => store.migrate().await,
        Step::Store => store.upsert(&[row(3, 7)], &UpsertOptions::default()).await.map(drop),
        Step::CreateCheckpoint => store.create_checkpoint(&name("after"), now()).await.map(drop),
        Step::RollBack => store.roll_back(&name("before"), now()).await.map(drop),
        Step::DropCheckpoint => store.drop_checkpoint(&name("before")).await,
    }
}

/// Checks that the database contains everything acknowledged, and nothing that was not requested.
async fn check(engine: &Engine, step: Step, acknowledged: bool, round: &str) {
    let store = store(engine, step, 0, None);
    store.migrate().await.unwrap_or_else(|error| panic!("{round}: {step:?}: {error}"));
    let tokens = store.totals(&ResponseFilter::default()).await.unwrap().counts.output;
    let names: Vec<String> = store
        .list_checkpoints()
        .await
        .unwrap()
        .into_iter()
        .map(|checkpoint| checkpoint.name.to_string())
        .collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    let expected: &[u64] = match (step, acknowledged) {
        (Step::Migrate, _) => &[0],
        (Step::Store, true) => &[STORED_BEFORE + 12],
        (Step::Store, false) => &[STORED_BEFORE + 5, STORED_BEFORE + 12],
        (Step::RollBack, true) => &[STORED_BEFORE],
        // Recovery completes a rollback that had begun.
        (Step::RollBack, false) => &[STORED_BEFORE, STORED_BEFORE + 5],
        _ => &[STORED_BEFORE + 5],
    };
    assert!(expected.contains(&tokens), "{round}: {step:?}: {tokens} tokens, {expected:?} expected");
    match step {
        Step::CreateCheckpoint if acknowledged => assert!(has("after"), "{round}: {names:?}"),
        Step::DropCheckpoint if acknowledged => assert!(!has("before"), "{round}: {names:?}"),
        Step::Migrate | Step::DropCheckpoint => {}
        _ => assert!(has("before"), "{round}: {step:?}: {names:?}"),
    }
    if step == Step::SetRetention && acknowledged {
        assert!(store.retention_cutoff(now()).await.unwrap().is_some(), "{round}: no retention");
    }
    // The store is still writable.
    let state = store.resume().await.unwrap();
    store.upsert(&[row(9, 1)], &UpsertOptions::default().begun_in(state.epoch)).await.unwrap();
    store.create_checkpoint(&name("later"), now()).await.unwrap();
}

/// Kills the supervisor. Ignores that it may have exited already, because the engine could not start on the full disk.
fn kill(pid: Option<u32>) {
    let pid = pid.expect("a running engine has a supervisor").to_string();
    let _ = std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap();
}

/// Runs one round and returns the acknowledged steps.
async fn round(disk: &Path, level: u64, reserve: u64, keep_filling: bool) -> Vec<Step> {
    let round = format!("{level} bytes left, reserve {reserve}, filling: {keep_filling}");
    let folder = disk.join("data");
    let engine = start(&folder);
    for step in STEPS {
        prepare(&engine, step).await.unwrap_or_else(|error| panic!("{round}: {step:?}: {error}"));
    }
    let mut acknowledged = Vec::new();
    for step in STEPS {
        let outcome = if keep_filling {
            while_filling(disk, level, run(&engine, step, reserve)).await
        } else {
            let _filler = Filler::leaving(disk, level);
            run(&engine, step, reserve).await
        };
        if outcome.is_ok() {
            acknowledged.push(step);
        }
    }
    // Without the supervisor, the next engine starts from the disk alone.
    kill(engine.supervisor_pid());
    drop(engine);
    let engine = start(&folder);
    for step in STEPS {
        check(&engine, step, acknowledged.contains(&step), &round).await;
    }
    assert_eq!(engine.close(Duration::from_secs(30)), bridge_embedded::Shutdown::Stopped);
    std::fs::remove_dir_all(&folder).unwrap();
    acknowledged
}

/// Runs the work while another writer uses up the remaining `level` bytes.
async fn while_filling<T>(disk: &Path, level: u64, work: impl Future<Output = T>) -> T {
    let done = AtomicBool::new(false);
    let (disk, flag) = (disk.to_owned(), &done);
    let filler = Filler::leaving(&disk, level);
    let (outcome, ()) = tokio::join!(
        async {
            let outcome = work.await;
            flag.store(true, Ordering::SeqCst);
            outcome
        },
        async {
            let mut file = tokio::task::spawn_blocking({
                let path = disk.join("creeping");
                move || std::fs::File::create(path).unwrap()
            })
            .await
            .unwrap();
            while !flag.load(Ordering::SeqCst) {
                let _ = std::io::Write::write(&mut file, &[0; 4096]);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    );
    drop(filler);
    let _ = std::fs::remove_file(disk.join("creeping"));
    outcome
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work)
}

#[test]
fn acknowledged_writes_survive_a_nearly_full_disk_and_the_engine_restarts() {
    on_small_disk(96, |disk| {
        block_on(async {
            let mut acknowledged = Vec::new();
            for level in levels() {
                acknowledged.extend(round(disk, level, 0, false).await);
                acknowledged.extend(round(disk, level, 0, true).await);
            }
            // The test proves nothing if all operations succeed or all fail.
            let all = levels().len() * 2 * STEPS.len();
            assert!((1..all).contains(&acknowledged.len()), "{} of {all}", acknowledged.len());
        });
    });
}

#[test]
fn table_definitions_are_not_written_below_the_disk_reserve() {
    on_small_disk(96, |disk| {
        block_on(async {
            let acknowledged = round(disk, 4 << 20, 8 << 20, false).await;
            assert!(
                acknowledged.iter().all(|step| matches!(step, Step::Store | Step::DropCheckpoint)),
                "{acknowledged:?}"
            );
        });
    });
}

/// Older engine versions could leave empty definitions.
#[test]
fn emptied_table_definitions_are_repaired_without_losing_rows() {
    let disk = tempfile::tempdir().unwrap();
    block_on(async {
        let folder = disk.path().join("data");
        let engine = start(&folder);
        prepare(&engine, Step::RollBack).await.unwrap();
        run(&engine, Step::RollBack, 0).await.unwrap();
        let before = store(&engine, Step::RollBack, 0, None);
        let state = before.resume().await.unwrap();
        before.upsert(&[row(4, 11)], &UpsertOptions::default().begun_in(state.epoch)).await.unwrap();
        let checkpoints = before.list_checkpoints().await.unwrap().len();
        assert_eq!(engine.close(Duration::from_secs(30)), bridge_embedded::Shutdown::Stopped);

        for emptied in
            [&["token_usage.sql"][..], &["source_files.sql"], &["token_usage_checkpoint_before.sql"], &[]]
        {
            let files = definitions(&folder);
            let is_selected = |file: &&std::path::PathBuf| {
                emptied.is_empty() || emptied.contains(&file.file_name().unwrap().to_str().unwrap())
            };
            let selected: Vec<_> = files.iter().filter(is_selected).collect();
            assert!(selected.len() >= emptied.len().max(1), "{files:?}");
            selected.iter().for_each(|file| std::fs::write(file, "").unwrap());

            let engine = start(&folder);
            let after = store(&engine, Step::RollBack, 0, None);
            after.migrate().await.unwrap();
            let tokens = after.totals(&ResponseFilter::default()).await.unwrap().counts.output;
            assert_eq!(tokens, STORED_BEFORE + 11, "{emptied:?}");
            assert_eq!(after.state().await.unwrap(), state, "{emptied:?}");
            assert_eq!(after.list_checkpoints().await.unwrap().len(), checkpoints, "{emptied:?}");
            after.upsert(&[row(4, 11)], &UpsertOptions::default()).await.unwrap();
            assert!(after.summaries(&bridge_storage::SummaryFilter::default()).await.unwrap().len() == 1);
            assert_eq!(engine.close(Duration::from_secs(30)), bridge_embedded::Shutdown::Stopped);
        }
    });
}

/// Returns the files of all table definitions.
fn definitions(folder: &Path) -> Vec<std::path::PathBuf> {
    let store = folder.join("store/store");
    let folders = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = folders(&store).flat_map(|outer| folders(&outer)).filter(|inner| inner.is_dir());
    let files = files.flat_map(|inner| folders(&inner).collect::<Vec<_>>());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "sql")).collect()
}
