//! Finding transcripts.

use std::path::PathBuf;

use crate::read::walk::{ENTRIES_MAX, Walk};
use crate::source::Discovery;

/// Finds all transcripts below these roots, at any depth; a root may be a transcript itself.
///
/// Links are followed. Each folder and file is visited once by its identity, under its own path if that lies
/// below a root, so neither cycles nor many links to many folders cost more than what exists. Pseudo file systems
/// (`/proc`) are not searched, and neither are more than some millions of entries. The errors list what is left out for
/// that, roots that do not exist, and links whose target is missing.
#[must_use]
pub fn discover(roots: &[PathBuf]) -> Discovery {
    Walk::new(roots, ENTRIES_MAX).run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn transcripts_at_any_depth_once_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("projects/-home-user-app");
        fs::create_dir_all(project.join("s1/subagents/deep")).unwrap();
        for name in [
            "s1.jsonl",
            "s1/subagents/agent-a.jsonl",
            "s1/subagents/deep/agent-b.jsonl",
            "x.json",
            "journal.jsonl",
        ] {
            fs::write(project.join(name), "").unwrap();
        }
        fs::hard_link(project.join("s1.jsonl"), project.join("twin.jsonl")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path(), project.join("circle")).unwrap();
        let found = discover(&[root.path().to_owned(), project.clone()]);
        let names: Vec<_> = found.files.iter().map(|file| file.stem()).collect();
        assert_eq!(names, ["agent-a", "agent-b", "s1"]);
        assert!(found.files.iter().all(|file| file.project_folder.as_deref() == Some("-home-user-app")));
        assert!(found.errors.is_empty(), "{:?}", found.errors);
    }

    #[test]
    fn a_root_that_is_missing_or_no_folder_is_an_error_with_its_path() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("notes.txt");
        fs::write(&file, "x").unwrap();
        let found = discover(&[file.clone(), root.path().join("missing")]);
        assert_eq!(found.errors.len(), 2);
        assert!(found.errors[0].to_string().contains("notes.txt"));
    }
}
