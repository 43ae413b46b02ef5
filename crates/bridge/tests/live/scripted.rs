//! Changes as a test reports them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bridge::live::{ChangeSink, LiveOptions, Watching};
use bridge::storage::SourceFilter;
use bridge::{SyncResult, SyncStatus};
use bridge_testkit::fixtures::line;

use super::{Live, NEVER, Scripted, append, assert_equals_a_fresh_analysis, bridge_in_memory, scripted};

async fn started(live: &mut Live, sinks: &std::sync::mpsc::Receiver<ChangeSink>) -> ChangeSink {
    assert_eq!(live.next().await.unwrap().len(), 0);
    sinks.try_recv().expect("the source is asked before the first search ends")
}

fn changes(results: &[SyncResult]) -> Vec<(&str, SyncStatus, u64, u64)> {
    results
        .iter()
        .map(|result| (result.session_id.as_str(), result.status, result.tokens_after, result.bytes_read))
        .collect()
}

#[tokio::test]
async fn only_what_is_reported_is_read_and_only_its_new_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let bridge = bridge_in_memory(folder.path());
    let (options, sinks) = scripted();
    let mut live = Live::start(&bridge, options);
    let sink = started(&mut live, &sinks).await;

    append(&path("a.jsonl"), &line("a", 1, 40));
    append(&path("b.jsonl"), &line("b", 2, 100));
    sink.changed(&path("a.jsonl"));
    let (first, more) = (line("a", 1, 40).len() as u64, line("a", 3, 2).len() as u64);
    assert_eq!(changes(&live.next().await.unwrap()), [("a", SyncStatus::Changed, 40, first)]);

    append(&path("a.jsonl"), &line("a", 3, 2));
    sink.changed(&path("a.jsonl"));
    assert_eq!(changes(&live.next().await.unwrap()), [("a", SyncStatus::Changed, 42, more)]);

    // Changes of what is no transcript, or is gone again, lead to nothing.
    fs::write(path("notes.txt"), "x").unwrap();
    ["notes.txt", "gone.jsonl", "gone"].iter().for_each(|name| sink.changed(&path(name)));
    assert_eq!(live.next().await.unwrap().len(), 0);
    assert_eq!((live.task.status().searches, live.task.status().updates), (1, 3));

    // What was missed is found when the source says that it missed something.
    sink.overflowed();
    assert_eq!(changes(&live.next().await.unwrap())[0].0, "b");
    assert_eq!(live.task.status().searches, 2);
    assert_equals_a_fresh_analysis(&bridge, folder.path()).await;
    live.task.stop().await;
}

/// Each step is synchronized by itself, so that no later one corrects it.
#[tokio::test]
async fn every_kind_of_change_is_followed_without_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let bridge = bridge_in_memory(folder.path());
    let (options, sinks) = scripted();
    let mut live = Live::start(&bridge, options);
    let sink = started(&mut live, &sinks).await;
    let mut update = async |names: &[&str], output| {
        names.iter().for_each(|name| sink.changed(&path(name)));
        drop(live.next().await.unwrap());
        live.wait_for(&bridge, output).await;
        assert_equals_a_fresh_analysis(&bridge, folder.path()).await;
    };
    // A new folder with transcripts at any depth is reported as such.
    fs::create_dir_all(path("p/s1/subagents")).unwrap();
    append(&path("p/s1.jsonl"), &line("s1", 1, 1));
    append(&path("p/s1/subagents/agent-a.jsonl"), &line("s1", 2, 20));
    update(&["p"], 21).await;
    // A file and a folder are renamed.
    fs::rename(path("p/s1.jsonl"), path("p/renamed.jsonl")).unwrap();
    update(&["p/s1.jsonl", "p/renamed.jsonl"], 21).await;
    append(&path("p/renamed.jsonl"), &line("s1", 3, 300));
    update(&["p/renamed.jsonl"], 321).await;
    fs::rename(path("p"), path("q")).unwrap();
    append(&path("q/renamed.jsonl"), &line("s1", 4, 4000));
    update(&["q"], 4321).await;
    // Truncated, rewritten in place, replaced and deleted.
    fs::write(path("q/renamed.jsonl"), line("s1", 5, 50_000)).unwrap();
    update(&["q/renamed.jsonl"], 54_321).await;
    fs::remove_file(path("q/renamed.jsonl")).unwrap();
    fs::write(path("q/renamed.jsonl"), line("s1", 6, 600_000)).unwrap();
    update(&["q/renamed.jsonl"], 654_321).await;
    fs::remove_file(path("q/renamed.jsonl")).unwrap();
    append(&path("q/s2.jsonl"), &line("s2", 7, 7_000_000));
    update(&["q/renamed.jsonl", "q/s2.jsonl"], 7_654_321).await;
    assert_eq!(live.task.status().searches, 1);
    // The lines of a renamed file count once.
    let records = bridge.token_store().sources(&SourceFilter::default()).await.unwrap();
    let renamed: Vec<_> = records.iter().filter(|record| record.path == path("p/s1.jsonl")).collect();
    assert_eq!(renamed.iter().map(|record| (record.lines, record.snapshots)).collect::<Vec<_>>(), [(0, 0)]);
    live.task.stop().await;
}

#[tokio::test]
async fn links_lead_to_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bridge = bridge_in_memory(folder.path());
    let (options, sinks) = scripted();
    let mut live = Live::start(&bridge, options);
    let sink = started(&mut live, &sinks).await;
    append(&outside.path().join("s.jsonl"), &line("s", 1, 42));
    std::os::unix::fs::symlink(outside.path(), folder.path().join("linked")).unwrap();
    sink.changed(&folder.path().join("linked/s.jsonl"));
    live.wait_for(&bridge, 42).await;
    let records = bridge.token_store().sources(&SourceFilter::default()).await.unwrap();
    assert_eq!(records.len(), 1);
    live.task.stop().await;
}

#[tokio::test]
async fn a_source_that_fails_or_cannot_watch_is_replaced_by_polling_and_the_status_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = bridge_in_memory(folder.path());
    let (options, sinks) = scripted();
    let mut live = Live::start(&bridge, options.with_poll_interval(Duration::from_millis(10)));
    let sink = started(&mut live, &sinks).await;
    assert_eq!(live.task.status().watching, Watching::Events);
    sink.failed("no watches left");
    append(&folder.path().join("s.jsonl"), &line("s", 1, 40));
    live.wait_for(&bridge, 40).await;
    append(&folder.path().join("s.jsonl"), &line("s", 2, 2));
    live.wait_for(&bridge, 42).await;
    assert_eq!(live.task.status().watching, Watching::PollingInstead("no watches left".to_owned()));
    live.task.stop().await;

    let (sinks, _sink) = std::sync::mpsc::channel();
    let source = Scripted { sinks, failure: Some("not supported here") };
    let options =
        LiveOptions::polling(Duration::from_millis(10)).with_search_interval(NEVER).with_source(source);
    let mut live = Live::start(&bridge, options);
    append(&folder.path().join("s.jsonl"), &line("s", 3, 100));
    live.wait_for(&bridge, 142).await;
    assert_eq!(live.task.status().watching, Watching::PollingInstead("not supported here".to_owned()));
    live.task.stop().await;
}

#[tokio::test]
async fn a_folder_with_the_name_of_a_transcript_is_searched_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let bridge = bridge_in_memory(folder.path());
    let (options, sinks) = scripted();
    let mut live = Live::start(&bridge, options);
    let sink = started(&mut live, &sinks).await;
    fs::create_dir(path("a.jsonl")).unwrap();
    append(&path("a.jsonl/b.jsonl"), &line("b", 1, 40));
    sink.changed(&path("a.jsonl"));
    live.wait_for(&bridge, 40).await;
    assert_equals_a_fresh_analysis(&bridge, folder.path()).await;
    live.task.stop().await;
}

#[tokio::test]
async fn it_ends_with_the_bridge_and_reads_nothing_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = bridge_in_memory(folder.path());
    let (options, sinks) = scripted();
    let mut live = Live::start(&bridge, options);
    let sink = started(&mut live, &sinks).await;
    bridge.shutdown().await.unwrap();
    append(&folder.path().join("s.jsonl"), &line("s", 1, 42));
    sink.changed(Path::new(&folder.path().join("s.jsonl")));
    assert!(live.outcomes.recv().await.is_none());
    assert_eq!(bridge.token_store().totals(&Default::default()).await.unwrap().counts.output, 0);
}
