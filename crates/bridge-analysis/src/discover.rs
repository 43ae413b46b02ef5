//! Finding transcripts.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use bridge_core::Timestamp;

use crate::SourceError;

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

/// Files of the client that end in `.jsonl` and are no transcripts.
const NO_TRANSCRIPTS: [&str; 2] = ["journal.jsonl", "history.jsonl"];

/// The folders in which the client keeps transcripts, by the environment: each of `CLAUDE_CONFIG_DIR`
/// (comma separated, a config folder or its `projects`), else `$XDG_CONFIG_HOME/claude/projects` and
/// `~/.claude/projects`. Only those that exist.
#[must_use]
pub fn usual_roots(variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let candidates: Vec<PathBuf> = match set("CLAUDE_CONFIG_DIR") {
        Some(folders) => {
            folders.split(',').map(str::trim).filter(|folder| !folder.is_empty()).map(projects_of).collect()
        }
        None => {
            let home = set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from);
            let config =
                set("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config")));
            let xdg = config.map(|config| config.join("claude/projects"));
            let own = home.map(|home| home.join(".claude/projects"));
            xdg.into_iter().chain(own).collect()
        }
    };
    candidates.into_iter().filter(|folder| folder.is_dir()).collect()
}

fn projects_of(folder: &str) -> PathBuf {
    let folder = PathBuf::from(folder);
    if folder.file_name() == Some(OsStr::new("projects")) { folder } else { folder.join("projects") }
}

/// Finds all transcripts below these folders, at any depth; a root may be a transcript itself. A file that
/// is reached twice (overlapping roots, links) is taken once. Links are followed; circles end.
#[must_use]
pub fn discover(roots: &[PathBuf]) -> Discovery {
    let mut discovery = Discovery::default();
    for root in roots {
        discover_below(root, &mut discovery);
    }
    discovery.files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut seen = HashSet::with_capacity(discovery.files.len());
    discovery.files.retain(|file| seen.insert(identity(&file.path)));
    discovery
}

fn discover_below(root: &Path, discovery: &mut Discovery) {
    match root.metadata() {
        Err(error) => return discovery.errors.push(SourceError::new(root, error)),
        Ok(metadata) if metadata.is_file() && !is_transcript(root) => {
            let error = io::Error::new(io::ErrorKind::NotADirectory, "neither a folder nor a .jsonl file");
            return discovery.errors.push(SourceError::new(root, error));
        }
        Ok(_) => {}
    }
    for entry in walkdir::WalkDir::new(root).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.loop_ancestor().is_some() => continue,
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                // A file that went away while the folder was read was never there.
                let error = error.into_io_error().unwrap_or_else(|| io::Error::other("cannot be walked"));
                if error.kind() != io::ErrorKind::NotFound || path.is_symlink() && is_transcript(&path) {
                    discovery.errors.push(SourceError::new(&path, error));
                }
                continue;
            }
        };
        if !entry.file_type().is_file() || !is_transcript(entry.path()) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        discovery.files.push(SourceFile {
            size: metadata.len(),
            modified: metadata.modified().map_or(Timestamp::MIN, Timestamp::from_system),
            project_folder: project_folder(root, entry.path()),
            path: entry.into_path(),
        });
    }
}

fn is_transcript(path: &Path) -> bool {
    let named = path.file_name().and_then(OsStr::to_str);
    path.extension() == Some(OsStr::new("jsonl")) && named.is_none_or(|name| !NO_TRANSCRIPTS.contains(&name))
}

/// The component behind the last `projects`, else the first below the root.
fn project_folder(root: &Path, path: &Path) -> Option<String> {
    let parent = path.parent()?;
    let names: Vec<_> = parent.components().map(Component::as_os_str).collect();
    let below_projects = names.iter().rposition(|name| *name == "projects").and_then(|at| names.get(at + 1));
    let below_root = || parent.strip_prefix(root).ok()?.components().next().map(Component::as_os_str);
    below_projects.copied().or_else(below_root).map(|name| name.to_string_lossy().into_owned())
}

/// What makes two paths the same file.
#[cfg(unix)]
fn identity(path: &Path) -> (u64, u64, Option<PathBuf>) {
    use std::os::unix::fs::MetadataExt;
    match path.metadata() {
        Ok(metadata) => (metadata.dev(), metadata.ino(), None),
        Err(_) => (0, 0, Some(path.to_owned())),
    }
}

/// What makes two paths the same file.
#[cfg(not(unix))]
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn roots(variables: &[(&str, &Path)]) -> Vec<PathBuf> {
        usual_roots(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.to_str().unwrap().to_owned())
        })
    }

    #[test]
    fn the_usual_places() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join(".claude/projects");
        let xdg = home.path().join(".config/claude/projects");
        fs::create_dir_all(&own).unwrap();
        assert_eq!(roots(&[("HOME", home.path())]), std::slice::from_ref(&own));
        fs::create_dir_all(&xdg).unwrap();
        assert_eq!(roots(&[("HOME", home.path())]), [xdg, own.clone()]);
        let config = home.path().join(".claude");
        let by_config = roots(&[("HOME", Path::new("/nowhere")), ("CLAUDE_CONFIG_DIR", &config)]);
        assert_eq!(by_config, std::slice::from_ref(&own));
        assert_eq!(roots(&[("CLAUDE_CONFIG_DIR", &own)]), [own]);
        assert!(roots(&[]).is_empty());
    }

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
