//! What recorded projects count for: worktrees, current names and groups.

use std::path::Path;
use std::sync::Arc;

use bridge::projects::{GitEntry, GitFolders, ProjectCatalog, ProjectGroupRule, ProjectNameRule};
use bridge::storage::{Dimension, InMemoryStore, ResponseFilter, StoreCapabilities, TokenStore};
use bridge::{
    AnalyzerOptions, BridgeBuilder, EnhancedTokenDatabaseBridge, ProjectKey, ProjectNames, SyncOptions,
};

fn line(key: u32, cwd: &str) -> String {
    let (cwd, id) = (serde_json::to_string(cwd).unwrap(), format!("msg_01{key:022}"));
    format!(
        r#"{{"type":"assistant","sessionId":"s{key}","cwd":{cwd},"timestamp":"2026-01-31T12:00:00Z","message":{{"id":"{id}","stop_reason":"end_turn","usage":{{"output_tokens":10}}}}}}"#
    ) + "\n"
}

fn write(folder: &Path, name: &str, lines: &[String]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, lines.concat()).unwrap();
}

/// The worktree `fix` of `/home/pat/app` in `/wt/fix`, or nothing at all.
fn folders(has_worktree: bool) -> GitFolders {
    GitFolders::new(move |folder| match folder.to_str() {
        _ if !has_worktree => GitEntry::NoFolder,
        Some("/wt/fix") => GitEntry::File("gitdir: /home/pat/app/.git/worktrees/fix\n".to_owned()),
        Some("/home/pat/app") => GitEntry::Folder,
        _ => GitEntry::Nothing,
    })
}

fn names(rules: &[(&str, &str)]) -> ProjectCatalog {
    ProjectCatalog::new(rules.iter().map(|(old, new)| ProjectNameRule::new(old, new).unwrap()), [])
}

async fn synced(builder: BridgeBuilder) -> EnhancedTokenDatabaseBridge {
    let bridge = builder.build();
    bridge.sync_all_sessions(SyncOptions::default()).await.unwrap();
    bridge
}

async fn responses(store: &dyn TokenStore, dimension: Dimension) -> Vec<(String, u64)> {
    let rows = store.breakdown(dimension, &ResponseFilter::default(), None).await.unwrap();
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row.name, row.totals.responses)).collect();
    rows.sort();
    rows
}

fn expected<const N: usize>(rows: [(&str, u64); N]) -> Vec<(String, u64)> {
    rows.map(|(name, responses)| (name.to_owned(), responses)).to_vec()
}

#[tokio::test]
async fn a_worktree_counts_for_its_repository_even_when_its_folder_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "-home-pat-app/a.jsonl", &[line(1, "/home/pat/app"), line(2, "/wt/fix/src")]);
    write(folder.path(), "-wt-fix/b.jsonl", &[line(3, "/wt/fix/src")]);
    let store = Arc::new(InMemoryStore::default());
    let builder = || crate::builder(store.clone(), &[folder.path()]);
    synced(builder()).await;
    assert_eq!(
        responses(&*store, Dimension::Project).await.len(),
        3,
        "folders are read only if that is asked for"
    );
    // What was stored before is recognized, too.
    write(folder.path(), "-other/c.jsonl", &[line(4, "/other")]);
    synced(builder().git_folders(folders(true))).await;
    assert_eq!(responses(&*store, Dimension::Project).await, expected([("/home/pat/app", 3), ("/other", 1)]));
    assert_eq!(responses(&*store, Dimension::Worktree).await, expected([("", 2), ("fix", 2)]));
    write(folder.path(), "-wt-fix/d.jsonl", &[line(5, "/wt/fix")]);
    synced(builder().git_folders(folders(true))).await;
    // Another day, when the worktree is gone.
    write(folder.path(), "-wt-fix/e.jsonl", &[line(6, "/wt/fix")]);
    synced(builder().git_folders(folders(false)).projects(names(&[("/home/pat/app", "Shop")]))).await;
    assert_eq!(responses(&*store, Dimension::Project).await, expected([("/other", 1), ("Shop", 5)]));
    assert_eq!(responses(&*store, Dimension::Worktree).await, expected([("", 2), ("fix", 4)]));
}

/// The client renamed the folder of the transcripts with the project; the records keep the old path.
#[tokio::test]
async fn a_renamed_project_is_one_without_reading_its_transcripts_again() {
    let folder = tempfile::tempdir().unwrap();
    let old = [line(3, "/home/pat/old"), line(4, "/home/pat/old/src")];
    write(folder.path(), "-home-pat-new/a.jsonl", &old);
    write(folder.path(), "-home-pat-new/b.jsonl", &[line(1, "/home/pat/new/src")]);
    let store = Arc::new(InMemoryStore::default());
    synced(crate::builder(store.clone(), &[folder.path()])).await;
    assert_eq!(responses(&*store, Dimension::Project).await.len(), 3);
    std::fs::remove_dir_all(folder.path().join("-home-pat-new")).unwrap();
    write(folder.path(), "-other/c.jsonl", &[line(2, "/other")]);
    let group = ProjectGroupRule::new("/home/pat/new", "acme".parse().unwrap()).unwrap();
    let renamed = ProjectNameRule::new("/home/pat/old", "/home/pat/new").unwrap();
    let catalog = ProjectCatalog::new([renamed], [group]);
    let bridge = synced(crate::builder(store.clone(), &[folder.path()]).projects(catalog)).await;
    let one = expected([("/home/pat/new", 3), ("/other", 1)]);
    assert_eq!(responses(&**bridge.token_store(), Dimension::Project).await, one);
    assert_eq!(responses(&*store, Dimension::ProjectGroup).await, expected([("", 1), ("acme", 3)]));
    let dashboard = bridge.dashboard().get_dashboard_token_metrics(bridge::TimeRange::ALL).await.unwrap();
    assert!(dashboard.projects.rows.iter().any(|project| project.name == "/home/pat/new"), "{dashboard:?}");
    let filter = ResponseFilter::default().with_values(Dimension::ProjectGroup, ["acme"]);
    assert_eq!(store.totals(&filter).await.unwrap().counts.output, 30);
}

/// Rules are about whole paths, in every form in which names are stored.
#[tokio::test]
async fn hidden_names_have_current_names_and_groups_too() {
    let key = || ProjectKey::from_hex("000102030405060708090a0b0c0d0e0f").unwrap();
    for mode in [ProjectNames::LastComponent, ProjectNames::KeyedHash(key())] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "-home-pat-new/a.jsonl", &[line(1, "/home/pat/new"), line(2, "/wt/fix")]);
        write(folder.path(), "-home-pat-old/b.jsonl", &[line(3, "/home/pat/old")]);
        write(folder.path(), "-tmp-x7/c.jsonl", &[line(4, "/tmp/x7")]);
        let store = Arc::new(InMemoryStore::default());
        let mut analyzer = AnalyzerOptions::default();
        analyzer.project_names = mode.clone();
        let builder = || crate::builder(store.clone(), &[folder.path()]).analyzer(analyzer.clone());
        // A folder's name is recognized in its stored form; a pattern needs the path.
        let first = names(&[("/home/pat/old", "/home/pat/new"), ("/tmp/**", "/tmp")]);
        synced(builder().projects(first).git_folders(folders(true))).await;
        let shown = |path: &str| mode.shown(&path.parse().unwrap()).unwrap().to_string();
        let mut all = vec![(shown("/home/pat/new"), 2), (shown("/home/pat/app"), 1), (shown("/tmp"), 1)];
        all.sort();
        assert_eq!(responses(&*store, Dimension::Project).await, all, "{mode:?}");
        let worktrees = responses(&*store, Dimension::Worktree).await;
        assert!(worktrees.len() == 2 && !worktrees[1].0.is_empty(), "{worktrees:?}");
        assert_eq!(worktrees[1].0 == "fix", mode == ProjectNames::LastComponent, "{worktrees:?}");
        let records = store.projects().unwrap().project_records().await.unwrap();
        let text = format!("{records:?}");
        assert!(!text.contains("/home") && !text.contains("/tmp") && !text.contains("/wt"), "{text}");
        // Another bridge's rules for a folder change it; what only a pattern said stays.
        std::fs::remove_dir_all(folder.path().join("-tmp-x7")).unwrap();
        write(folder.path(), "-z/d.jsonl", &[line(5, "/home/pat/new")]);
        synced(builder().projects(names(&[("/home/pat/old", "/elsewhere")]))).await;
        let projects = responses(&*store, Dimension::Project).await;
        assert!(projects.contains(&(shown("/elsewhere"), 1)), "{projects:?}");
        assert!(projects.contains(&(shown("/tmp"), 1)), "{projects:?}");
    }
}
