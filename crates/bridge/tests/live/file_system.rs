//! Changes as the file system reports them. Nothing is searched after the beginning, so that nothing else finds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bridge::live::{FileSystemEvents, LiveOptions, Watching};
use bridge::storage::InMemoryStore;
use bridge_testkit::fixtures::line;

use super::{Live, NEVER, append, assert_equals_a_fresh_analysis, bridge_in_memory};

fn options() -> LiveOptions {
    LiveOptions::polling(NEVER)
        .with_search_interval(NEVER)
        .with_quiet_time(Duration::from_millis(5), Duration::from_millis(50))
        .with_source(FileSystemEvents::default())
}

async fn started(folder: &Path) -> (bridge::EnhancedTokenDatabaseBridge, Live) {
    let bridge = bridge_in_memory(folder);
    let mut live = Live::start(&bridge, options());
    drop(live.next().await);
    (bridge, live)
}

#[tokio::test]
async fn what_a_client_does_to_its_transcripts_is_followed_without_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (bridge, mut live) = started(folder.path()).await;
    assert_eq!(live.task.status().watching, Watching::Events);
    fs::create_dir_all(path("p/s1/subagents")).unwrap();
    append(&path("p/s1.jsonl"), &line("s1", 1, 1));
    append(&path("p/s1/subagents/agent-a.jsonl"), &line("s1", 2, 20));
    live.wait_for(&bridge, 21).await;
    append(&path("p/s1.jsonl"), &line("s1", 3, 300));
    live.wait_for(&bridge, 321).await;
    fs::rename(path("p"), path("q")).unwrap();
    append(&path("q/s1.jsonl"), &line("s1", 4, 4000));
    live.wait_for(&bridge, 4321).await;
    fs::rename(path("q/s1.jsonl"), path("q/s2.jsonl")).unwrap();
    append(&path("q/s2.jsonl"), &line("s1", 5, 50_000));
    live.wait_for(&bridge, 54_321).await;
    fs::write(path("q/s2.jsonl"), line("s1", 6, 600_000)).unwrap();
    live.wait_for(&bridge, 654_321).await;
    // Written beside it and renamed, as editors do.
    fs::write(path("q/new"), line("s1", 7, 7_000_000)).unwrap();
    fs::rename(path("q/new"), path("q/s2.jsonl")).unwrap();
    live.wait_for(&bridge, 7_654_321).await;
    assert_equals_a_fresh_analysis(&bridge, folder.path()).await;
    assert_eq!(live.task.status().searches, 1);
    live.task.stop().await;
}

#[tokio::test]
async fn folders_that_appear_at_once_with_their_content_are_found_completely() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (bridge, mut live) = started(folder.path()).await;
    for number in 0..200_u64 {
        let project = elsewhere.path().join(format!("copied/p{number}/deep"));
        fs::create_dir_all(&project).unwrap();
        append(&project.join("s.jsonl"), &line("moved", number, 1));
        // These appear while their folders begin to be watched.
        let project = folder.path().join(format!("written/p{number}/deep"));
        fs::create_dir_all(&project).unwrap();
        append(&project.join("s.jsonl"), &line("written", 1000 + number, 1));
    }
    fs::rename(elsewhere.path().join("copied"), folder.path().join("copied")).unwrap();
    live.wait_for(&bridge, 400).await;
    assert_equals_a_fresh_analysis(&bridge, folder.path()).await;
    live.task.stop().await;
}

#[tokio::test]
async fn a_root_that_appears_later_or_is_replaced_is_watched() {
    let above = tempfile::tempdir().unwrap();
    let root = above.path().join("client/projects");
    let (bridge, mut live) = started(&root).await;
    fs::create_dir_all(&root).unwrap();
    append(&root.join("s.jsonl"), &line("s", 1, 1));
    live.wait_for(&bridge, 1).await;
    append(&root.join("s.jsonl"), &line("s", 2, 20));
    live.wait_for(&bridge, 21).await;
    fs::rename(&root, above.path().join("client/old")).unwrap();
    fs::create_dir_all(&root).unwrap();
    append(&root.join("t.jsonl"), &line("t", 3, 300));
    live.wait_for(&bridge, 321).await;
    append(&root.join("t.jsonl"), &line("t", 4, 4000));
    live.wait_for(&bridge, 4321).await;
    live.task.stop().await;
}

/// Both are awaited by a watch of the same folder, which must not end when the first appears.
#[tokio::test]
async fn each_of_two_roots_that_appear_in_one_folder_is_watched() {
    let above = tempfile::tempdir().unwrap();
    let roots = ["a/projects", "b/projects"].map(|name| above.path().join(name));
    let store = Arc::new(InMemoryStore::default());
    let bridge = crate::builder(store, &[&roots[0], &roots[1]]).build();
    let mut live = Live::start(&bridge, options());
    drop(live.next().await);
    for (number, root) in (0..).zip(&roots) {
        fs::create_dir_all(root).unwrap();
        append(&root.join("s.jsonl"), &line("s", 2 * number, 1));
        live.wait_for(&bridge, 1 + 21 * number).await;
        append(&root.join("s.jsonl"), &line("s", 2 * number + 1, 20));
        live.wait_for(&bridge, 21 + 21 * number).await;
    }
    live.task.stop().await;
}

/// The folder that appears is also one of another root, whose watch must not end.
#[tokio::test]
async fn a_root_that_appears_within_another_leaves_that_watched() {
    let outer = tempfile::tempdir().unwrap();
    fs::create_dir(outer.path().join("p")).unwrap();
    let inner = outer.path().join("p/q/inner");
    let store = Arc::new(InMemoryStore::default());
    let bridge = crate::builder(store, &[outer.path(), &inner]).build();
    let mut live = Live::start(&bridge, options());
    drop(live.next().await);
    fs::create_dir_all(&inner).unwrap();
    append(&inner.join("s.jsonl"), &line("s", 1, 1));
    live.wait_for(&bridge, 1).await;
    append(&outer.path().join("p/s.jsonl"), &line("s", 2, 20));
    live.wait_for(&bridge, 21).await;
    append(&inner.join("s.jsonl"), &line("s", 3, 300));
    live.wait_for(&bridge, 321).await;
    live.task.stop().await;
}

/// The usual roots are those of the process's environment: this runs the next test in one of its own.
#[test]
fn a_usual_root_that_appears_is_noticed_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "live::file_system::the_first_transcript_of_a_new_user"]);
    command.env_remove("CLAUDE_CONFIG_DIR").env_remove("XDG_CONFIG_HOME");
    let output = command.env("HOME", home.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "needs an empty home folder, with which the test above runs it"]
async fn the_first_transcript_of_a_new_user() {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap());
    assert!(fs::read_dir(&home).unwrap().next().is_none(), "{}", home.display());
    let store = Arc::new(InMemoryStore::default());
    let bridge = crate::builder(store, &[]).build();
    let mut live = Live::start(&bridge, options());
    drop(live.next().await);
    for (number, root) in (0..).zip([".claude/projects", ".config/claude/projects"]) {
        let project = home.join(root).join("p");
        fs::create_dir_all(&project).unwrap();
        append(&project.join("s.jsonl"), &line("s", 2 * number, 1));
        live.wait_for(&bridge, 1 + 21 * number).await;
        append(&project.join("s.jsonl"), &line("s", 2 * number + 1, 20));
        live.wait_for(&bridge, 21 + 21 * number).await;
    }
    live.task.stop().await;
}

/// The system's real limit, which a user namespace may lower for those in it: this runs the next test in one.
#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_watches_leads_to_polling_that_names_it() {
    use std::process::Command;

    const LIMIT: &str = "echo 5 > /proc/sys/user/max_inotify_watches";
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", script]);
        command
    };
    if !in_namespace(LIMIT).output().is_ok_and(|output| output.status.success()) {
        // Not every machine lets its users make a namespace.
        return;
    }
    let test =
        format!("{LIMIT} && exec \"$0\" --ignored --exact live::file_system::beyond_the_limit_of_watches");
    let output = in_namespace(&test).arg(std::env::current_exe().unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs a limit of five watches, with which the test above runs it"]
async fn beyond_the_limit_of_watches() {
    let folder = tempfile::tempdir().unwrap();
    (0..10).for_each(|number| fs::create_dir(folder.path().join(format!("p{number}"))).unwrap());
    let bridge = bridge_in_memory(folder.path());
    let mut live = Live::start(&bridge, options().with_poll_interval(Duration::from_millis(10)));
    drop(live.next().await.unwrap());
    let Watching::PollingInstead(reason) = live.task.status().watching else {
        panic!("{:?}", live.task.status());
    };
    assert!(reason.contains("fs.inotify.max_user_watches"), "{reason}");
    append(&folder.path().join("p9/s.jsonl"), &line("s", 1, 42));
    live.wait_for(&bridge, 42).await;
    live.task.stop().await;
}
