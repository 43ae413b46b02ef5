//! The projects that an analysis came across.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bridge_core::ProjectName;

/// Projects by the names that they are stored under, each with its whole names: several if the stored name is the last
/// component only. Clones share them. The default keeps nothing.
///
/// ```
/// use bridge_analysis::SeenProjects;
/// use bridge_core::ProjectName;
///
/// let (seen, name) = (SeenProjects::kept(), ProjectName::new("/home/pat/app")?);
/// seen.record(&name, &ProjectName::new("app")?);
/// let new = seen.take_new();
/// assert!(new.values().all(|whole| whole.contains(&name)) && new.len() == 1);
/// assert!(seen.take_new().is_empty(), "each is taken once");
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SeenProjects(Option<Arc<Mutex<Seen>>>);

#[derive(Debug, Default)]
struct Seen {
    whole: BTreeSet<ProjectName>,
    new: BTreeMap<ProjectName, BTreeSet<ProjectName>>,
}

impl SeenProjects {
    /// Returns an empty set that keeps what is recorded.
    #[must_use]
    pub fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    /// Records a project by its whole name and the name that it is stored under.
    pub fn record(&self, whole: &ProjectName, stored: &ProjectName) {
        let Some(seen) = &self.0 else { return };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.whole.contains(whole) {
            seen.whole.insert(whole.clone());
            seen.new.entry(stored.clone()).or_default().insert(whole.clone());
        }
    }

    /// Returns the projects that were recorded for the first time since the last call.
    #[must_use]
    pub fn take_new(&self) -> BTreeMap<ProjectName, BTreeSet<ProjectName>> {
        let Some(seen) = &self.0 else { return BTreeMap::new() };
        std::mem::take(&mut seen.lock().unwrap_or_else(PoisonError::into_inner).new)
    }

    /// Makes these projects new again, because they could not be stored.
    pub fn put_back(&self, projects: BTreeMap<ProjectName, BTreeSet<ProjectName>>) {
        let Some(seen) = &self.0 else { return };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (stored, mut whole) in projects {
            seen.new.entry(stored).or_default().append(&mut whole);
        }
    }
}

impl PartialEq for SeenProjects {
    /// Two are the same if they share what they keep.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for SeenProjects {}
