//! Compares rows of the store with rows of the sources.

use std::collections::{BTreeMap, HashMap};

use bridge_core::{
    DifferenceKind, IntegrityDifference, IntegrityResult, IntegrityTally, ResponseKey, ResponseUsage,
    ResponseVersion, RuleRevision, SessionId, SupersededKey,
};
use bridge_storage::{StoredResponse, StoredScope};

use super::live::{LiveResponses, waits};

/// The differences in one scope.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// The session whose tokens count; `None` for all.
    pub(super) session: Option<SessionId>,
    compared: u64,
    equal: u64,
    stored_tokens: u64,
    live_tokens: u64,
    pub(super) findings: Vec<Finding>,
    /// The newest revision of the rule among the stored rows.
    pub(super) newest_revision: RuleRevision,
}

/// A difference with the stored version.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) difference: IntegrityDifference,
    pub(super) version: Option<ResponseVersion>,
    /// The stored row is unchanged since the bridge wrote it.
    pub(super) is_intact: bool,
    /// The key to cover, if another one counts in its place.
    pub(super) superseded: Option<SupersededKey>,
}

impl Comparison {
    pub(super) fn new(
        scope: &StoredScope,
        stored: Vec<StoredResponse>,
        mut rows: BTreeMap<ResponseKey, ResponseUsage>,
        live: &LiveResponses,
    ) -> Self {
        let session = match scope {
            StoredScope::Session { session, .. } => Some(session.clone()),
            _ => None,
        };
        let mut comparison = Self::of_session(session.as_ref());
        let mut previous = None;
        for row in stored {
            if waits(&row, rows.get(&row.key)) {
                continue;
            }
            let is_repeated = previous.replace(row.key) == Some(row.key);
            let beside = rows.remove(&row.key);
            comparison.add(row, is_repeated, beside, live);
        }
        for (key, row) in rows {
            comparison.note(key, live.absence(&row), None, Some(row), None);
        }
        comparison.findings.sort_by_key(|finding| finding.difference.key);
        comparison
    }

    pub(super) fn of_session(session: Option<&SessionId>) -> Self {
        Self { session: session.cloned(), ..Self::default() }
    }

    pub(super) fn add(
        &mut self,
        stored: StoredResponse,
        is_repeated: bool,
        row: Option<ResponseUsage>,
        live: &LiveResponses,
    ) {
        let usage = stored.usage.as_ref();
        let is_counted = usage.is_none_or(|usage| usage.origin.is_counted());
        if !is_counted && !is_repeated && row.is_none() && stored.is_intact() {
            return;
        }
        self.newest_revision =
            self.newest_revision.max(usage.map_or(RuleRevision::NONE, |row| row.rule_revision));
        // A read with FINAL returns a key once. Twice means that the table is no longer the bridge's own.
        let kind = if is_repeated {
            Some(DifferenceKind::Duplicated)
        } else {
            difference(&stored, row.as_ref(), live)
        };
        match kind {
            Some(kind) => {
                let superseded =
                    stored.usage.as_ref().and_then(|usage| live.supersede(usage, stored.version));
                let superseded = superseded.filter(|_| kind == DifferenceKind::Outdated);
                self.note(stored.key, kind, Some(stored), row, superseded);
            }
            None => {
                self.compared += 1;
                self.equal += 1;
                let tokens = self.tokens(row.as_ref());
                self.stored_tokens = self.stored_tokens.saturating_add(tokens);
                self.live_tokens = self.live_tokens.saturating_add(tokens);
            }
        }
    }

    pub(super) fn note(
        &mut self,
        key: ResponseKey,
        kind: DifferenceKind,
        stored: Option<StoredResponse>,
        live: Option<ResponseUsage>,
        superseded: Option<SupersededKey>,
    ) {
        self.compared += 1;
        let version = stored.as_ref().map(|stored| stored.version);
        let is_intact = stored.as_ref().is_none_or(StoredResponse::is_intact);
        let stored = stored.and_then(|stored| stored.usage);
        self.stored_tokens = self.stored_tokens.saturating_add(self.tokens(stored.as_ref()));
        self.live_tokens = self.live_tokens.saturating_add(self.tokens(live.as_ref()));
        let difference = IntegrityDifference::new(key, kind, stored, live);
        self.findings.push(Finding { difference, version, is_intact, superseded });
    }

    /// Returns the tokens of a row, 0 if it belongs to another session than the compared one.
    fn tokens(&self, row: Option<&ResponseUsage>) -> u64 {
        let own = row.filter(|row| self.session.as_ref().is_none_or(|session| *session == row.session));
        own.map_or(0, |row| row.counts.total())
    }

    /// Differences that are errors.
    pub(super) fn errors(&self) -> u64 {
        self.findings.iter().filter(|finding| finding.difference.kind.is_error()).count() as u64
    }

    /// Returns whether the repair changed anything.
    pub(super) fn is_repaired(&self) -> bool {
        self.findings.iter().any(|finding| finding.difference.repaired.is_some())
    }

    /// Adds everything to the result, with at most this number of differences of each kind in its list.
    pub(super) fn write_to(&self, result: &mut IntegrityResult, listed_max: usize) {
        result.compared += self.compared;
        result.equal += self.equal;
        result.stored_tokens = result.stored_tokens.saturating_add(self.stored_tokens);
        result.live_tokens = result.live_tokens.saturating_add(self.live_tokens);
        let mut listed: HashMap<DifferenceKind, usize> = HashMap::new();
        result
            .differences
            .iter()
            .for_each(|listed_before| *listed.entry(listed_before.kind).or_default() += 1);
        for Finding { difference, .. } in &self.findings {
            result.moved += u64::from(difference.is_moved());
            *result.tallies.entry(difference.kind).or_default() += IntegrityTally {
                responses: 1,
                stored_tokens: self.tokens(difference.stored.as_ref()),
                live_tokens: self.tokens(difference.live.as_ref()),
                differing_tokens: difference.tokens(),
            };
            let listed = listed.entry(difference.kind).or_default();
            if *listed < listed_max {
                *listed += 1;
                result.differences.push(difference.clone());
            }
        }
    }
}

/// Returns the difference of a stored row from its response in the sources; `None` if there is none.
fn difference(
    stored: &StoredResponse,
    row: Option<&ResponseUsage>,
    live: &LiveResponses,
) -> Option<DifferenceKind> {
    let Some(usage) = stored.usage.as_ref().filter(|_| stored.is_intact()) else {
        return Some(DifferenceKind::Corrupted);
    };
    // Nothing of the bridge hides or annotates a response of the sources under its own key.
    if row.is_some() && !usage.origin.is_counted() {
        return Some(DifferenceKind::Corrupted);
    }
    let Some(row) = row else {
        if live.supersede(usage, stored.version).is_some() {
            return Some(DifferenceKind::Outdated);
        }
        let is_double = !usage.counts.is_zero() && live.contains_content(usage);
        return Some(match is_double {
            true => DifferenceKind::Duplicated,
            false => live.surplus(usage, DifferenceKind::OnlyStored),
        });
    };
    // An assignment is the configuration's of its time, and proves nothing.
    let row = ResponseUsage { assignment: usage.assignment.clone(), ..row.clone() };
    if (ResponseUsage { forced: usage.forced, ..row.clone() }) == *usage {
        return None;
    }
    if usage.rule_revision < row.rule_revision {
        return Some(DifferenceKind::Outdated);
    }
    // As the merge would decide.
    Some(match (row.version() > stored.version, usage.forced) {
        (true, _) => DifferenceKind::Behind,
        (false, 0) => live.surplus(usage, DifferenceKind::Ahead),
        (false, _) => DifferenceKind::Corrected,
    })
}
