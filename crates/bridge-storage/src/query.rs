//! Filters of reads, and the totals they return.

use bridge_core::{SessionId, TimeRange, TokenCounts};
use serde::{Deserialize, Serialize};

/// A filter of responses. All conditions must hold; the default admits all.
///
/// ```
/// use bridge_core::{SessionId, TimeRange};
/// use bridge_storage::ResponseFilter;
///
/// let mut filter = ResponseFilter::in_time(TimeRange::ALL);
/// filter.models = Some(vec!["claude-opus-4-8".to_owned()]);
/// let session = ResponseFilter::of_sessions(vec![SessionId::new("s")?]);
/// assert_ne!(filter, session);
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseFilter {
    /// Only responses in this time range.
    pub time: TimeRange,
    /// Only responses of these sessions.
    pub sessions: Option<Vec<SessionId>>,
    /// Only responses of these projects, as breakdowns name them: empty for those that name none.
    pub projects: Option<Vec<String>>,
    /// Only responses of these models, as breakdowns name them.
    pub models: Option<Vec<String>>,
    /// Only responses read on these hosts, as breakdowns name them.
    pub hosts: Option<Vec<String>>,
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
        Self { sessions: Some(sessions), ..Self::default() }
    }
}

/// A filter of sessions. All responses of a session are summed, whichever of them are in the time range.
///
/// ```
/// use bridge_core::{SessionId, TimeRange};
/// use bridge_storage::SummaryFilter;
///
/// let page = SummaryFilter::active_in(TimeRange::ALL).with_metadata(true).with_limit(100);
/// let next = page.clone().after(SessionId::new("the last session of the page")?);
/// let two = page.of_sessions(vec![SessionId::new("a")?, SessionId::new("b")?]);
/// assert!(next.include_metadata && two.sessions.is_some());
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

/// A dimension of breakdowns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// By project.
    Project,
    /// By model.
    Model,
    /// By host.
    Host,
    /// By session.
    Session,
    /// By the place where the counters were found, under the names of [`Origin`](bridge_core::Origin).
    Origin,
    /// By day, UTC.
    Day,
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
    /// The project, model, host or session, or the day as `YYYY-MM-DD`; empty if the responses name none.
    pub name: String,
    /// The sums. `sessions` counts those with a response in this row.
    pub totals: StoreTotals,
}
