//! Finding the transcripts among paths that changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::read::walk::{ENTRIES_MAX, Walk};
use crate::source::Discovery;

/// Finds the transcripts at and below these paths, as [`discover`](crate::discover) finds them below the roots; a path
/// that does not exist, or does not belong to the roots, holds none.
///
/// Returns `None` if only a search of the roots can tell: a link leads to one of the paths, or a file has several
/// names.
#[must_use]
pub fn rediscover(roots: &[PathBuf], paths: &BTreeSet<PathBuf>) -> Option<Discovery> {
    let mut walk = Walk::new(roots, ENTRIES_MAX);
    let mut above: Option<&Path> = None;
    for path in paths {
        // What is below another one of the paths is found with it. Paths are sorted by component.
        if above.is_some_and(|above| path.starts_with(above) && above.is_dir()) {
            continue;
        }
        above = Some(path);
        walk.visit_changed(path)?;
    }
    walk.run_visited()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::read::discover::discover;

    fn paths(paths: &[&Path]) -> BTreeSet<PathBuf> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn changed_paths_hold_what_a_search_of_the_roots_finds_there() {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("projects/-home-user-app");
        fs::create_dir_all(project.join("s1/subagents")).unwrap();
        let names = ["s1.jsonl", "s1/subagents/agent-a.jsonl", "x.json", "journal.jsonl", "other.jsonl"];
        names.iter().for_each(|name| fs::write(project.join(name), "").unwrap());
        let roots = [root.path().to_owned()];
        let all = discover(&roots).files;
        let changed = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| project.join(name)).collect();
            let names: Vec<_> = names.iter().map(PathBuf::as_path).collect();
            rediscover(&roots, &paths(&names)).unwrap().files
        };
        let found = changed(&["s1.jsonl", "s1", "x.json", "journal.jsonl", "missing.jsonl", "missing"]);
        let expected: Vec<_> =
            all.iter().filter(|file| !file.path.ends_with("other.jsonl")).cloned().collect();
        assert_eq!((found.len(), found), (2, expected));
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("s.jsonl"), "").unwrap();
        let found = rediscover(&roots, &paths(&[&outside.path().join("s.jsonl")])).unwrap();
        assert!(found.files.is_empty() && found.errors.is_empty());
        // The roots themselves, and a root that is a file.
        assert_eq!(rediscover(&roots, &paths(&[root.path()])).unwrap().files, all);
        let file = project.join("s1.jsonl");
        let found = rediscover(std::slice::from_ref(&file), &paths(&[&file])).unwrap();
        assert_eq!(found.files.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_further_names_need_a_search_of_the_roots() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("p");
        fs::create_dir_all(folder.join("q")).unwrap();
        let plain = folder.join("q/s.jsonl");
        fs::write(&plain, "").unwrap();
        std::os::unix::fs::symlink(&plain, folder.join("link.jsonl")).unwrap();
        std::os::unix::fs::symlink(folder.join("q"), folder.join("linked")).unwrap();
        let roots = [root.path().to_owned()];
        let found = |path: &str| rediscover(&roots, &paths(&[&folder.join(path)]));
        assert_eq!(found("q/s.jsonl").unwrap().files.len(), 1);
        for path in ["link.jsonl", "linked/s.jsonl", "linked", ""] {
            assert!(found(path).is_none(), "{path}");
        }
        fs::hard_link(&plain, folder.join("twin.jsonl")).unwrap();
        assert!(found("q/s.jsonl").is_none());
    }

    #[test]
    fn only_the_clients_files_of_a_desktop_session_are_taken() {
        let data = tempfile::tempdir().unwrap();
        let session = data.path().join("Claude/local-agent-mode-sessions/org/account/local_1");
        let names =
            [".claude/projects/-p/s.jsonl", "audit.jsonl", "outputs/data.jsonl", "work/.claude/x.jsonl"];
        let names = names.map(|name| session.join(name));
        for name in &names {
            fs::create_dir_all(name.parent().unwrap()).unwrap();
            fs::write(name, "").unwrap();
        }
        let roots = [data.path().to_owned()];
        let found = rediscover(&roots, &names.into_iter().collect()).unwrap();
        assert_eq!(found.files, discover(&roots).files);
    }
}
