//! Finding transcripts.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use bridge_core::Timestamp;

use crate::SourceError;
use crate::walk::{ENTRIES_MAX, Walk};

/// A transcript file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size when it was found, in bytes.
    pub size: u64,
    /// When it was modified last.
    pub modified: Timestamp,
    /// The folder of its project: the one below `projects`, else the first below the root.
    pub project_folder: Option<String>,
}

impl SourceFile {
    /// A file of which only this is known. Its project is told from its path as if it had been discovered.
    #[must_use]
    pub fn of_path(path: &Path, size: u64, modified: Timestamp) -> Self {
        let root = path.parent().and_then(Path::parent).unwrap_or(Path::new(""));
        Self { path: path.to_owned(), size, modified, project_folder: project_folder(root, path) }
    }

    /// The file's name without `.jsonl`: its session, where the lines name none.
    #[must_use]
    pub fn stem(&self) -> String {
        let stem = self.path.file_stem().unwrap_or(OsStr::new("unnamed"));
        stem.to_string_lossy().into_owned()
    }

    /// Whether the client writes only a subagent's lines into it.
    #[must_use]
    pub fn is_subagent(&self) -> bool {
        self.path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"agent-"))
    }
}

/// What was found below some folders.
#[derive(Debug, Default)]
pub struct Discovery {
    /// The transcripts, each once, by path.
    pub files: Vec<SourceFile>,
    /// What could not be looked at.
    pub errors: Vec<SourceError>,
}

impl Discovery {
    /// The size of all files, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Finds all transcripts below these roots, at any depth; a root may be a transcript itself.
///
/// Links are followed, and each folder and file is visited once by its identity, under its own path where that lies
/// below a root: neither circles nor many links to many folders cost more than what is there. Pseudo file systems
/// (`/proc`) are not searched, and no more than some millions of entries are. What is left out for that, a root that
/// is not there and a link whose target is missing stand in the errors.
#[must_use]
pub fn discover(roots: &[PathBuf]) -> Discovery {
    Walk::new(roots, ENTRIES_MAX).run()
}

/// The component behind the last `projects`, else the first below the root.
pub(crate) fn project_folder(root: &Path, path: &Path) -> Option<String> {
    let parent = path.parent()?;
    let names: Vec<_> = parent.components().map(Component::as_os_str).collect();
    let below_projects = names.iter().rposition(|name| *name == "projects").and_then(|at| names.get(at + 1));
    let below_root = || parent.strip_prefix(root).ok()?.components().next().map(Component::as_os_str);
    below_projects.copied().or_else(below_root).map(|name| name.to_string_lossy().into_owned())
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
