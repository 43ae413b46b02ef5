//! Polling of a history that is too large to be searched each time.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::time::{Duration, UNIX_EPOCH};

use bridge::live::{ChangeSink, ChangeSource, LiveOptions, Watching};
use bridge_testkit::fixtures::line;
use tokio::time::timeout;

use super::{Live, NEVER, append, assert_equals_a_fresh_analysis, bridge_in_memory};

/// More files than a look takes.
const FILES: u64 = 1010;
const OLDEST: &str = "p0/s0.jsonl";

/// Returns a folder of ten projects, with one file that is older than all others.
fn large_history() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let project = |number| folder.path().join(format!("p{}", number % 10));
    for number in 0..FILES {
        fs::create_dir_all(project(number)).unwrap();
        append(&project(number).join(format!("s{number}.jsonl")), &line(&format!("s{number}"), number, 1));
    }
    let oldest = File::options().append(true).open(folder.path().join(OLDEST)).unwrap();
    oldest.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    // Long ago: a folder that has just changed is looked into.
    for folder in (0..10).map(project).chain([folder.path().to_owned()]) {
        File::open(folder).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    }
    folder
}

fn options(interval: Duration) -> LiveOptions {
    let quiet = Duration::from_millis(1);
    LiveOptions::polling(interval).with_search_interval(NEVER).with_quiet_time(quiet, quiet)
}

#[tokio::test]
async fn a_large_history_is_followed_by_looks_at_its_recent_files_and_its_folders() {
    let folder = large_history();
    let path = |name: &str| folder.path().join(name);
    let bridge = bridge_in_memory(folder.path());
    let mut live = Live::start(&bridge, options(Duration::from_millis(10)));
    let mut output = FILES;
    let mut is_found = async |live: &mut Live, name: &str, number| {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        append(&path(name), &line("more", FILES + number, 1));
        output += 1;
        live.wait_for(&bridge, output).await;
    };
    is_found(&mut live, &format!("p9/s{}.jsonl", FILES - 1), 1).await;
    is_found(&mut live, "p3/new.jsonl", 2).await;
    is_found(&mut live, "p3/new.jsonl", 3).await;
    is_found(&mut live, "new/deep/s.jsonl", 4).await;
    is_found(&mut live, "new/deep/s.jsonl", 5).await;
    fs::rename(path("new"), path("p4/moved")).unwrap();
    is_found(&mut live, "p4/moved/deep/s.jsonl", 6).await;
    assert_eq!(live.task.status().searches, 1);
    assert_equals_a_fresh_analysis(&bridge, folder.path()).await;
    live.task.stop().await;
}

#[tokio::test(start_paused = true)]
async fn other_files_wait_for_the_next_search() {
    let folder = large_history();
    let bridge = bridge_in_memory(folder.path());
    let options = options(Duration::from_secs(5)).with_search_interval(Duration::from_mins(5));
    let mut live = Live::start(&bridge, options);
    assert_eq!(live.outcomes.recv().await.unwrap().unwrap().len() as u64, FILES);
    append(&folder.path().join(OLDEST), &line("s0", FILES, 1));
    let found = async {
        while !live.outcomes.recv().await.unwrap().unwrap().iter().any(|found| found.tokens_after == 2) {}
    };
    timeout(Duration::from_mins(6), found).await.unwrap();
    assert_eq!(live.task.status().searches, 2);
    live.task.stop().await;
}

/// Reports changes from its second attempt on.
#[derive(Debug)]
struct Recovers {
    sinks: blocking::Sender<ChangeSink>,
    attempts: u32,
}

impl ChangeSource for Recovers {
    fn watch(&mut self, _: &[PathBuf], changes: &ChangeSink) -> io::Result<()> {
        self.attempts += 1;
        match self.attempts {
            1 => Err(io::Error::other("no watches left")),
            _ => self.sinks.send(changes.clone()).map_err(io::Error::other),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn watching_is_tried_again_each_minute_and_all_is_searched_when_it_works() {
    let folder = large_history();
    let bridge = bridge_in_memory(folder.path());
    let (sinks, _sinks) = blocking::channel();
    let options = options(Duration::from_secs(5)).with_source(Recovers { sinks, attempts: 0 });
    let mut live = Live::start(&bridge, options);
    drop(live.outcomes.recv().await.unwrap().unwrap());
    assert_eq!(live.task.status().watching, Watching::PollingInstead("no watches left".to_owned()));
    // No look sees this.
    append(&folder.path().join(OLDEST), &line("s0", FILES, 1));
    let again = async {
        while live.task.status().searches < 2 {
            drop(live.outcomes.recv().await.unwrap().unwrap());
        }
    };
    timeout(Duration::from_mins(2), again).await.unwrap();
    assert_eq!(live.task.status().watching, Watching::Events);
    live.wait_for(&bridge, FILES + 1).await;
    live.task.stop().await;
}
