//! Records which projects recorded ones count for, when new ones come in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bridge_analysis::{GitFolders, ProjectCatalog, ProjectNames, SeenProjects};
use bridge_core::{Attribution, BridgeError, LinkedWorktree, ProjectName, ProjectRecord, Timestamp};
use bridge_storage::{Dimension, ProjectStore, ResponseFilter};
use tokio::sync::Mutex;

use crate::ingest::Ingest;

/// A network folder may hang forever. What is not known by then is unknown.
const FOLDERS_DEADLINE: Duration = Duration::from_secs(5);

/// Projects by the names that they are stored under, each with its whole names, as far as they are known.
type Named = BTreeMap<ProjectName, BTreeSet<ProjectName>>;

/// What decides which projects recorded ones count for.
#[derive(Debug, Default)]
pub(crate) struct ProjectRules {
    /// Current names and groups. Without a catalog those stay that another bridge stored.
    pub(crate) catalog: Option<ProjectCatalog>,
    /// The folders that are searched for worktrees.
    pub(crate) folders: Option<GitFolders>,
    /// Held while records are updated. True when those of the projects that were stored before are.
    pub(crate) is_complete: Mutex<bool>,
}

impl ProjectRules {
    pub(crate) fn are_given(&self) -> bool {
        self.catalog.is_some() || self.folders.is_some()
    }
}

/// Updates the records of projects that are new, and the first time those of all. A failure stops nothing: the next
/// call tries again.
pub(crate) async fn update_projects(ingest: &Ingest) {
    let rules = &ingest.projects;
    let (true, Some(store)) = (rules.are_given(), ingest.store.projects()) else { return };
    // Another call is at it; what came in since is the next one's.
    let Ok(mut is_complete) = rules.is_complete.try_lock() else { return };
    let mut new = NewProjects::take(&ingest.analyzer.seen_projects);
    // Folders alone say nothing before there is a project.
    if new.projects.is_empty() && (*is_complete || rules.catalog.is_none()) {
        return;
    }
    match update(ingest, store, &new.projects, !*is_complete).await {
        Ok(()) => {
            *is_complete = true;
            new.projects.clear();
        }
        Err(error) => {
            tracing::warn!(%error, kind = error.kind(), "cannot store current project names and worktrees");
        }
    }
}

/// New projects, which are new again unless they are dealt with.
struct NewProjects<'a> {
    seen: &'a SeenProjects,
    projects: Named,
}

impl<'a> NewProjects<'a> {
    fn take(seen: &'a SeenProjects) -> Self {
        Self { seen, projects: seen.take_new() }
    }
}

impl Drop for NewProjects<'_> {
    fn drop(&mut self) {
        self.seen.put_back(std::mem::take(&mut self.projects));
    }
}

async fn update(
    ingest: &Ingest,
    store: &dyn ProjectStore,
    new: &Named,
    with_stored: bool,
) -> Result<(), BridgeError> {
    let names = &ingest.analyzer.project_names;
    let (mut projects, mut on_this_host) = (new.clone(), new.clone());
    let records = store.project_records().await?;
    if with_stored {
        let all = ResponseFilter::default();
        let whole = WholeNames::new(ingest.projects.catalog.as_ref(), names);
        let own = all.clone().with_values(Dimension::Host, [ingest.host.as_str()]);
        let own = store.recorded_projects(&own).await?;
        whole.add_to(&mut on_this_host, own.iter());
        projects.clone_from(&on_this_host);
        if ingest.projects.catalog.is_some() {
            let stored = store.recorded_projects(&all).await?;
            whole.add_to(&mut projects, stored.iter().chain(records.iter().map(|record| &record.name)));
        }
    }
    let worktrees = worktrees(ingest.projects.folders.as_ref(), on_this_host).await;
    let resolver = Resolver {
        catalog: ingest.projects.catalog.as_ref(),
        names,
        now: ingest.clock.now(),
        known: records.into_iter().map(|record| (record.name.clone(), record)).collect(),
    };
    let resolved =
        projects.iter().filter_map(|(name, whole)| resolver.record(name, whole, worktrees.get(name)));
    store.put_project_records(&resolved.collect::<Vec<_>>()).await
}

/// The whole names of projects that the store names, as far as they can be known.
struct WholeNames(Option<Named>);

impl WholeNames {
    fn new(catalog: Option<&ProjectCatalog>, names: &ProjectNames) -> Self {
        if *names == ProjectNames::Full {
            return Self(None);
        }
        let mut known = Named::new();
        for folder in catalog.map(ProjectCatalog::folders).unwrap_or_default() {
            if let Some(shown) = names.shown(&folder) {
                known.entry(shown).or_default().insert(folder);
            }
        }
        Self(Some(known))
    }

    fn add_to<'n>(&self, projects: &mut Named, stored: impl Iterator<Item = &'n ProjectName>) {
        for name in stored {
            projects.entry(name.clone()).or_insert_with(|| match &self.0 {
                None => BTreeSet::from([name.clone()]),
                Some(known) => known.get(name).cloned().unwrap_or_default(),
            });
        }
    }
}

/// Returns the worktrees among these projects, by their whole names. Blocking calls find them, on a thread of their
/// own.
async fn worktrees(folders: Option<&GitFolders>, projects: Named) -> BTreeMap<ProjectName, LinkedWorktree> {
    let Some(folders) = folders.cloned() else { return BTreeMap::new() };
    let look = move || {
        let found = projects.into_iter().filter_map(|(name, whole)| {
            Some((name, whole.iter().find_map(|project| folders.worktree_of(project))?))
        });
        found.collect()
    };
    match tokio::time::timeout(FOLDERS_DEADLINE, tokio::task::spawn_blocking(look)).await {
        Ok(found) => found.unwrap_or_default(),
        Err(_) => {
            tracing::warn!("project folders do not respond: worktrees in them are not recognized");
            BTreeMap::new()
        }
    }
}

/// Decides what the record of a project says.
struct Resolver<'a> {
    catalog: Option<&'a ProjectCatalog>,
    names: &'a ProjectNames,
    now: Timestamp,
    known: BTreeMap<ProjectName, ProjectRecord>,
}

impl Resolver<'_> {
    /// Returns the record of a project, if it says anything new. `found` is the worktree that the project was just
    /// found to be; it stays one when its folder is gone.
    fn record(
        &self,
        name: &ProjectName,
        whole: &BTreeSet<ProjectName>,
        found: Option<&LinkedWorktree>,
    ) -> Option<ProjectRecord> {
        let known = self.known.get(name);
        let before = known.cloned().unwrap_or_else(|| ProjectRecord::new(name.clone(), self.now));
        let worktree = found.and_then(|found| self.shown_worktree(found)).or_else(|| before.worktree.clone());
        let repository = worktree.as_ref().map(|worktree| &worktree.repository);
        let whole_repository = found.map(|found| &found.repository).or(repository);
        let (current, group) = match (self.catalog, whole.first()) {
            (Some(catalog), Some(whole)) => {
                let (current, group) = catalog.place(whole, whole_repository);
                (self.names.shown(&current)?, group)
            }
            _ if before.current == *name => (repository.unwrap_or(name).clone(), before.group.clone()),
            _ => (before.current.clone(), before.group.clone()),
        };
        let next = before.recorded_at.saturating_add(Duration::from_millis(1));
        let recorded_at = if known.is_some() { self.now.max(next) } else { self.now };
        let record = ProjectRecord { name: name.clone(), current, group, worktree, recorded_at };
        (!record.says_the_same_as(&before)).then_some(record)
    }

    /// Returns the worktree with its names in their stored form.
    fn shown_worktree(&self, found: &LinkedWorktree) -> Option<LinkedWorktree> {
        let name = Attribution { worktree: Some(found.name.clone()), ..Attribution::default() };
        let name = self.names.shown_attribution(name).worktree?;
        Some(LinkedWorktree { repository: self.names.shown(&found.repository)?, name })
    }
}
