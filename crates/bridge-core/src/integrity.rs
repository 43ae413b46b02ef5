//! Results of verifying the store against a live analysis of the sources, by response key.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ResponseKey, ResponseUsage, SessionId, TokenCounts, saturating_sum};

/// Difference between a stored response and a live analysis of all sources.
///
/// The store must hold the greatest snapshot ever read, and its sources may be rewritten or deleted. So a
/// store that says *less* is wrong, and one that says *more* is right, as long as the row is one that the
/// bridge wrote: the version of a row verifies its fields
/// ([`ResponseVersion::verifies`](crate::ResponseVersion::verifies)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// The sources hold it and the store does not. An error.
    Missing,
    /// The sources hold a greater snapshot than the store: it grew, or a copy that counts more names another
    /// session or host. An error.
    Behind,
    /// An older revision of the counting rule made the stored row from a source that is still available and must be
    /// read again. An error.
    Outdated,
    /// The stored row is not one that the bridge wrote: its fields or its version were changed. An error,
    /// under any tolerance, even if no source has the response.
    #[serde(rename = "damaged")]
    Corrupted,
    /// The store has it under a second key that no source has: its tokens are counted twice. An error.
    #[serde(rename = "doubled")]
    Duplicated,
    /// Responses of a session are stored without the marker that its sums count nothing: sums that an analysis brings
    /// are or would be counted in addition. An error.
    Uncovered,
    /// The store holds a greater snapshot than the sources, which were rewritten since. History, not an error.
    Ahead,
    /// The stored row was put there by a forced update and is less than what the sources say. Intended, not an error.
    Corrected,
    /// No source holds it any longer (or only another machine's does). History, not an error. The stored row says
    /// which revision of the counting rule made it.
    OnlyStored,
    /// The session was pushed or read from a stream, which cannot be read again, and the store holds more of it than
    /// the files do. It is neither proved nor refuted, and no repair changes it. Not an error.
    Unverifiable,
    /// The sources hold it, and its age exceeds the store's retention. Intended, not an error.
    Expired,
}

impl DifferenceKind {
    /// All kinds, errors first.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::Behind,
        Self::Outdated,
        Self::Corrupted,
        Self::Duplicated,
        Self::Uncovered,
        Self::Ahead,
        Self::Corrected,
        Self::OnlyStored,
        Self::Unverifiable,
        Self::Expired,
    ];

    /// Returns whether a store with this difference is wrong.
    #[must_use]
    pub fn is_error(self) -> bool {
        matches!(
            self,
            Self::Missing
                | Self::Behind
                | Self::Outdated
                | Self::Corrupted
                | Self::Duplicated
                | Self::Uncovered
        )
    }

    /// Returns the displayed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Behind => "behind",
            Self::Outdated => "outdated",
            Self::Corrupted => "damaged",
            Self::Duplicated => "doubled",
            Self::Uncovered => "uncovered",
            Self::Ahead => "ahead",
            Self::Corrected => "corrected",
            Self::OnlyStored => "only_stored",
            Self::Unverifiable => "unverifiable",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A response that differs between store and sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IntegrityDifference {
    /// The response.
    pub key: ResponseKey,
    /// Kind of difference.
    pub kind: DifferenceKind,
    /// The stored row; `None` if absent or unreadable.
    pub stored: Option<ResponseUsage>,
    /// The row from the sources, if they have it.
    pub live: Option<ResponseUsage>,
    /// Action of the repair.
    pub repaired: Option<RepairAction>,
}

impl IntegrityDifference {
    /// Returns a difference that is not repaired yet.
    #[must_use]
    pub fn new(
        key: ResponseKey,
        kind: DifferenceKind,
        stored: Option<ResponseUsage>,
        live: Option<ResponseUsage>,
    ) -> Self {
        Self { key, kind, stored, live, repaired: None }
    }

    /// Returns whether store and sources attribute the response to different sessions.
    #[must_use]
    pub fn is_moved(&self) -> bool {
        matches!((&self.stored, &self.live), (Some(stored), Some(live)) if stored.session != live.session)
    }

    /// Returns the tokens that differ: counter by counter if only the counters do, otherwise all of the response,
    /// because then they are attributed to the wrong place.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let (Some(stored), Some(live)) = (&self.stored, &self.live) else {
            let rows = [&self.stored, &self.live].into_iter().flatten();
            return saturating_sum(rows.map(|row| row.counts.total()));
        };
        let counts = live.counts;
        if (ResponseUsage { counts, forced: live.forced, ..stored.clone() }) == *live {
            distance(stored.counts, live.counts)
        } else {
            stored.counts.total().max(live.counts.total())
        }
    }
}

fn distance(a: TokenCounts, b: TokenCounts) -> u64 {
    let pairs = [
        (a.input, b.input),
        (a.output, b.output),
        (a.cache_creation, b.cache_creation),
        (a.cache_read, b.cache_read),
    ];
    pairs.iter().fold(0, |sum: u64, (a, b)| sum.saturating_add(a.abs_diff(*b)))
}

/// Responses of one kind, counted in full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrityTally {
    /// Responses.
    pub responses: u64,
    /// Their tokens in the store.
    pub stored_tokens: u64,
    /// Their tokens in the sources.
    pub live_tokens: u64,
    /// The tokens that differ ([`IntegrityDifference::tokens`]).
    pub differing_tokens: u64,
}

impl std::ops::AddAssign for IntegrityTally {
    fn add_assign(&mut self, other: Self) {
        self.responses = self.responses.saturating_add(other.responses);
        self.stored_tokens = self.stored_tokens.saturating_add(other.stored_tokens);
        self.live_tokens = self.live_tokens.saturating_add(other.live_tokens);
        self.differing_tokens = self.differing_tokens.saturating_add(other.differing_tokens);
    }
}

/// Action of a repair on a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RepairAction {
    /// The row from the sources was stored by the normal merge, replacing a corrupted row.
    Restored,
    /// The row from the sources replaced the stored row by force.
    Forced,
    /// The row was removed.
    Removed,
    /// A marker covers the row, whose tokens now count under other keys.
    Covered,
}

/// Totals of a repair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// Responses stored again by the normal merge.
    pub restored: u64,
    /// Responses replaced by force.
    pub forced: u64,
    /// Rows removed.
    pub removed: u64,
    /// Rows of older revisions of the counting rule that were covered.
    pub covered: u64,
    /// Errors that remain, according to a comparison after the repair.
    pub remaining: u64,
}

/// Result of comparing the store with a live analysis of all sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use]
#[non_exhaustive]
pub struct IntegrityResult {
    /// The verified session; `None` for the whole store.
    pub session_id: Option<SessionId>,
    /// True if the store, as found, is correct: no row is corrupted, and the share of tokens that
    /// differ by an error is within the tolerance (0 admits no error, not even in a response worth nothing).
    /// If a source could not be read, nothing is proved and the check does not pass.
    pub passed: bool,
    /// The tolerance asked for.
    pub tolerance: f64,
    /// Responses known to the store or the sources.
    pub compared: u64,
    /// Of those, responses that are equal in both.
    pub equal: u64,
    /// The others by kind, counted in full. Kinds without responses are left out.
    pub tallies: BTreeMap<DifferenceKind, IntegrityTally>,
    /// The differences themselves: the first of each kind by key, up to the limit in the options.
    pub differences: Vec<IntegrityDifference>,
    /// Of all differences, responses that store and sources attribute to different sessions.
    pub moved: u64,
    /// Tokens in the store (of the session, if one was verified).
    pub stored_tokens: u64,
    /// Tokens in the sources (of the session, if one was verified).
    pub live_tokens: u64,
    /// Totals of the repair, if one was asked for.
    pub repair: Option<RepairReport>,
    /// Sources that could not be read, whose responses may be listed under `only_stored` or `ahead`, and analyses
    /// that a repair did not store because they are invalid.
    pub errors: Vec<String>,
    /// Duration of the verification.
    #[serde(rename = "duration_seconds", with = "crate::seconds")]
    pub duration: Duration,
}

impl IntegrityResult {
    /// Returns a result before anything was compared.
    pub fn new(session_id: Option<SessionId>, tolerance: f64) -> Self {
        Self {
            session_id,
            passed: true,
            tolerance,
            compared: 0,
            equal: 0,
            tallies: BTreeMap::new(),
            differences: Vec::new(),
            moved: 0,
            stored_tokens: 0,
            live_tokens: 0,
            repair: None,
            errors: Vec::new(),
            duration: Duration::ZERO,
        }
    }

    /// Returns the responses of one kind.
    #[must_use]
    pub fn of_kind(&self, kind: DifferenceKind) -> IntegrityTally {
        self.tallies.get(&kind).copied().unwrap_or_default()
    }

    /// Returns the responses that the store lacks.
    #[must_use]
    pub fn missing(&self) -> IntegrityTally {
        self.of_kind(DifferenceKind::Missing)
    }

    /// Returns the responses that only the store has, legitimately.
    #[must_use]
    pub fn only_stored(&self) -> IntegrityTally {
        self.of_kind(DifferenceKind::OnlyStored)
    }

    /// Returns the responses of pushed or streamed sessions that cannot be compared with a source.
    #[must_use]
    pub fn unverifiable(&self) -> IntegrityTally {
        self.of_kind(DifferenceKind::Unverifiable)
    }

    /// Returns the responses whose stored row differs from the sources, or was not written by the bridge.
    #[must_use]
    pub fn differing(&self) -> IntegrityTally {
        use DifferenceKind::{Ahead, Behind, Corrected, Corrupted, Duplicated, Outdated, Uncovered};
        self.sum([Behind, Outdated, Corrupted, Duplicated, Uncovered, Ahead, Corrected])
    }

    /// Returns all differences that are errors.
    #[must_use]
    pub fn erroneous(&self) -> IntegrityTally {
        self.sum(DifferenceKind::ALL.into_iter().filter(|kind| kind.is_error()))
    }

    /// Returns the share of tokens that differ by an error, of the greater of both totals: 0 to 1.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        let differing = self.erroneous().differing_tokens;
        let whole = self.stored_tokens.max(self.live_tokens).max(differing);
        if whole == 0 { 0.0 } else { differing as f64 / whole as f64 }
    }

    /// Returns whether the findings so far pass; see [`passed`](Self::passed).
    #[must_use]
    pub fn passes(&self) -> bool {
        let none_corrupted = self.of_kind(DifferenceKind::Corrupted).responses == 0;
        let no_error = self.erroneous().responses == 0;
        self.errors.is_empty()
            && none_corrupted
            && (no_error || self.tolerance > 0.0 && self.error_share() <= self.tolerance)
    }

    fn sum(&self, kinds: impl IntoIterator<Item = DifferenceKind>) -> IntegrityTally {
        let mut sum = IntegrityTally::default();
        kinds.into_iter().for_each(|kind| sum += self.of_kind(kind));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProjectName, Timestamp};

    fn row(output: u64) -> ResponseUsage {
        let session = SessionId::new("s").unwrap();
        let mut row = ResponseUsage::new(ResponseKey(1), session, Timestamp::MIN);
        row.counts = TokenCounts { output, ..TokenCounts::ZERO };
        row
    }

    fn difference(stored: ResponseUsage, live: ResponseUsage) -> IntegrityDifference {
        IntegrityDifference::new(ResponseKey(1), DifferenceKind::Behind, Some(stored), Some(live))
    }

    #[test]
    fn counters_differ_by_distance_and_misplaced_rows_by_all_tokens() {
        assert_eq!(difference(row(90), row(100)).tokens(), 10);
        let elsewhere = ResponseUsage { project: ProjectName::new("p").ok(), ..row(100) };
        assert_eq!(difference(row(90), elsewhere).tokens(), 100);
        let mut moved = row(7);
        moved.session = SessionId::new("t").unwrap();
        assert_eq!(
            (difference(row(7), moved.clone()).tokens(), difference(row(7), moved).is_moved()),
            (7, true)
        );
    }

    #[test]
    fn tolerance_admits_errors_but_no_corruption() {
        let found = |kind, tolerance| {
            let mut result = IntegrityResult::new(None, tolerance);
            (result.stored_tokens, result.live_tokens) = (990, 1000);
            let tally = IntegrityTally { responses: 1, differing_tokens: 10, ..IntegrityTally::default() };
            result.tallies.insert(kind, tally);
            result.passes()
        };
        assert!(found(DifferenceKind::Missing, 0.01));
        assert!(!found(DifferenceKind::Missing, 0.009) && !found(DifferenceKind::Missing, 0.0));
        assert!(!found(DifferenceKind::Corrupted, 1.0));
        for kind in DifferenceKind::ALL.into_iter().filter(|kind| !kind.is_error()) {
            assert!(found(kind, 0.0));
        }
        let mut unread = IntegrityResult::new(None, 1.0);
        unread.errors.push("a source".to_owned());
        assert!(!unread.passes());
    }
}
