//! Keys that the current revision of the counting rule no longer uses.

use serde::{Deserialize, Serialize};

use crate::{Origin, ResponseKey, ResponseUsage, ResponseVersion, SessionId, Timestamp, TokenCounts};

/// A key under which revision 1 of the counting rule stored a snapshot that the current revision counts under a
/// different key, with the weight that revision 1 gave it.
///
/// Rows that revision 1 made under the key from snapshots of at most this weight are now counted under other keys. A
/// row of greater weight comes from a snapshot whose source is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededKey {
    /// The key of revision 1.
    pub key: ResponseKey,
    /// True if the snapshot has a `stop_reason`.
    pub finished: bool,
    /// The counters as revision 1 counted them.
    pub counts: TokenCounts,
}

impl SupersededKey {
    /// Returns a key with the weight of one snapshot.
    #[must_use]
    pub fn new(key: ResponseKey, finished: bool, counts: TokenCounts) -> Self {
        Self { key, finished, counts }
    }

    /// Returns the greater of two weights of one key.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    /// Returns the marker that covers the key with its version, with the session and time of the row that it replaces.
    #[must_use]
    pub fn marker(&self, session: SessionId, time: Timestamp) -> (ResponseUsage, ResponseVersion) {
        let marker = ResponseUsage { origin: Origin::Covered, ..ResponseUsage::new(self.key, session, time) };
        let version = ResponseVersion::covering_revision_1(self.finished, &self.counts, &marker);
        (ResponseUsage { forced: version.forced(), ..marker }, version)
    }

    /// Returns whether a row of revision 1 with this version was made from a snapshot of at most this weight.
    #[must_use]
    pub fn supersedes(&self, version: ResponseVersion, session: &SessionId, time: Timestamp) -> bool {
        self.marker(session.clone(), time).1 > version
    }

    fn weight(&self) -> impl Ord + use<> {
        (self.finished, self.counts.output, self.counts.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RuleRevision;

    #[test]
    fn marker_covers_rows_up_to_its_weight() {
        let session = SessionId::new("s").unwrap();
        let counts = |output| TokenCounts { output, ..TokenCounts::ZERO };
        let superseded = SupersededKey::new(ResponseKey(1), true, counts(5));
        let row = |output, finished| ResponseUsage {
            counts: counts(output),
            finished,
            rule_revision: RuleRevision::FIRST,
            ..ResponseUsage::new(ResponseKey(1), session.clone(), Timestamp::MIN)
        };
        let is_superseded = |row: ResponseUsage| superseded.supersedes(row.version(), &session, row.time);
        assert!(is_superseded(row(5, true)) && is_superseded(row(9, false)));
        assert!(!is_superseded(row(6, true)));
        let (marker, version) = superseded.marker(session.clone(), Timestamp::MIN);
        assert!(version.verifies(&marker));
        let greater = SupersededKey::new(ResponseKey(1), true, counts(6));
        assert_eq!(superseded.merge(greater), greater);
        assert_eq!(greater.merge(superseded), greater);
    }
}
