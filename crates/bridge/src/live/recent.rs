//! The transcripts polled between full searches: the most recently modified files, and folders whose modification time
//! changed. A poll therefore costs the same for a long history. The next full search finds anything else.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bridge_analysis::SourceFile;
use bridge_core::Timestamp;

/// Maximum number of recent files. If there are no more than these, all are searched.
const FILES_MAX: usize = 1000;
/// The largest number of folders. With more, all files are searched.
const FOLDERS_MAX: usize = 100_000;
/// Granularity of the modification times of file systems: a folder that was modified within this time may change again
/// unnoticed.
const MTIME_GRANULARITY: Duration = Duration::from_secs(2);

/// The recently modified files, and the folders that hold transcripts.
#[derive(Debug, Default)]
pub(crate) struct RecentFiles {
    roots: Vec<PathBuf>,
    files: HashMap<PathBuf, Stamp>,
    /// The time of each folder; `None` if it may change without another time.
    folders: HashMap<PathBuf, Option<Timestamp>>,
}

/// The metadata that changes with the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Timestamp,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok().filter(Metadata::is_file)?;
        Some(Self { size: metadata.len(), modified: modified(&metadata)? })
    }
}

fn modified(metadata: &Metadata) -> Option<Timestamp> {
    metadata.modified().ok().map(Timestamp::from_system)
}

fn folder_time(path: &Path) -> Option<Timestamp> {
    modified(&path.metadata().ok()?)
}

impl RecentFiles {
    /// Returns the files to poll after a search that began at this time and found these; `None` if there are few enough
    /// to search them all.
    pub(crate) fn of(roots: Vec<PathBuf>, found: &[SourceFile], began: Timestamp) -> Option<Self> {
        Self::of_more_than(FILES_MAX, roots, found, began)
    }

    fn of_more_than(
        files_max: usize,
        roots: Vec<PathBuf>,
        found: &[SourceFile],
        began: Timestamp,
    ) -> Option<Self> {
        if found.len() <= files_max {
            return None;
        }
        let mut latest: Vec<&SourceFile> = found.iter().collect();
        latest.select_nth_unstable_by_key(files_max, |file| Reverse(file.modified));
        latest.truncate(files_max);
        let stamp = |file: &SourceFile| Stamp { size: file.size, modified: file.modified };
        let files = latest.into_iter().map(|file| (file.path.clone(), stamp(file))).collect();
        let mut recent = Self { roots: roots.clone(), files, folders: HashMap::new() };
        let mut folders = roots;
        // Those that a link leads to are not found below the roots.
        let mut known = Path::new("");
        for parent in found.iter().filter_map(|file| file.path.parent()) {
            if parent != known {
                folders.push(parent.to_owned());
                known = parent;
            }
        }
        recent.follow(folders, began).then_some(recent)
    }

    /// Adds these folders, and those in them. Returns false if there are too many.
    fn follow(&mut self, mut folders: Vec<PathBuf>, began: Timestamp) -> bool {
        while let Some(folder) = folders.pop() {
            if self.folders.contains_key(&folder) {
                continue;
            }
            let time = settled_mtime(folder_time(&folder), began);
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            folders.extend(entries.filter(is_folder).map(|entry| entry.path()));
            self.folders.insert(folder, time);
            if self.folders.len() > FOLDERS_MAX {
                return false;
            }
        }
        true
    }

    /// Returns the files and folders that changed, or may have, since the last poll or search.
    pub(crate) fn changed_since_last_poll(&mut self, now: Timestamp) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        self.files.retain(|path, known| {
            let Some(stamp) = Stamp::of(path) else { return false };
            if std::mem::replace(known, stamp) != stamp {
                changed.push(path.clone());
            }
            true
        });
        let is_changed = |(path, time): &(&PathBuf, &Option<Timestamp>)| {
            time.is_none_or(|time| folder_time(path) != Some(time))
        };
        let mut folders: Vec<PathBuf> =
            self.folders.iter().filter(is_changed).map(|(path, _)| path.clone()).collect();
        while let Some(folder) = folders.pop() {
            self.poll_folder(folder, now, &mut folders, &mut changed);
        }
        self.forget_oldest();
        changed
    }

    fn poll_folder(
        &mut self,
        folder: PathBuf,
        now: Timestamp,
        folders: &mut Vec<PathBuf>,
        changed: &mut Vec<PathBuf>,
    ) {
        let time = settled_mtime(folder_time(&folder), now);
        let Ok(entries) = fs::read_dir(&folder) else {
            if !self.roots.contains(&folder) {
                self.folders.remove(&folder);
            }
            return;
        };
        self.folders.insert(folder, time);
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if self.folders.len() + folders.len() < FOLDERS_MAX && !self.folders.contains_key(&path) {
                    folders.push(path.clone());
                    changed.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "jsonl")
                && let Some(stamp) = Stamp::of(&path)
                && self.files.insert(path.clone(), stamp) != Some(stamp)
            {
                changed.push(path);
            }
        }
    }

    fn forget_oldest(&mut self) {
        if self.files.len() > 2 * FILES_MAX {
            let mut files: Vec<_> = self.files.drain().collect();
            files.select_nth_unstable_by_key(FILES_MAX, |(_, stamp)| Reverse(stamp.modified));
            files.truncate(FILES_MAX);
            self.files.extend(files);
        }
    }
}

/// Returns the modification time, unless a later change may have the same.
fn settled_mtime(time: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    time.filter(|time| time.saturating_add(MTIME_GRANULARITY) <= now)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::time::UNIX_EPOCH;

    use bridge_analysis::discover;
    use bridge_core::{Clock, SystemClock};

    use super::*;

    /// A history of ten files in two folders, all modified an hour ago, the later ones later.
    fn history() -> (tempfile::TempDir, RecentFiles) {
        let root = tempfile::tempdir().unwrap();
        let now = Duration::from_millis(SystemClock.now().as_millis().try_into().unwrap());
        let hour_ago = UNIX_EPOCH + now - Duration::from_hours(1);
        for folder in ["p", "q"] {
            fs::create_dir(root.path().join(folder)).unwrap();
            for number in 0..5 {
                let path = root.path().join(folder).join(format!("{number}.jsonl"));
                fs::write(&path, "x").unwrap();
                let modified = hour_ago + Duration::from_secs(number);
                File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
            }
            File::open(root.path().join(folder)).unwrap().set_modified(hour_ago).unwrap();
        }
        File::open(root.path()).unwrap().set_modified(hour_ago).unwrap();
        let roots = vec![root.path().to_owned()];
        let found = discover(&roots).files;
        let recent = RecentFiles::of_more_than(4, roots, &found, SystemClock.now()).unwrap();
        assert_eq!(recent.files.len(), 4);
        (root, recent)
    }

    fn poll(recent: &mut RecentFiles, root: &Path) -> BTreeSet<String> {
        let changed = recent.changed_since_last_poll(SystemClock.now());
        changed.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    fn append(path: &Path) {
        use std::io::Write;
        File::options().append(true).create(true).open(path).unwrap().write_all(b"more").unwrap();
    }

    #[test]
    fn recent_files_that_changed_are_found_and_others_left_to_the_search() {
        let (root, mut recent) = history();
        assert_eq!(poll(&mut recent, root.path()), names([]));
        append(&root.path().join("p/4.jsonl"));
        append(&root.path().join("p/0.jsonl"));
        assert_eq!(poll(&mut recent, root.path()), names(["p/4.jsonl"]));
        assert_eq!(poll(&mut recent, root.path()), names([]));
    }

    #[test]
    fn new_and_renamed_files_are_found_with_their_neighbors_and_followed() {
        let (root, mut recent) = history();
        append(&root.path().join("q/new.jsonl"));
        fs::write(root.path().join("q/notes.txt"), "x").unwrap();
        let changed = poll(&mut recent, root.path());
        assert!(changed.contains("q/new.jsonl") && changed.iter().all(|path| path.starts_with("q/")));
        assert!(!changed.contains("q/notes.txt"));
        append(&root.path().join("q/new.jsonl"));
        assert!(poll(&mut recent, root.path()).contains("q/new.jsonl"));
        fs::rename(root.path().join("p/0.jsonl"), root.path().join("p/other.jsonl")).unwrap();
        assert!(poll(&mut recent, root.path()).contains("p/other.jsonl"));
    }

    #[test]
    fn what_appears_in_folders_that_were_empty_or_missing_is_found() {
        let (root, mut recent) = history();
        fs::create_dir_all(root.path().join("r/s/t")).unwrap();
        assert_eq!(poll(&mut recent, root.path()), names(["r", "r/s", "r/s/t"]));
        append(&root.path().join("r/s/t/deep.jsonl"));
        assert_eq!(poll(&mut recent, root.path()), names(["r/s/t/deep.jsonl"]));
        fs::remove_dir_all(root.path()).unwrap();
        assert_eq!(poll(&mut recent, root.path()), names([]));
        assert!(recent.files.is_empty());
        fs::create_dir_all(root.path().join("p")).unwrap();
        append(&root.path().join("p/again.jsonl"));
        assert!(poll(&mut recent, root.path()).contains("p"));
    }

    /// The file may have been written after the search read its folder.
    #[test]
    fn a_folder_that_changed_during_the_search_is_looked_into() {
        let (root, recent) = history();
        append(&root.path().join("p/late.jsonl"));
        let found = discover(&recent.roots).files;
        let found: Vec<_> = found.into_iter().filter(|file| file.stem() != "late").collect();
        let mut recent = RecentFiles::of_more_than(4, recent.roots, &found, SystemClock.now()).unwrap();
        assert!(poll(&mut recent, root.path()).contains("p/late.jsonl"));
    }

    #[test]
    fn a_small_history_is_searched() {
        let (_root, recent) = history();
        let found = discover(&recent.roots).files;
        assert!(RecentFiles::of(recent.roots, &found, SystemClock.now()).is_none());
    }
}
