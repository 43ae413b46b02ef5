//! Filters of reads, and the totals they return.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bridge_core::{ResponseUsage, SessionId, TimeRange, TokenCounts};
use serde::{Deserialize, Serialize};

use crate::dimension::Dimension;

/// A filter of responses. All conditions must hold; the default admits all.
///
/// Conditions are added and never removed: who passes a filter on cannot widen it.
///
/// ```
/// use bridge_core::{SessionId, TimeRange};
/// use bridge_storage::{Dimension, ResponseFilter};
///
/// let filter = ResponseFilter::in_time(TimeRange::ALL)
///     .with_values(Dimension::Branch, ["main", "release"])
///     .without_values(Dimension::Skill, [""]);
/// assert_eq!(filter.conditions().count(), 2);
/// let narrower = filter.with_sessions([SessionId::new("s")?]);
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseFilter {
    /// Only responses in this time range.
    pub time: TimeRange,
    values: BTreeMap<Dimension, AdmittedValues>,
}

/// The values of a dimension that a filter admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdmittedValues {
    /// Only these.
    Only(BTreeSet<String>),
    /// All but these.
    AllBut(BTreeSet<String>),
}

impl AdmittedValues {
    /// Returns whether this value is admitted.
    #[must_use]
    pub fn admits(&self, value: &str) -> bool {
        match self {
            Self::Only(values) => values.contains(value),
            Self::AllBut(values) => !values.contains(value),
        }
    }

    /// Returns the values that both admit.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::AllBut(mut all), Self::AllBut(more)) => {
                all.extend(more);
                Self::AllBut(all)
            }
            (Self::Only(mut values), other) | (other, Self::Only(mut values)) => {
                values.retain(|value| other.admits(value));
                Self::Only(values)
            }
        }
    }
}

impl ResponseFilter {
    /// Returns a filter for all responses in this time range.
    #[must_use]
    pub fn in_time(time: TimeRange) -> Self {
        Self { time, ..Self::default() }
    }

    /// Returns a filter for all responses of these sessions.
    #[must_use]
    pub fn of_sessions(sessions: Vec<SessionId>) -> Self {
        Self::default().with_sessions(sessions)
    }

    /// Returns the filter narrowed to these sessions.
    #[must_use]
    pub fn with_sessions(self, sessions: impl IntoIterator<Item = SessionId>) -> Self {
        self.with_values(Dimension::Session, sessions)
    }

    /// Returns the filter narrowed to responses that have one of these values in the dimension, as breakdowns name
    /// them: an empty text for those that have none. Without any value it admits nothing.
    #[must_use]
    pub fn with_values(
        self,
        dimension: Dimension,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.and(dimension, AdmittedValues::Only(values.into_iter().map(Into::into).collect()))
    }

    /// Returns the filter narrowed to responses that have none of these values in the dimension: with an empty text,
    /// those that have any.
    #[must_use]
    pub fn without_values(
        self,
        dimension: Dimension,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.and(dimension, AdmittedValues::AllBut(values.into_iter().map(Into::into).collect()))
    }

    fn and(mut self, dimension: Dimension, admitted: AdmittedValues) -> Self {
        let admitted = match self.values.remove(&dimension) {
            Some(known) => known.and(admitted),
            None => admitted,
        };
        self.values.insert(dimension, admitted);
        self
    }

    /// Returns the conditions besides the time, at most one for a dimension.
    pub fn conditions(&self) -> impl Iterator<Item = (&Dimension, &AdmittedValues)> {
        self.values.iter()
    }

    /// Returns the values that the responses must have in this dimension, if there are such.
    #[must_use]
    pub fn only(&self, dimension: &Dimension) -> Option<&BTreeSet<String>> {
        match self.values.get(dimension)? {
            AdmittedValues::Only(values) => Some(values),
            AdmittedValues::AllBut(_) => None,
        }
    }

    /// Returns whether the filter admits this response by what the response itself has.
    #[must_use]
    pub fn admits(&self, response: &ResponseUsage) -> bool {
        self.admits_by(response, |dimension| dimension.value_of(response))
    }

    /// Returns whether the filter admits this response, which has these values.
    pub(crate) fn admits_by<'a>(
        &self,
        response: &ResponseUsage,
        value_of: impl Fn(&Dimension) -> Cow<'a, str>,
    ) -> bool {
        self.time.contains(response.time)
            && self.conditions().all(|(dimension, values)| values.admits(&value_of(dimension)))
    }
}

/// A filter of sessions. All responses of a session are summed, whichever of them are in the time range.
///
/// ```
/// use bridge_core::{SessionId, TimeRange};
/// use bridge_storage::SummaryFilter;
///
/// let page = SummaryFilter::active_in(TimeRange::ALL).with_metadata(true).with_cost(true).with_limit(100);
/// let next = page.clone().after(SessionId::new("the last session of the page")?);
/// let two = page.of_sessions(vec![SessionId::new("a")?, SessionId::new("b")?]);
/// assert!(next.include_metadata && next.include_cost && two.sessions.is_some());
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SummaryFilter {
    /// Only sessions with a response in this time range.
    pub active: TimeRange,
    /// Only these sessions.
    pub sessions: Option<Vec<SessionId>>,
    /// True to fill in [`TokenSummaryRecord::metadata`](bridge_core::TokenSummaryRecord::metadata).
    pub include_metadata: bool,
    /// True to fill in [`TokenSummaryRecord::cost`](bridge_core::TokenSummaryRecord::cost), which prices each
    /// response of the sessions.
    pub include_cost: bool,
    /// Only sessions whose id is after this one by its bytes: the last session of the previous page.
    pub after: Option<SessionId>,
    /// The maximum number of sessions; `None` for all.
    pub limit: Option<u32>,
}

impl SummaryFilter {
    /// Returns a filter for the sessions active in this time range.
    #[must_use]
    pub fn active_in(active: TimeRange) -> Self {
        Self { active, ..Self::default() }
    }

    /// Returns the filter narrowed to these sessions.
    #[must_use]
    pub fn of_sessions(mut self, sessions: Vec<SessionId>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Returns the filter with or without metadata.
    #[must_use]
    pub fn with_metadata(mut self, include: bool) -> Self {
        self.include_metadata = include;
        self
    }

    /// Returns the filter with or without costs.
    #[must_use]
    pub fn with_cost(mut self, include: bool) -> Self {
        self.include_cost = include;
        self
    }

    /// Returns the filter for the sessions behind this one, the last session of the previous page.
    #[must_use]
    pub fn after(mut self, session: SessionId) -> Self {
        self.after = Some(session);
        self
    }

    /// Returns the filter for at most this number of sessions.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// Sums over stored responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreTotals {
    /// Responses.
    pub responses: u64,
    /// Responses worth tokens.
    pub responses_worth_tokens: u64,
    /// Of those, the ones with only an unfinished snapshot. If there are any, the sums are floors.
    pub unfinished_responses: u64,
    /// Sessions.
    pub sessions: u64,
    /// The four counters.
    pub counts: TokenCounts,
}

/// One row of a breakdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakdownRow {
    /// The value of the dimension; empty if the responses have none.
    pub name: String,
    /// The sums. `sessions` counts those with a response in this row.
    pub totals: StoreTotals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_only_narrowed() {
        let admitted = |filter: &ResponseFilter| {
            let values = &filter.values[&Dimension::Host];
            ["a", "b", "c", ""].into_iter().filter(|value| values.admits(value)).collect::<String>()
        };
        let only = ResponseFilter::default().with_values(Dimension::Host, ["a", "b"]);
        let but = ResponseFilter::default().without_values(Dimension::Host, ["b", ""]);
        assert_eq!((admitted(&only), admitted(&but)), ("ab".to_owned(), "ac".to_owned()));
        assert_eq!(admitted(&only.clone().with_values(Dimension::Host, ["b", "c"])), "b");
        assert_eq!(admitted(&only.without_values(Dimension::Host, ["b"])), "a");
        assert_eq!(admitted(&but.clone().with_values(Dimension::Host, ["b", "c"])), "c");
        assert_eq!(admitted(&but.without_values(Dimension::Host, ["a"])), "c");
    }
}
