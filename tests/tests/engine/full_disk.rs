//! A disk that is nearly full: what was acknowledged is there when there is room again, and the engine starts.
//!
//! Each round prepares a database for each operation, fills the disk to a level, runs the operations, ends the engine
//! without a warning, frees the disk, starts the engine and compares. `FULL_DISK_LEVELS` sets the number of levels.

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

/// Enough for every operation.
const AMPLE: u64 = 24 << 20;

/// Bytes that are left: by default a few around what a definition takes; on demand any number, densest near zero.
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

/// A store of which every call is one attempt: a full disk is no reason to wait.
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

/// Whether the database holds what was acknowledged, and nothing that was not asked for.
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
        // One that was begun is completed by whoever comes next.
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
    // It goes on working.
    let state = store.resume().await.unwrap();
    store.upsert(&[row(9, 1)], &UpsertOptions::default().begun_in(state.epoch)).await.unwrap();
    store.create_checkpoint(&name("later"), now()).await.unwrap();
}

/// Kills the supervisor, unless it has given up: an engine may not come up on a disk that is full.
fn kill(pid: Option<u32>) {
    let pid = pid.expect("a running engine has a supervisor").to_string();
    let _ = std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap();
}

/// One round; answers with the steps that were acknowledged.
async fn round(disk: &Path, level: u64, reserve: u64, fills_meanwhile: bool) -> Vec<Step> {
    let round = format!("{level} bytes left, reserve {reserve}, filling: {fills_meanwhile}");
    let folder = disk.join("data");
    let engine = start(&folder);
    for step in STEPS {
        prepare(&engine, step).await.unwrap_or_else(|error| panic!("{round}: {step:?}: {error}"));
    }
    let mut acknowledged = Vec::new();
    for step in STEPS {
        let outcome = if fills_meanwhile {
            while_filling(disk, level, run(&engine, step, reserve)).await
        } else {
            let _filler = Filler::leaving(disk, level);
            run(&engine, step, reserve).await
        };
        if outcome.is_ok() {
            acknowledged.push(step);
        }
    }
    // The supervisor goes, too: what comes up then is read from the disk.
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

/// Runs the work while the disk fills up from `level` bytes left to none.
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
fn what_was_acknowledged_on_a_nearly_full_disk_is_there_and_the_engine_starts() {
    on_small_disk(96, |disk| {
        block_on(async {
            let mut acknowledged = Vec::new();
            for level in levels() {
                acknowledged.extend(round(disk, level, 0, false).await);
                acknowledged.extend(round(disk, level, 0, true).await);
            }
            // Nothing was shown where no operation ever passes, or none is ever refused.
            let all = levels().len() * 2 * STEPS.len();
            assert!((1..all).contains(&acknowledged.len()), "{} of {all}", acknowledged.len());
        });
    });
}

#[test]
fn below_the_reserve_nothing_that_defines_a_table_is_begun() {
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

/// As engines of older versions left them.
#[test]
fn tables_whose_definitions_were_emptied_are_repaired_with_all_their_rows() {
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
            let is_meant = |file: &&std::path::PathBuf| {
                emptied.is_empty() || emptied.contains(&file.file_name().unwrap().to_str().unwrap())
            };
            let meant: Vec<_> = files.iter().filter(is_meant).collect();
            assert!(meant.len() >= emptied.len().max(1), "{files:?}");
            meant.iter().for_each(|file| std::fs::write(file, "").unwrap());

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

/// All definitions of tables.
fn definitions(folder: &Path) -> Vec<std::path::PathBuf> {
    let store = folder.join("store/store");
    let folders = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = folders(&store).flat_map(|outer| folders(&outer)).filter(|inner| inner.is_dir());
    let files = files.flat_map(|inner| folders(&inner).collect::<Vec<_>>());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "sql")).collect()
}
