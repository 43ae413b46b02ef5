//! Events of the file system, by `inotify`, `FSEvents`, `kqueue` or `ReadDirectoryChangesW`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bridge_analysis::platform::FileIdentity;
use notify::event::{CreateKind, ModifyKind, RenameMode};
use notify::{Error, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::live::{ChangeSink, ChangeSource};

/// Reports the changes of transcripts as the operating system does. A network folder that another machine writes to has
/// no events.
#[derive(Debug, Default)]
pub struct FileSystemEvents {
    watcher: Option<RootWatcher>,
}

#[derive(Debug)]
struct RootWatcher {
    watcher: RecommendedWatcher,
    roots: Arc<[PathBuf]>,
    watched: Watches,
    /// Not all changes are reported any more.
    is_broken: Arc<AtomicBool>,
}

/// The watched folders. A folder above several missing roots is watched once.
type Watches = BTreeMap<PathBuf, Watch>;

/// The mode and purpose of a watched folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Watch {
    /// Recursive for a root; else it is the nearest folder above a missing one, for the appearance of the next.
    mode: RecursiveMode,
    folder: FileIdentity,
}

impl ChangeSource for FileSystemEvents {
    fn watch(&mut self, roots: &[PathBuf], changes: &ChangeSink) -> io::Result<()> {
        let is_of_roots = |watcher: &RootWatcher| *watcher.roots == *roots;
        let kept = self
            .watcher
            .take()
            .filter(|watcher| is_of_roots(watcher) && !watcher.is_broken.load(Ordering::Relaxed));
        let mut watcher = match kept {
            Some(watcher) => watcher,
            None => RootWatcher::new(roots, changes.clone()).map_err(explained)?,
        };
        watcher.watch_roots().map_err(explained)?;
        self.watcher = Some(watcher);
        Ok(())
    }
}

/// Number of times that roots may appear while they begin to be watched. Later ones are found by the next search.
const ATTEMPTS_MAX: usize = 8;

impl RootWatcher {
    fn new(roots: &[PathBuf], changes: ChangeSink) -> Result<Self, Error> {
        let (roots, is_broken) = (Arc::<[PathBuf]>::from(roots), Arc::<AtomicBool>::default());
        let (places, breaks) = (event_paths(&roots), Arc::clone(&is_broken));
        let watcher = notify::recommended_watcher(move |event: Result<Event, Error>| match event {
            Ok(event) => report(&event, &places, &changes),
            Err(error) => {
                breaks.store(true, Ordering::Relaxed);
                changes.failed(explained(error));
            }
        })?;
        Ok(Self { watcher, roots, watched: Watches::new(), is_broken })
    }

    /// Watches the roots as they are now, and for the appearance of the missing ones.
    fn watch_roots(&mut self) -> Result<(), Error> {
        // A folder that appears before the one above it is watched has no event, so that this looks again.
        for _ in 0..ATTEMPTS_MAX {
            let wanted = wanted(&self.roots)?;
            if self.watched == wanted {
                break;
            }
            self.replace_watches(wanted)?;
        }
        Ok(())
    }

    fn replace_watches(&mut self, wanted: Watches) -> Result<(), Error> {
        let is_stale = |(path, watch): &(&PathBuf, &Watch)| wanted.get(*path) != Some(watch);
        let stale: Vec<_> = self.watched.iter().filter(is_stale).map(|(path, _)| path.clone()).collect();
        for path in stale {
            // The watch of a folder that is gone is gone, too.
            let _ = self.watcher.unwatch(&path);
            // The end of a recursive watch is that of those below it, which are needed again.
            self.watched.retain(|other, _| !other.starts_with(&path));
        }
        for (path, watch) in wanted {
            if self.watched.get(&path) != Some(&watch) {
                self.watcher.watch(&path, watch.mode)?;
                self.watched.insert(path, watch);
            }
        }
        Ok(())
    }
}

fn wanted(roots: &[PathBuf]) -> Result<Watches, Error> {
    let mut wanted = Watches::new();
    for root in roots {
        let existing = root.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
        let Some((path, metadata)) = existing else {
            return Err(Error::path_not_found().add_path(root.clone()));
        };
        let is_root = path == root;
        // Below another root all is watched, and a second watch of a folder there would end the first.
        if is_root || !roots.iter().any(|other| path.starts_with(other)) {
            let mode = if is_root { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            wanted.insert(path.to_owned(), Watch { mode, folder: FileIdentity::of(path, &metadata) });
        }
    }
    Ok(wanted)
}

/// Returns the roots as events may name them: absolute, and on some systems without links.
fn event_paths(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths = roots.to_vec();
    for root in roots {
        paths.extend(std::path::absolute(root));
        let canonical = |above: &Path| Some((above.canonicalize().ok()?, root.strip_prefix(above).ok()?));
        paths.extend(root.ancestors().find_map(canonical).map(|(above, below)| above.join(below)));
    }
    paths.sort();
    paths.dedup();
    paths
}

/// Reports what of the event concerns transcripts.
fn report(event: &Event, roots: &[PathBuf], changes: &ChangeSink) {
    if event.need_rescan() {
        return changes.overflowed();
    }
    for path in &event.paths {
        match relevance(event.kind, path, roots) {
            Relevance::None => {}
            Relevance::Path => changes.changed(path),
            Relevance::Root => changes.overflowed(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relevance {
    None,
    /// Something is to be read there.
    Path,
    /// A root appeared, or is another folder now.
    Root,
}

fn relevance(kind: EventKind, path: &Path, roots: &[PathBuf]) -> Relevance {
    let is_transcript = path.extension().is_some_and(|extension| extension == "jsonl");
    let holds_root = roots.iter().any(|root| root.starts_with(path));
    let is_below_root = roots.iter().any(|root| path.starts_with(root));
    match kind {
        EventKind::Access(_) => Relevance::None,
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
            if holds_root =>
        {
            Relevance::Root
        }
        // Beside a missing root.
        _ if !is_below_root => Relevance::None,
        // What was read of it stays counted.
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Relevance::None,
        _ if is_transcript => Relevance::Path,
        // A folder, perhaps with transcripts.
        EventKind::Create(CreateKind::File) => Relevance::None,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) | EventKind::Any | EventKind::Other => {
            Relevance::Path
        }
        EventKind::Modify(_) => Relevance::None,
    }
}

fn explained(error: Error) -> io::Error {
    let is_limit = match &error.kind {
        ErrorKind::MaxFilesWatch => Some("fs.inotify.max_user_watches"),
        // EMFILE, of `inotify_init`.
        ErrorKind::Io(error) if error.raw_os_error() == Some(24) => Some("fs.inotify.max_user_instances"),
        _ => None,
    };
    match is_limit {
        Some(limit) => io::Error::other(format!(
            "the system's limit of watched folders is reached; raise it, for instance with `sysctl {limit}=1048576`"
        )),
        None => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, DataChange, RemoveKind};

    use super::*;

    #[test]
    fn only_events_that_concern_transcripts_are_reported() {
        let roots = [PathBuf::from("/home/me/.claude/projects")];
        let of = |kind, path: &str| relevance(kind, Path::new(path), &roots);
        let (data, name) =
            (ModifyKind::Data(DataChange::Any), |mode| EventKind::Modify(ModifyKind::Name(mode)));
        let below = |name: &str| format!("/home/me/.claude/projects/{name}");
        for (kind, path, expected) in [
            (EventKind::Modify(data), below("p/s.jsonl"), Relevance::Path),
            (EventKind::Create(CreateKind::File), below("p/s.jsonl"), Relevance::Path),
            (name(RenameMode::To), below("p/s.jsonl"), Relevance::Path),
            (EventKind::Create(CreateKind::Folder), below("p"), Relevance::Path),
            (name(RenameMode::To), below("p"), Relevance::Path),
            (EventKind::Create(CreateKind::File), below("p/x.json"), Relevance::None),
            (EventKind::Modify(data), below("p/x.json"), Relevance::None),
            (EventKind::Access(AccessKind::Any), below("p/s.jsonl"), Relevance::None),
            (EventKind::Remove(RemoveKind::File), below("p/s.jsonl"), Relevance::None),
            (name(RenameMode::From), below("p/s.jsonl"), Relevance::None),
            (EventKind::Create(CreateKind::Folder), "/home/me/.claude".to_owned(), Relevance::Root),
            (EventKind::Remove(RemoveKind::Folder), "/home/me/.claude/projects".to_owned(), Relevance::Root),
            (name(RenameMode::To), "/home/me/.claude/projects".to_owned(), Relevance::Root),
            (name(RenameMode::To), "/home/me/.claude.json".to_owned(), Relevance::None),
            (EventKind::Create(CreateKind::Folder), "/home/me/other".to_owned(), Relevance::None),
            (EventKind::Modify(data), "/home/me/other.jsonl".to_owned(), Relevance::None),
        ] {
            assert_eq!(of(kind, &path), expected, "{kind:?} {path}");
        }
    }

    #[test]
    fn a_limit_of_the_system_is_named_with_its_remedy() {
        let text = explained(Error::new(ErrorKind::MaxFilesWatch)).to_string();
        assert!(text.contains("sysctl fs.inotify.max_user_watches="), "{text}");
    }
}
