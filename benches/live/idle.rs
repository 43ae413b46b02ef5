//! The processor time of a minute in which nothing changes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bridge::EnhancedTokenDatabaseBridge;
use bridge::live::{LiveOptions, Watching};
use bridge_benches::is_measurement;
use bridge_core::Stopwatch;
use bridge_embedded::Engine;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::{Outcome, builder, line};

const FILES_PER_FOLDER: usize = 50;
const DEADLINE: Duration = Duration::from_mins(5);

pub(crate) async fn measure(engine: &Engine) -> Outcome<()> {
    let files = match std::env::var("BRIDGE_BENCH_FILES") {
        Ok(files) => files.parse()?,
        Err(_) => {
            if is_measurement() {
                100_000
            } else {
                200
            }
        }
    };
    let minute = Duration::from_secs(if is_measurement() { 60 } else { 1 });
    let folder = tempfile::tempdir()?;
    generate(folder.path(), files)?;
    // A file modified within the last two seconds is always read again.
    sleep(Duration::from_secs(3)).await;
    let bridge = builder(engine, "bridge_live_idle").await?.sources([folder.path()]).build();
    let (sender, mut outcomes) = mpsc::unbounded_channel();
    // The first search stores all files, the second one is of the files as they are.
    let options = LiveOptions::events().with_search_interval(Duration::from_millis(1));
    let syncing = bridge.keep_in_sync(options, move |outcome| drop(sender.send(outcome)));
    for name in ["first search, all stored", "second search", "third search"] {
        let (watch, before) = (Stopwatch::start(), processor_time()?);
        timeout(DEADLINE, outcomes.recv()).await?.ok_or("the task ended")??;
        let (elapsed, used) = (watch.elapsed(), processor_time()? - before);
        println!(
            "{files} files, {name}: {:.2} s, of the processor {:.2} s",
            elapsed.as_secs_f64(),
            used.as_secs_f64()
        );
    }
    assert_eq!(syncing.status().watching, Watching::Events);
    syncing.stop().await;

    for (name, options) in [
        ("by events", LiveOptions::events()),
        ("by polling", LiveOptions::polling(LiveOptions::events().poll_interval)),
    ] {
        let (searches, used) = idle(&bridge, options, minute).await?;
        println!(
            "{files} files, {} s in which nothing changes, {name}: {:.2} s of the processor with {searches} searches; \
             one is due every {} s",
            minute.as_secs(),
            used.as_secs_f64(),
            LiveOptions::events().search_interval.as_secs()
        );
    }
    Ok(())
}

/// The searches, and the processor time, of this time after the first search.
async fn idle(
    bridge: &EnhancedTokenDatabaseBridge,
    options: LiveOptions,
    time: Duration,
) -> Outcome<(u64, Duration)> {
    let (sender, mut outcomes) = mpsc::unbounded_channel();
    let syncing = bridge.keep_in_sync(options, move |outcome| drop(sender.send(outcome)));
    timeout(DEADLINE, outcomes.recv()).await?.ok_or("the task ended")??;
    let before = processor_time()?;
    sleep(time).await;
    let used = processor_time()? - before;
    let searches = syncing.status().searches - 1;
    syncing.stop().await;
    Ok((searches, used))
}

fn generate(root: &Path, files: usize) -> Outcome<()> {
    for number in 0..files {
        let folder = root.join("projects").join(format!("-project-{:04}", number / FILES_PER_FOLDER));
        if number % FILES_PER_FOLDER == 0 {
            fs::create_dir_all(&folder)?;
        }
        let session = format!("s{number:06}");
        fs::write(folder.join(format!("{session}.jsonl")), line(&session, 0))?;
    }
    Ok(())
}

/// The processor time of this process so far, in steps of 10 ms.
fn processor_time() -> Outcome<Duration> {
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?.1;
    let ticks: Vec<u32> =
        after_name.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(TICK * ticks.iter().sum::<u32>())
}
