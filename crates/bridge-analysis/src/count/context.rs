//! Names that many responses share: session, project, model and the like, each distinct set kept once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::path::PathBuf;

use bridge_core::{
    AgentId, AttributionValue, HostName, ModelName, ProjectName, ServiceTier, SessionId, SharedAssignment,
    SharedAttribution, TEXT_BYTES_MAX,
};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::assignments::AssignmentRules;
use crate::count::project::place_of;
use crate::count::snapshot::RawNames;
use crate::json::{Raw, string, string_bytes};
use crate::privacy::ProjectNames;
use crate::projects::SeenProjects;

/// The names of a response.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Context {
    pub(crate) session: SessionId,
    pub(crate) project: Option<ProjectName>,
    pub(crate) host: Option<HostName>,
    pub(crate) agent: Option<AgentId>,
    pub(crate) model: Option<ModelName>,
    pub(crate) service_tier: Option<ServiceTier>,
    pub(crate) attribution: SharedAttribution,
    pub(crate) assignment: SharedAssignment,
}

/// The names that a file supplies if the record has none.
#[derive(Debug, Clone)]
pub(crate) struct FileNames {
    /// The session of records that name no readable one.
    pub(crate) stem: SessionId,
    pub(crate) project_folder: Option<String>,
    pub(crate) host: Option<HostName>,
    pub(crate) project_names: ProjectNames,
    pub(crate) path: PathBuf,
    pub(crate) assignments: AssignmentRules,
    pub(crate) seen_projects: SeenProjects,
}

impl FileNames {
    /// Returns the names of a snapshot.
    pub(crate) fn context(&self, named: &RawNames<'_>) -> Context {
        let cwd = named.cwd.and_then(string).filter(|cwd| !cwd.is_empty());
        let place = place_of(self.project_folder.as_deref(), cwd.as_deref());
        let mut attribution = named
            .attribution
            .and_then(|value| string(value).and_then(|value| AttributionValue::new(value).ok()));
        attribution.worktree = place.worktree;
        let assignment = self.assignments.assignment(Some(&self.path), place.project.as_ref());
        Context {
            session: named.session.and_then(session).unwrap_or_else(|| self.stem.clone()),
            project: place.project.and_then(|name| self.shown_project(&name)),
            host: self.host.clone(),
            agent: named.agent.and_then(string).and_then(|id| AgentId::new(id).ok()),
            model: named
                .model
                .and_then(string)
                .and_then(|name| Some(ModelName::new(name).ok()?.without_account())),
            service_tier: named.service_tier.and_then(string).and_then(|name| ServiceTier::new(name).ok()),
            attribution: self.project_names.shown_attribution(attribution).into(),
            assignment: self.project_names.shown_assignment(assignment).into(),
        }
    }

    fn shown_project(&self, name: &ProjectName) -> Option<ProjectName> {
        let shown = self.project_names.shown(name)?;
        self.seen_projects.record(name, &shown);
        Some(shown)
    }

    /// Returns the id of a request in the form that leaves this machine.
    pub(crate) fn request_id<'a>(&self, value: Raw<'a>) -> Option<Cow<'a, str>> {
        let id = string(value).filter(|id| (1..=TEXT_BYTES_MAX).contains(&id.len()))?;
        self.project_names.shown_request(id)
    }
}

/// A session id is taken unchanged or not at all: with replaced characters it would be another session's.
pub(crate) fn session(value: Raw<'_>) -> Option<SessionId> {
    SessionId::new(std::str::from_utf8(&string_bytes(value)?).ok()?).ok()
}

/// The contexts in a part of a file, found by the raw names. Neighboring snapshots usually have the
/// same, so the last is compared first.
#[derive(Debug, Default)]
pub(crate) struct PartContexts {
    index: HashTable<u32>,
    /// The concatenated raw names of all contexts, and where those of each end.
    names: Vec<u8>,
    ends: Vec<usize>,
    contexts: Vec<Context>,
    last: u32,
}

impl PartContexts {
    /// Clears everything but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.index.clear();
        self.names.clear();
        self.ends.clear();
        self.contexts.clear();
        self.last = 0;
    }

    /// In the order in which they were found.
    pub(crate) fn all(&self) -> &[Context] {
        &self.contexts
    }

    /// Returns the place of a snapshot's context.
    pub(crate) fn place(&mut self, named: &RawNames<'_>, file: &FileNames) -> u32 {
        let start = self.names.len();
        let names = [named.session, named.cwd, named.agent, named.model, named.service_tier];
        let attribution = named.attribution.values().map(|(_, value)| value.copied());
        for name in names.into_iter().chain(attribution) {
            // No raw JSON value holds a line end, so that the names stay apart.
            self.names.extend_from_slice(name.unwrap_or_default().as_bytes());
            self.names.push(b'\n');
        }
        if !self.ends.is_empty() && self.raw_names(self.last) == &self.names[start..] {
            self.names.truncate(start);
            return self.last;
        }
        let hash = xxh3_64(&self.names[start..]);
        let known = self.index.find(hash, |place| self.raw_names(*place) == &self.names[start..]).copied();
        self.last = match known {
            Some(place) => {
                self.names.truncate(start);
                place
            }
            None => self.insert(hash, file.context(named)),
        };
        self.last
    }

    fn insert(&mut self, hash: u64, context: Context) -> u32 {
        let place = u32::try_from(self.contexts.len()).expect("a part holds fewer than 2^32 contexts");
        self.contexts.push(context);
        self.ends.push(self.names.len());
        let (names, ends) = (&self.names, &self.ends);
        self.index.insert_unique(hash, place, |place| xxh3_64(raw_names(names, ends, *place)));
        place
    }

    fn raw_names(&self, place: u32) -> &[u8] {
        raw_names(&self.names, &self.ends, place)
    }
}

/// Returns the raw names of the context at this place.
fn raw_names<'n>(names: &'n [u8], ends: &[usize], place: u32) -> &'n [u8] {
    let place = place as usize;
    let start = if place == 0 { 0 } else { ends[place - 1] };
    &names[start..ends[place]]
}

/// The contexts of a history.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    all: Vec<Context>,
    index: HashMap<Context, u32>,
    sessions: HashSet<SessionId>,
    projects: HashSet<ProjectName>,
    agents: HashSet<AgentId>,
    models: HashSet<ModelName>,
    service_tiers: HashSet<ServiceTier>,
    attributions: HashSet<SharedAttribution>,
    assignments: HashSet<SharedAssignment>,
}

impl Contexts {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, place: u32) -> &Context {
        &self.all[place as usize]
    }

    /// Returns the place of this context, and adds it if it is new.
    pub(crate) fn place(&mut self, context: &Context) -> u32 {
        if let Some(place) = self.index.get(context) {
            return *place;
        }
        let context = Context {
            session: shared(&mut self.sessions, &context.session),
            project: context.project.as_ref().map(|name| shared(&mut self.projects, name)),
            host: context.host.clone(),
            agent: context.agent.as_ref().map(|name| shared(&mut self.agents, name)),
            model: context.model.as_ref().map(|name| shared(&mut self.models, name)),
            service_tier: context.service_tier.as_ref().map(|name| shared(&mut self.service_tiers, name)),
            attribution: shared(&mut self.attributions, &context.attribution),
            assignment: shared(&mut self.assignments, &context.assignment),
        };
        let place = u32::try_from(self.all.len()).expect("2^32 contexts would fill the memory first");
        self.all.push(context.clone());
        self.index.insert(context, place);
        place
    }
}

/// Returns the name with the text that is known already, so that each text is kept once.
fn shared<T: Clone + Eq + Hash>(known: &mut HashSet<T>, name: &T) -> T {
    if let Some(known) = known.get(name) {
        return known.clone();
    }
    known.insert(name.clone());
    name.clone()
}
