//! Worktrees of `git worktree`, which lie anywhere.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bridge_core::{AttributionValue, LinkedWorktree, ProjectName};

use crate::count::project::{ancestors, drive, normal_form};
use crate::platform::HAS_DRIVES;

/// More of a file `.git` is not read: it is one path.
const GIT_FILE_BYTES_MAX: u64 = 8 << 10;

/// The kind of a folder's `.git` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitEntry {
    /// The folder is gone, or nothing can be learned of it.
    NoFolder,
    /// Nothing.
    Nothing,
    /// A folder: it is a repository.
    Folder,
    /// A file with this text, which says where the repository is.
    File(String),
}

/// The folders of a host, as far as it matters to which repository they belong.
///
/// ```
/// use bridge_analysis::{GitEntry, GitFolders};
/// use bridge_core::ProjectName;
///
/// let folders = GitFolders::new(|folder| match folder.to_str() {
///     Some("/home/pat/app-fix") => GitEntry::File("gitdir: /home/pat/app/.git/worktrees/fix\n".to_owned()),
///     _ => GitEntry::Nothing,
/// });
/// let worktree = folders.worktree_of(&ProjectName::new("/home/pat/app-fix/src")?);
/// assert_eq!(worktree.map(|worktree| worktree.repository.to_string()).as_deref(), Some("/home/pat/app"));
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Clone)]
pub struct GitFolders(Arc<dyn Fn(&Path) -> GitEntry + Send + Sync>);

impl fmt::Debug for GitFolders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GitFolders(…)")
    }
}

impl GitFolders {
    /// Returns the folders of which `entry` says what they have under the name `.git`.
    pub fn new(entry: impl Fn(&Path) -> GitEntry + Send + Sync + 'static) -> Self {
        Self(Arc::new(entry))
    }

    /// Returns the folders of this host. They are read when they are asked for, by blocking calls.
    #[must_use]
    pub fn of_this_host() -> Self {
        Self::new(entry_of)
    }

    /// Returns the worktree that a project lies in; `None` if it lies in none, or its folder is gone. Only worktrees of
    /// `git worktree` have a file `.git` that names one: those of submodules name a module.
    #[must_use]
    pub fn worktree_of(&self, project: &ProjectName) -> Option<LinkedWorktree> {
        let mut is_known = false;
        for folder in ancestors(project.as_str()).filter(|folder| is_whole(folder)) {
            match (self.0)(&on_this_host(folder)) {
                GitEntry::NoFolder if !is_known => return None,
                GitEntry::NoFolder | GitEntry::Nothing => is_known = true,
                GitEntry::Folder => return None,
                GitEntry::File(text) => return worktree(folder, &text),
            }
        }
        None
    }
}

/// Returns whether the path does not depend on the working directory.
pub(super) fn is_whole(path: &str) -> bool {
    path.starts_with(['/', '\\']) || drive(path).is_some()
}

/// Returns the path of a folder as this host has it. WSL has the drives of Windows below `/mnt`.
pub(super) fn on_this_host(folder: &str) -> PathBuf {
    match drive(folder).filter(|_| !HAS_DRIVES) {
        Some(letter) => {
            let inside = folder.get(2..).unwrap_or_default().replace('\\', "/");
            PathBuf::from(format!("/mnt/{}{inside}", letter.to_ascii_lowercase()))
        }
        None => PathBuf::from(folder),
    }
}

/// Returns the worktree in this folder, by the text of its file `.git`.
fn worktree(folder: &str, text: &str) -> Option<LinkedWorktree> {
    let written = text.strip_prefix("gitdir:")?.trim();
    let whole = match is_whole(written) {
        true => normal_form(written),
        false => normal_form(&joined(folder, written)),
    };
    let separators = ['/', '\\'];
    let (all, name) = whole.rsplit_once(separators)?;
    let (git, worktrees) = all.rsplit_once(separators)?;
    let repository = repository(git);
    (worktrees == "worktrees" && !repository.is_empty())
        .then(|| {
            Some(LinkedWorktree {
                repository: ProjectName::new(normal_form(&repository)).ok()?,
                name: AttributionValue::new(name).ok()?,
            })
        })
        .flatten()
}

/// Returns the folder of the repository with this folder of git's: the one that it is in, or itself if it is bare.
/// That of a submodule is in its parent's.
fn repository(git: &str) -> String {
    let folder = git.strip_suffix(".git").and_then(|rest| rest.strip_suffix(['/', '\\']));
    if let Some(folder) = folder {
        return if folder.is_empty() { "/".to_owned() } else { folder.to_owned() };
    }
    for module in ["/.git/modules/", "\\.git\\modules\\"] {
        if let Some((parent, inside)) = git.split_once(module) {
            return format!("{parent}/{inside}");
        }
    }
    git.to_owned()
}

/// Returns a path that is relative to a folder, without `.` and `..`.
fn joined(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split(['/', '\\']).collect();
    for part in relative.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." if parts.len() > 1 => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn entry_of(folder: &Path) -> GitEntry {
    let git = folder.join(".git");
    match std::fs::metadata(&git) {
        Ok(found) if found.is_dir() => GitEntry::Folder,
        Ok(_) => text_of(&git).map_or(GitEntry::NoFolder, GitEntry::File),
        Err(error) if error.kind() == ErrorKind::NotFound && folder.is_dir() => GitEntry::Nothing,
        Err(_) => GitEntry::NoFolder,
    }
}

fn text_of(file: &Path) -> Option<String> {
    // A pipe of this name would never end.
    let file = File::open(file).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
    let mut text = String::new();
    file.take(GIT_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(folder: &'static str, text: &'static str) -> impl Fn(&str) -> Option<(String, String)> {
        let folders = GitFolders::new(move |at| match at == on_this_host(folder) {
            true => GitEntry::File(text.to_owned()),
            false => GitEntry::Nothing,
        });
        move |project| {
            let found = folders.worktree_of(&ProjectName::new(project).unwrap())?;
            Some((found.repository.to_string(), found.name.to_string()))
        }
    }

    fn found(repository: &str, name: &str) -> Option<(String, String)> {
        Some((repository.to_owned(), name.to_owned()))
    }

    #[test]
    fn a_worktree_names_its_repository_wherever_it_lies() {
        let of = in_folder("/wt/fix", "gitdir: /home/pat/app/.git/worktrees/fix1\n");
        assert_eq!(of("/wt/fix"), found("/home/pat/app", "fix1"));
        assert_eq!(of("/wt/fix/src/deep"), found("/home/pat/app", "fix1"));
        assert_eq!(of("/wt"), None);
        assert_eq!(of("-wt-fix"), None, "the name of a folder is no path");
        for (text, expected) in [
            ("gitdir: ../../data/app/.git/worktrees/fix", found("/data/app", "fix")),
            ("gitdir: /srv/app.git/worktrees/fix", found("/srv/app.git", "fix")),
            ("gitdir: /app/.git/modules/lib/worktrees/fix", found("/app/lib", "fix")),
            ("gitdir: /.git/worktrees/fix", found("/", "fix")),
            ("gitdir: /app/.git/modules/lib", None),
            ("gitdir: /app/.git", None),
            ("gitdir: ", None),
            ("ref: refs/heads/main", None),
            ("", None),
        ] {
            assert_eq!(in_folder("/wt/fix", text)("/wt/fix"), expected, "{text}");
        }
    }

    #[test]
    fn paths_of_windows_are_found_where_wsl_has_them() {
        let of = in_folder("C:\\wt\\fix", "gitdir: C:/app/.git/worktrees/fix\r\n");
        assert_eq!(of("C:\\wt\\fix\\src"), found("C:\\app", "fix"));
        if !cfg!(windows) {
            assert_eq!(on_this_host("C:\\wt"), Path::new("/mnt/c/wt"));
        }
    }

    #[test]
    fn nothing_is_known_of_a_folder_that_is_gone_and_a_repository_is_its_own() {
        let at = |entry: GitEntry| {
            let folders = GitFolders::new(move |folder| match folder.to_str() {
                Some("/data/repo/gone") => entry.clone(),
                _ => GitEntry::File("gitdir: /other/.git/worktrees/x".to_owned()),
            });
            folders.worktree_of(&ProjectName::new("/data/repo/gone").unwrap())
        };
        assert_eq!(at(GitEntry::NoFolder), None);
        assert_eq!(at(GitEntry::Folder), None);
        assert!(at(GitEntry::Nothing).is_some());
    }

    #[test]
    fn folders_of_this_host_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let worktree = folder.path().join("fix");
        std::fs::create_dir_all(worktree.join("src")).unwrap();
        std::fs::create_dir_all(folder.path().join("app/.git")).unwrap();
        std::fs::write(worktree.join(".git"), "gitdir: ../app/.git/worktrees/fix\n").unwrap();
        let of = |path: &Path| {
            let project = ProjectName::new(path.to_str().unwrap()).unwrap();
            GitFolders::of_this_host().worktree_of(&project).map(|found| found.repository.to_string())
        };
        let app = folder.path().join("app").to_str().unwrap().to_owned();
        assert_eq!(of(&worktree.join("src")), Some(app));
        assert_eq!(of(&folder.path().join("app")), None);
        assert_eq!(of(&folder.path().join("gone")), None);
    }
}
