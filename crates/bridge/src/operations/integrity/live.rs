//! The responses of the sources.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use bridge_analysis::History;
use bridge_core::{
    DifferenceKind, Origin, ResponseKey, ResponseUsage, ResponseVersion, RuleRevision, SessionId,
    SharedAssignment, SupersededKey, Timestamp,
};
use bridge_storage::{StoredResponse, StoredScope};

/// The responses of all sources.
#[derive(Debug)]
pub(super) struct LiveResponses {
    history: History,
    /// The versions of all rows worth tokens: the content of a row, without its key.
    versions: OnceLock<HashSet<ResponseVersion>>,
    /// The store does not keep older rows.
    retention_cutoff: Option<Timestamp>,
    /// The keys of older revisions of the rule.
    superseded: HashMap<ResponseKey, SupersededKey>,
    /// Sessions that were also pushed or read from streams, which cannot be read again.
    streamed: HashSet<SessionId>,
}

impl LiveResponses {
    pub(super) fn new(
        history: History,
        retention_cutoff: Option<Timestamp>,
        streamed: HashSet<SessionId>,
    ) -> Self {
        let superseded = history.superseded().map(|key| (key.key, key)).collect();
        Self { history, versions: OnceLock::new(), retention_cutoff, superseded, streamed }
    }

    /// Returns the kind of difference of a row of which the files hold less: `kind`, unless a stream may have held it.
    pub(super) fn surplus(&self, row: &ResponseUsage, kind: DifferenceKind) -> DifferenceKind {
        if self.streamed.contains(&row.session) { DifferenceKind::Unverifiable } else { kind }
    }

    /// The key, if an older revision of the rule made its stored row from available sources.
    pub(super) fn supersede(&self, row: &ResponseUsage, version: ResponseVersion) -> Option<SupersededKey> {
        let key = self.superseded.get(&row.key)?;
        let is_older = row.rule_revision < RuleRevision::CURRENT;
        (is_older && key.supersedes(version, &row.session, row.time)).then_some(*key)
    }

    /// Returns the kind of difference if this row is absent from the store.
    pub(super) fn absence(&self, row: &ResponseUsage) -> DifferenceKind {
        let is_kept = self.retention_cutoff.is_none_or(|since| row.time > since);
        if is_kept { DifferenceKind::Missing } else { DifferenceKind::Expired }
    }

    /// Returns the errors of sources that could not be read.
    pub(super) fn errors(&self) -> Vec<String> {
        self.history.errors().iter().map(ToString::to_string).collect()
    }

    pub(super) fn responses(&self) -> u64 {
        self.history.responses().len() as u64
    }

    /// Returns whether they are complete: a folder that is not mounted looks empty.
    pub(super) fn are_complete(&self) -> bool {
        self.history.errors().is_empty() && self.responses() > 0
    }

    pub(super) fn keys_of(&self, session: &SessionId) -> Vec<ResponseKey> {
        let own = self.history.responses().filter(|response| response.session == session);
        own.map(|response| response.key).collect()
    }

    /// Returns the rows of the scope, and those that the store has in it.
    pub(super) fn rows(
        &self,
        scope: &StoredScope,
        stored: &[StoredResponse],
    ) -> BTreeMap<ResponseKey, ResponseUsage> {
        let also: HashSet<ResponseKey> = match scope {
            StoredScope::Session { .. } => stored.iter().map(|row| row.key).collect(),
            _ => HashSet::new(),
        };
        let responses = self.history.responses().filter(|response| match scope {
            StoredScope::Keys(range) => range.contains(&response.key),
            StoredScope::Session { session, .. } => {
                response.session == session || also.contains(&response.key)
            }
            _ => true,
        });
        responses.map(|response| (response.key, response.to_usage())).collect()
    }

    /// Returns whether some response has exactly this content, whatever its key.
    pub(super) fn contains_content(&self, row: &ResponseUsage) -> bool {
        let versions = self.versions.get_or_init(|| {
            let worth_tokens = self.history.responses().filter(|response| !response.counts.is_zero());
            worth_tokens.map(|response| content_version(response.to_usage())).collect()
        });
        versions.contains(&content_version(row.clone()))
    }
}

/// Returns the version of a row's content, without force and without the assignment.
fn content_version(row: ResponseUsage) -> ResponseVersion {
    ResponseUsage { forced: 0, assignment: SharedAssignment::default(), ..row }.version()
}

/// Returns whether a row is compared with the markers instead of the sources: sums, and damaged rows that no source
/// knows, which may be in a marker's place.
pub(super) fn waits(stored: &StoredResponse, live: Option<&ResponseUsage>) -> bool {
    let is_sum = stored.usage.as_ref().is_some_and(|usage| usage.origin == Origin::Summed);
    live.is_none() && (is_sum || !stored.is_intact())
}
