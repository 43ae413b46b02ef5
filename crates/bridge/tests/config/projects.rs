//! The section `projects`.

use bridge::StoreOptions;
use bridge::storage::Dimension;
use bridge_testkit::fixtures::analysis;

use crate::config::{in_memory, names, on_engine};

/// The current names and groups of the projects `/old/app`, `/srv/old/web` and `/other` with these keys, once before
/// and once after their responses are stored.
async fn current(keys: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let plain = on_engine(&[]).build().await.unwrap();
    for (key, project) in [(1, "/old/app"), (2, "/srv/old/web"), (3, "/other")] {
        let mut analysis = analysis("s", key, &[5]);
        analysis.responses[0].project = Some(project.parse().unwrap());
        assert!(plain.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap().success);
    }
    assert_eq!(names(&plain, Dimension::Project).await, ["/old/app", "/other", "/srv/old/web"]);
    // What is stored already has the names of the configuration as soon as the bridge is built.
    let bridge = on_engine(keys).build().await.unwrap();
    let current = (names(&bridge, Dimension::Project).await, names(&bridge, Dimension::ProjectGroup).await);
    let memory = in_memory(keys);
    for (key, project) in [(1, "/old/app"), (2, "/srv/old/web"), (3, "/other")] {
        let mut analysis = analysis("s", key, &[5]);
        analysis.responses[0].project = Some(project.parse().unwrap());
        assert!(memory.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap().success);
    }
    let in_memory = (names(&memory, Dimension::Project).await, names(&memory, Dimension::ProjectGroup).await);
    assert_eq!(in_memory, current);
    current
}

#[tokio::test]
async fn projects_names() {
    let rules = "['/old/app => /new/app', '/srv/old/** => /srv/new/**']";
    let (projects, groups) = current(&[("projects.names", rules)]).await;
    assert_eq!((projects, groups), (texts(["/new/app", "/other", "/srv/new/web"]), texts([""])));
    // A bridge without rules leaves them, and an empty list takes them back.
    let plain = on_engine(&[]).build().await.unwrap();
    assert_eq!(names(&plain, Dimension::Project).await, ["/new/app", "/other", "/srv/new/web"]);
    let empty = on_engine(&[("projects.names", "[]")]).build().await.unwrap();
    assert_eq!(names(&empty, Dimension::Project).await, ["/old/app", "/other", "/srv/old/web"]);
}

#[tokio::test]
async fn projects_groups() {
    let keys = [
        ("projects.names", "[/old/app => /new/app]"),
        ("projects.groups", "[/new => acme, '/srv/*/* => acme']"),
    ];
    let (projects, groups) = current(&keys).await;
    assert_eq!((projects, groups), (texts(["/new/app", "/other", "/srv/old/web"]), texts(["acme", ""])));
}

#[tokio::test]
async fn projects_git_worktrees() {
    let folder = tempfile::tempdir().unwrap();
    let (worktree, repository) = (folder.path().join("fix"), folder.path().join("app"));
    std::fs::create_dir_all(&worktree).unwrap();
    let git = format!("gitdir: {}/.git/worktrees/fix\n", repository.display());
    std::fs::write(worktree.join(".git"), git).unwrap();
    for (recognized, project) in [("true", &repository), ("false", &worktree)] {
        let bridge = in_memory(&[("projects.git_worktrees", recognized)]);
        let mut analysis = analysis("s", 1, &[5]);
        analysis.responses[0].project = Some(worktree.to_str().unwrap().parse().unwrap());
        assert!(bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap().success);
        assert_eq!(names(&bridge, Dimension::Project).await, [project.to_str().unwrap()]);
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
