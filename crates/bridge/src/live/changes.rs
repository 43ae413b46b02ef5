//! Changes that were reported and are not stored yet.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Reports which files and folders change, for [`LiveOptions::with_source`](crate::live::LiveOptions::with_source).
///
/// ```
/// use std::io;
/// use std::path::PathBuf;
///
/// use bridge::live::{ChangeSink, ChangeSource, LiveOptions};
///
/// /// Reports what a program of one's own announces.
/// #[derive(Debug)]
/// struct Announced(std::sync::mpsc::Sender<ChangeSink>);
///
/// impl ChangeSource for Announced {
///     fn watch(&mut self, _: &[PathBuf], changes: &ChangeSink) -> io::Result<()> {
///         self.0.send(changes.clone()).map_err(io::Error::other)
///     }
/// }
///
/// let (announced, _sinks) = std::sync::mpsc::channel();
/// let options = LiveOptions::polling(std::time::Duration::from_secs(5)).with_source(Announced(announced));
/// # drop(options);
/// ```
pub trait ChangeSource: Send + fmt::Debug {
    /// Begins to report changes at and below these folders and files, also the appearance of those that do not exist.
    /// Called before each search of all transcripts, so that a root that is new, or was replaced, is watched, too; what is
    /// watched already stays so.
    ///
    /// # Errors
    ///
    /// Why changes are not reported. The caller polls then, and tries again later.
    fn watch(&mut self, roots: &[PathBuf], changes: &ChangeSink) -> io::Result<()>;
}

/// Where a [`ChangeSource`] reports changes. Any number of them take up a limited amount of memory.
#[derive(Debug, Clone)]
pub struct ChangeSink(pub(crate) Arc<Changes>);

impl ChangeSink {
    /// Reports that a file changed, or that a folder appeared, is gone, or has another name.
    pub fn changed(&self, path: &Path) {
        self.0.add(|pending| pending.add(path));
    }

    /// Reports that changes were missed: all transcripts are searched.
    pub fn overflowed(&self) {
        self.0.add(Pending::add_all);
    }

    /// Reports that no further changes will be reported, and why.
    pub fn failed(&self, reason: impl fmt::Display) {
        self.0.add(|pending| {
            pending.failure = Some(reason.to_string());
            pending.add_all();
        });
    }
}

/// Number of changed paths above which all transcripts are searched.
const PATHS_MAX: usize = 4096;

/// The scope of a synchronization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// These files, and those in these folders.
    Paths(BTreeSet<PathBuf>),
    /// All transcripts.
    All,
}

/// The changes that wait for their synchronization.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pending: Mutex<Pending>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    paths: BTreeSet<PathBuf>,
    all: bool,
    failure: Option<String>,
}

impl Pending {
    fn add(&mut self, path: &Path) {
        if self.all {
            return;
        }
        if self.paths.len() < PATHS_MAX {
            self.paths.insert(path.to_owned());
        } else if !self.paths.contains(path) {
            self.add_all();
        }
    }

    fn add_all(&mut self) {
        self.all = true;
        self.paths = BTreeSet::new();
    }
}

impl Changes {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.pending());
        self.added.notify_one();
    }

    /// Waits for the next change.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// Returns the changes so far; `None` if there are none.
    pub(crate) fn take(&self) -> Option<Work> {
        let mut pending = self.pending();
        let paths = std::mem::take(&mut pending.paths);
        if std::mem::take(&mut pending.all) {
            return Some(Work::All);
        }
        (!paths.is_empty()).then_some(Work::Paths(paths))
    }

    /// Takes back what could not be synchronized.
    pub(crate) fn put_back(&self, work: Work) {
        let mut pending = self.pending();
        match work {
            Work::All => pending.add_all(),
            Work::Paths(paths) => paths.iter().for_each(|path| pending.add(path)),
        }
    }

    /// Returns why no further changes are reported, once.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.pending().failure.take()
    }

    /// Returns the number of changed paths that wait; `None` if all transcripts wait.
    pub(crate) fn waiting(&self) -> Option<usize> {
        let pending = self.pending();
        (!pending.all).then_some(pending.paths.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_a_path_are_one_and_too_many_paths_mean_all() {
        let changes = Arc::new(Changes::default());
        let sink = ChangeSink(Arc::clone(&changes));
        (0..PATHS_MAX * 3).for_each(|number| sink.changed(Path::new(&format!("/{}", number % PATHS_MAX))));
        assert_eq!(changes.waiting(), Some(PATHS_MAX));
        sink.changed(Path::new("/another"));
        assert_eq!(changes.waiting(), None);
        sink.changed(Path::new("/a"));
        assert_eq!(changes.take(), Some(Work::All));
        assert_eq!(changes.take(), None);
    }

    #[test]
    fn what_could_not_be_synchronized_waits_together_with_what_changed_meanwhile() {
        let changes = Arc::new(Changes::default());
        let sink = ChangeSink(Arc::clone(&changes));
        sink.changed(Path::new("/a"));
        let work = changes.take().unwrap();
        sink.changed(Path::new("/b"));
        changes.put_back(work);
        let both = BTreeSet::from(["/a", "/b"].map(PathBuf::from));
        assert_eq!(changes.take(), Some(Work::Paths(both)));
        sink.changed(Path::new("/a"));
        changes.put_back(Work::All);
        assert_eq!(changes.take(), Some(Work::All));
    }

    #[test]
    fn a_failed_source_is_reported_once_and_leads_to_a_search() {
        let changes = Arc::new(Changes::default());
        ChangeSink(Arc::clone(&changes)).failed("no more watches");
        assert_eq!(changes.take_failure().as_deref(), Some("no more watches"));
        assert_eq!((changes.take_failure(), changes.take()), (None, Some(Work::All)));
    }
}
