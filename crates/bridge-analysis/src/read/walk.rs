//! Walks over folders: visits each once, and reports those that cannot be visited.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bridge_core::Timestamp;

use crate::claude::layout::{is_desktop_session, is_of_desktop_client, is_transcript, project_folder};
use crate::error::SourceError;
use crate::platform::{FileIdentity, PATH_LIST_SEPARATOR, PseudoFileSystems, has_further_names};
use crate::source::{Discovery, SourceFile};

/// Maximum number of folder entries visited: ten times those of the largest known history. It ends the walk if a link
/// leads to the root of a large machine.
pub(crate) const ENTRIES_MAX: u64 = 5_000_000;

/// A path below a root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    path: PathBuf,
    /// The root's index.
    root: usize,
}

struct FoundFile {
    file: SourceFile,
    identity: FileIdentity,
    by_link: bool,
    has_further_names: bool,
}

/// The state of a walk. Links are followed only after everything else was visited, and in the order of their paths,
/// so that the result does not depend on the order in which a folder lists its entries.
pub(crate) struct Walk<'a> {
    roots: &'a [PathBuf],
    entries_left: u64,
    pseudo: PseudoFileSystems,
    visited: HashSet<FileIdentity>,
    folders: Vec<Place>,
    links: BTreeSet<Place>,
    files: Vec<FoundFile>,
    errors: Vec<SourceError>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(roots: &'a [PathBuf], entries_max: u64) -> Self {
        Self {
            roots,
            entries_left: entries_max,
            pseudo: PseudoFileSystems::mounted(),
            visited: HashSet::new(),
            folders: Vec::new(),
            links: BTreeSet::new(),
            files: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn run(mut self) -> Discovery {
        for (number, root) in self.roots.iter().enumerate() {
            self.visit_root(Place { path: root.clone(), root: number });
        }
        self.visit_folders();
        while let Some(link) = self.links.pop_first() {
            self.visit_link(link);
            self.visit_folders();
        }
        self.finish()
    }

    /// Visits a path below the roots, if it is there; `None` if links or further names of files are involved.
    pub(crate) fn visit_changed(&mut self, path: &Path) -> Option<()> {
        // Of nested roots the last one is visited first.
        let Some(root) = self.roots.iter().rposition(|root| path.starts_with(root)) else { return Some(()) };
        let below = path.strip_prefix(&self.roots[root]).ok()?;
        let mut folder = self.roots[root].clone();
        for name in below {
            if is_desktop_session(&folder) && !is_of_desktop_client(name) {
                return Some(());
            }
            folder.push(name);
            match folder.symlink_metadata() {
                Ok(metadata) if metadata.is_symlink() => return None,
                Ok(_) => {}
                // It is gone again, or cannot be visited: the next search of the roots says so.
                Err(_) => return Some(()),
            }
        }
        let place = Place { path: path.to_owned(), root };
        match path.metadata() {
            Ok(metadata) if self.pseudo.hold(&metadata) => {}
            Ok(metadata) if metadata.is_dir() => self.folders.push(place),
            Ok(metadata) if metadata.is_file() && is_transcript(path) => self.take(place, &metadata, false),
            _ => {}
        }
        Some(())
    }

    /// Visits what is below the changed folders; `None` if links or further names of files are involved.
    pub(crate) fn run_visited(mut self) -> Option<Discovery> {
        self.visit_folders();
        let is_plain = self.links.is_empty() && !self.files.iter().any(|found| found.has_further_names);
        is_plain.then(|| self.finish())
    }

    fn finish(mut self) -> Discovery {
        self.files.sort_by(|a, b| (a.by_link, &a.file.path).cmp(&(b.by_link, &b.file.path)));
        let mut seen = HashSet::with_capacity(self.files.len());
        self.files.retain(|found| seen.insert(found.identity.clone()));
        drop(seen);
        let mut files: Vec<_> = self.files.into_iter().map(|found| found.file).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Discovery { files, errors: self.errors }
    }

    fn visit_root(&mut self, root: Place) {
        match root.path.metadata() {
            Err(error) => {
                let error = explained(&root.path, error);
                self.fail(&root.path, error);
            }
            Ok(metadata) if self.pseudo.hold(&metadata) => self.fail(&root.path, made_up()),
            Ok(metadata) if metadata.is_dir() => self.folders.push(root),
            Ok(metadata) if metadata.is_file() && is_transcript(&root.path) => {
                self.take(root, &metadata, false)
            }
            Ok(_) => {
                let error = io::Error::new(ErrorKind::NotADirectory, "neither a folder nor a .jsonl file");
                self.fail(&root.path, error);
            }
        }
    }

    fn visit_link(&mut self, link: Place) {
        match link.path.metadata() {
            Err(error) => self.fail(&link.path, error),
            Ok(metadata) if metadata.is_dir() => {
                let is_made_up = self.pseudo.hold(&metadata);
                if is_made_up { self.fail(&link.path, made_up()) } else { self.folders.push(link) }
            }
            Ok(metadata) if metadata.is_file() && is_transcript(&link.path) => {
                let is_made_up = self.pseudo.hold(&metadata);
                if is_made_up { self.fail(&link.path, made_up()) } else { self.take(link, &metadata, true) }
            }
            Ok(_) => {}
        }
    }

    fn visit_folders(&mut self) {
        while let Some(folder) = self.folders.pop() {
            match self.visit_folder(&folder) {
                Ok(()) => {}
                // A folder that disappears while its parent is read is treated as if it had never existed.
                Err(error) if error.kind() == ErrorKind::NotFound && !self.is_root(&folder) => {}
                Err(error) => self.fail(&folder.path, error),
            }
        }
    }

    fn visit_folder(&mut self, folder: &Place) -> io::Result<()> {
        let metadata = folder.path.metadata()?;
        if self.pseudo.hold(&metadata) || !self.visited.insert(FileIdentity::of(&folder.path, &metadata)) {
            return Ok(());
        }
        let is_session = is_desktop_session(&folder.path);
        for entry in fs::read_dir(&folder.path)? {
            let entry = entry?;
            if self.entries_left == 0 {
                self.folders.clear();
                self.links.clear();
                return Err(io::Error::other(
                    "there are too many entries below the roots; name smaller ones",
                ));
            }
            self.entries_left -= 1;
            if is_session && !is_of_desktop_client(&entry.file_name()) {
                continue;
            }
            self.visit_entry(&entry, folder.root);
        }
        Ok(())
    }

    fn visit_entry(&mut self, entry: &DirEntry, root: usize) {
        let place = || Place { path: entry.path(), root };
        match entry.file_type() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.fail(&entry.path(), error),
            Ok(kind) if kind.is_dir() => self.folders.push(place()),
            Ok(kind) if kind.is_symlink() => drop(self.links.insert(place())),
            Ok(kind) if kind.is_file() && is_transcript(&entry.path()) => {
                // As with folders: one that disappears is treated as if it had never existed.
                if let Ok(metadata) = entry.metadata() {
                    self.take(place(), &metadata, false);
                }
            }
            Ok(_) => {}
        }
    }

    fn take(&mut self, place: Place, metadata: &Metadata, by_link: bool) {
        let identity = FileIdentity::of(&place.path, metadata);
        let file = SourceFile {
            size: metadata.len(),
            modified: metadata.modified().map_or(Timestamp::MIN, Timestamp::from_system),
            project_folder: project_folder(&self.roots[place.root], &place.path)
                .filter(|_| !place.path.parent().is_some_and(is_desktop_session)),
            path: place.path,
        };
        let has_further_names = has_further_names(metadata);
        self.files.push(FoundFile { file, identity, by_link, has_further_names });
    }

    fn is_root(&self, place: &Place) -> bool {
        self.roots[place.root] == place.path
    }

    fn fail(&mut self, path: &Path, error: io::Error) {
        self.errors.push(SourceError::new(path, error));
    }
}

fn made_up() -> io::Error {
    io::Error::new(ErrorKind::Unsupported, "on a pseudo file system, which holds no transcripts")
}

/// Explains a missing root that may have been meant as a list separated like `PATH`.
fn explained(root: &Path, error: io::Error) -> io::Error {
    let is_list = root.as_os_str().as_encoded_bytes().contains(&(PATH_LIST_SEPARATOR as u8));
    if error.kind() != ErrorKind::NotFound || !is_list {
        return error;
    }
    let hint = format!(
        "{error} (this is one path: give several paths separately, or comma-separated in CLAUDE_CONFIG_DIR, not with {:?})",
        PATH_LIST_SEPARATOR
    );
    io::Error::new(ErrorKind::NotFound, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(root: &Path) -> Discovery {
        Walk::new(&[root.to_owned()], ENTRIES_MAX).run()
    }

    fn names(found: &Discovery) -> Vec<String> {
        found.files.iter().map(SourceFile::stem).collect()
    }

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[cfg(unix)]
    fn link(target: impl AsRef<Path>, path: &Path) {
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Followed along every path, there would be more than 40! visits.
    #[cfg(unix)]
    #[test]
    fn a_farm_of_folders_that_link_to_each_other_is_visited_once() {
        let root = tempfile::tempdir().unwrap();
        let folders: Vec<_> = (0..40).map(|number| root.path().join(format!("f{number:02}"))).collect();
        for folder in &folders {
            write(&folder.join("s.jsonl"));
        }
        for folder in &folders {
            folders
                .iter()
                .enumerate()
                .for_each(|(number, other)| link(other, &folder.join(format!("l{number}"))));
        }
        let found = walk(root.path());
        assert_eq!((found.files.len(), found.errors.len()), (40, 0));
        assert!(
            found.files.iter().all(|file| !file.path.to_str().unwrap().contains("/l")),
            "{:?}",
            found.files
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_link_to_a_pseudo_file_system_is_reported_and_not_followed() {
        let root = tempfile::tempdir().unwrap();
        write(&root.path().join("s.jsonl"));
        link("/proc/self", &root.path().join("process"));
        link("/proc/kmsg", &root.path().join("kernel.jsonl"));
        let found = walk(root.path());
        assert_eq!(names(&found), ["s"]);
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        assert!(
            errors.len() == 2 && errors.iter().all(|error| error.contains("pseudo file system")),
            "{errors:?}"
        );
        let errors = walk(Path::new("/proc/self")).errors;
        assert!(errors.len() == 1 && errors[0].path() == Path::new("/proc/self"), "{errors:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_reported_whatever_its_name() {
        let root = tempfile::tempdir().unwrap();
        let paths = ["folder", "s.jsonl"].map(|name| root.path().join(name));
        paths.iter().for_each(|path| link("unmounted", path));
        let found = walk(root.path());
        assert_eq!(found.errors.iter().map(SourceError::path).collect::<Vec<_>>(), paths);
    }

    #[test]
    fn an_endless_walk_ends_with_an_error() {
        let root = tempfile::tempdir().unwrap();
        (0..30).for_each(|number| write(&root.path().join(format!("{number}/s.jsonl"))));
        let found = Walk::new(&[root.path().to_owned()], 40).run();
        assert!(found.files.len() < 30);
        assert!(found.errors.len() == 1 && found.errors[0].to_string().contains("too many entries below"));
    }

    #[test]
    fn a_list_of_folders_instead_of_one_is_explained() {
        let list = std::env::join_paths(["/missing/a", "/missing/b"]).unwrap();
        let found = walk(Path::new(&list));
        let error = found.errors[0].to_string();
        assert!(error.contains("/missing/b") && error.contains("comma-separated"), "{error}");
    }

    #[test]
    fn only_the_clients_files_of_a_desktop_session_are_taken() {
        let data = tempfile::tempdir().unwrap();
        let session = data.path().join("Claude/local-agent-mode-sessions/org/account/local_1");
        for name in
            [".claude/projects/-p/s.jsonl", "audit.jsonl", "outputs/data.jsonl", "work/.claude/x.jsonl"]
        {
            write(&session.join(name));
        }
        let found = walk(data.path());
        assert_eq!(names(&found), ["s", "audit"]);
        // The folders of accounts are not projects.
        let projects: Vec<_> = found.files.iter().map(|file| file.project_folder.as_deref()).collect();
        assert_eq!(projects, [Some("-p"), None]);
        assert_eq!(names(&walk(&session)), ["s", "audit"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_taken_under_its_own_path_whatever_the_name_of_the_link() {
        let root = tempfile::tempdir().unwrap();
        write(&root.path().join("z/s.jsonl"));
        link(root.path().join("z/s.jsonl"), &root.path().join("a.jsonl"));
        link(root.path().join("z"), &root.path().join("b"));
        let found = walk(root.path());
        assert_eq!(
            found.files.iter().map(|file| &file.path).collect::<Vec<_>>(),
            [&root.path().join("z/s.jsonl")]
        );
    }
}
