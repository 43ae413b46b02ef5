//! The revision of the counting rule that made a row.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The revision of the counting rule, stored with every row and every source record.
///
/// It changes when the rule changes what a row says or which key it has, never with the program's version: a new
/// revision makes every host read its sources again. A row of a revision that counts differently always replaces one of
/// an older revision; one of a revision that [counts alike](Self::counts_as) does unless the older row is of a greater
/// snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleRevision(pub u8);

impl RuleRevision {
    /// No revision: for records that say nothing.
    pub const NONE: Self = Self(0);
    /// The first revision. Stores that predate the recording of revisions hold its rows.
    pub const FIRST: Self = Self(1);
    /// The revision that this version of the bridge counts by.
    pub const CURRENT: Self = Self(3);

    /// Returns the first revision that counts as this one does. Revision 3 counts as revision 2; its rows say more.
    ///
    /// ```
    /// use bridge_core::RuleRevision;
    ///
    /// assert_eq!(RuleRevision(3).counts_as(), RuleRevision(2));
    /// assert_eq!(RuleRevision::FIRST.counts_as(), RuleRevision::FIRST);
    /// ```
    #[must_use]
    pub fn counts_as(self) -> Self {
        if self == Self(3) { Self(2) } else { self }
    }
}

impl Default for RuleRevision {
    fn default() -> Self {
        Self::CURRENT
    }
}

impl fmt::Display for RuleRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
