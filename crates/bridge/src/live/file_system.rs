//! Events of the file system, by `inotify`, `FSEvents`, `kqueue` or `ReadDirectoryChangesW`.

use std::collections::HashMap;
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
    watched: HashMap<PathBuf, Watched>,
    /// Not all changes are reported any more.
    is_broken: Arc<AtomicBool>,
}

/// The folder that is watched for a root.
#[derive(Debug, PartialEq, Eq)]
enum Watched {
    /// The root, with all that is below it.
    Root(FileIdentity),
    /// The nearest folder above a missing root, for the appearance of the next one.
    Above(PathBuf, FileIdentity),
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
        for root in roots {
            watcher.watch(root).map_err(explained)?;
        }
        self.watcher = Some(watcher);
        Ok(())
    }
}

impl RootWatcher {
    fn new(roots: &[PathBuf], changes: ChangeSink) -> Result<Self, Error> {
        let (roots, is_broken) = (Arc::<[PathBuf]>::from(roots), Arc::<AtomicBool>::default());
        let (handled_roots, breaks) = (Arc::clone(&roots), Arc::clone(&is_broken));
        let watcher = notify::recommended_watcher(move |event: Result<Event, Error>| match event {
            Ok(event) => report(&event, &handled_roots, &changes),
            Err(error) => {
                breaks.store(true, Ordering::Relaxed);
                changes.failed(explained(error));
            }
        })?;
        Ok(Self { watcher, roots, watched: HashMap::new(), is_broken })
    }

    /// Watches the root as it is now, or for its appearance.
    fn watch(&mut self, root: &Path) -> Result<(), Error> {
        let wanted = wanted(root)?;
        if self.watched.get(root) == Some(&wanted) {
            return Ok(());
        }
        if let Some(old) = self.watched.remove(root) {
            let path = match &old {
                Watched::Root(_) => root,
                Watched::Above(path, _) => path,
            };
            // The watch of a folder that is gone is gone, too.
            let _ = self.watcher.unwatch(path);
        }
        match &wanted {
            Watched::Root(_) => self.watcher.watch(root, RecursiveMode::Recursive)?,
            // Below another root all is watched.
            Watched::Above(path, _) if self.roots.iter().any(|other| path.starts_with(other)) => {}
            Watched::Above(path, _) => self.watcher.watch(path, RecursiveMode::NonRecursive)?,
        }
        self.watched.insert(root.to_owned(), wanted);
        Ok(())
    }
}

fn wanted(root: &Path) -> Result<Watched, Error> {
    if let Ok(metadata) = root.metadata() {
        return Ok(Watched::Root(FileIdentity::of(root, &metadata)));
    }
    for above in root.ancestors().skip(1) {
        if let Ok(metadata) = above.metadata() {
            return Ok(Watched::Above(above.to_owned(), FileIdentity::of(above, &metadata)));
        }
    }
    Err(Error::path_not_found().add_path(root.to_owned()))
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
    match kind {
        EventKind::Access(_) => Relevance::None,
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
            if holds_root =>
        {
            Relevance::Root
        }
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
