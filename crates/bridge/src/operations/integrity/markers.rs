//! The markers over sessions' sums: every session with stored responses has one.

use std::collections::{BTreeMap, BTreeSet};

use bridge_core::{DifferenceKind, Origin, ResponseKey, ResponseUsage, SessionId};
use bridge_storage::StoredResponse;

use super::comparison::Comparison;
use super::live::{LiveResponses, waits};

/// The sums and their markers that were read. Both have keys of their own, in other scopes than the responses.
#[derive(Debug, Default)]
pub(super) struct Markers {
    /// Sessions with an intact response.
    sessions: BTreeSet<SessionId>,
    /// Keys with an intact marker.
    covered: BTreeSet<ResponseKey>,
    /// Rows waiting until all sessions are known.
    waiting: BTreeMap<ResponseKey, StoredResponse>,
}

impl Markers {
    /// Records the content of these rows, together with those of the sources.
    pub(super) fn note(&mut self, rows: &[StoredResponse], live: &BTreeMap<ResponseKey, ResponseUsage>) {
        for stored in rows {
            if waits(stored, live.get(&stored.key)) {
                self.waiting.insert(stored.key, stored.clone());
                continue;
            }
            let Some(usage) = stored.usage.as_ref().filter(|_| stored.is_intact()) else { continue };
            match usage.origin {
                Origin::Covered => drop(self.covered.insert(stored.key)),
                origin if origin.is_response() && !self.sessions.contains(&usage.session) => {
                    self.sessions.insert(usage.session.clone());
                }
                _ => {}
            }
        }
    }

    /// Compares them after all scopes were read: finds missing markers, including those replaced by something else.
    pub(super) fn compare(&self, session: Option<&SessionId>, live: &LiveResponses) -> Comparison {
        let mut comparison = Comparison::of_session(session);
        let mut waiting = self.waiting.clone();
        let wanted = |own: &&SessionId| session.is_none_or(|session| session == *own);
        for own in self.sessions.iter().filter(wanted) {
            let marker = ResponseUsage::covered_sums(own.clone());
            let beside = waiting.remove(&marker.key);
            if !self.covered.contains(&marker.key) {
                comparison.note(marker.key, DifferenceKind::Uncovered, beside, Some(marker), None);
            }
        }
        for (_, stored) in waiting {
            comparison.add(stored, false, None, live);
        }
        comparison
    }
}
