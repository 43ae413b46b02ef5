//! A dashboard query.

use bridge_core::{CalendarUnit, SessionId, TimeRange, TimeZone};
use bridge_storage::{GroupPage, ReceiptScope, ResponseFilter};

/// Which responses a dashboard shows, the steps and the time zone of its trend, and the rows of each breakdown.
///
/// A [`TimeRange`] is a query, too: everything in it, by UTC days, the first 100 rows of each breakdown.
///
/// ```
/// use bridge::{CalendarUnit, DashboardQuery, Direction, GroupOrder, GroupPage, SessionId, TimeRange};
///
/// let query = DashboardQuery::new(TimeRange::ALL)
///     .by(CalendarUnit::Week, "Europe/Berlin".parse()?)
///     .of_projects(["app"])
///     .of_models(["claude-opus-4-8"])
///     .of_hosts(["laptop"])
///     .of_sessions([SessionId::new("5e2c1c52-0b6f-4a8f-9d0c-3a9f6a1f9e11")?])
///     .list_sessions(GroupPage::top(20).sorted(GroupOrder::LastTime, Direction::Descending).after(20))
///     .list_projects(GroupPage::top(5))
///     .list_models(GroupPage::top(5))
///     .list_hosts(GroupPage::top(5))
///     .without_receipt();
/// assert_eq!(query.sessions.offset, 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DashboardQuery {
    /// The responses that are summed.
    pub responses: ResponseFilter,
    /// The time zone of the trend's steps.
    pub zone: TimeZone,
    /// The trend's steps. If there would be more than [`TREND_BUCKETS_MAX`](crate::TREND_BUCKETS_MAX), coarser ones.
    pub step: CalendarUnit,
    /// The sessions that are listed.
    pub sessions: GroupPage,
    /// The projects that are listed.
    pub projects: GroupPage,
    /// The models that are listed.
    pub models: GroupPage,
    /// The hosts that are listed.
    pub hosts: GroupPage,
    /// The receipt, which is of the whole store. Without it, an answer that is narrowed by time or names is faster.
    pub receipt: ReceiptScope,
}

impl DashboardQuery {
    /// Returns a query for everything in this time range.
    #[must_use]
    pub fn new(range: TimeRange) -> Self {
        Self { responses: ResponseFilter::in_time(range), ..Self::default() }
    }

    /// Returns the query with a trend by these steps of this time zone.
    #[must_use]
    pub fn by(mut self, step: CalendarUnit, zone: TimeZone) -> Self {
        (self.step, self.zone) = (step, zone);
        self
    }

    /// Returns the query for only these sessions.
    #[must_use]
    pub fn of_sessions(mut self, sessions: impl IntoIterator<Item = SessionId>) -> Self {
        self.responses.sessions = Some(sessions.into_iter().collect());
        self
    }

    /// Returns the query for only these projects, as the breakdown names them: empty for responses that name none.
    #[must_use]
    pub fn of_projects(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.responses.projects = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Returns the query for only these models, as the breakdown names them.
    #[must_use]
    pub fn of_models(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.responses.models = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Returns the query for only these hosts, as the breakdown names them.
    #[must_use]
    pub fn of_hosts(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.responses.hosts = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Returns the query with these rows of the sessions.
    #[must_use]
    pub fn list_sessions(mut self, page: GroupPage) -> Self {
        self.sessions = page;
        self
    }

    /// Returns the query with these rows of the projects.
    #[must_use]
    pub fn list_projects(mut self, page: GroupPage) -> Self {
        self.projects = page;
        self
    }

    /// Returns the query with these rows of the models.
    #[must_use]
    pub fn list_models(mut self, page: GroupPage) -> Self {
        self.models = page;
        self
    }

    /// Returns the query with these rows of the hosts.
    #[must_use]
    pub fn list_hosts(mut self, page: GroupPage) -> Self {
        self.hosts = page;
        self
    }

    /// Returns the query without the receipt.
    #[must_use]
    pub fn without_receipt(mut self) -> Self {
        self.receipt = ReceiptScope::Omitted;
        self
    }
}

impl From<TimeRange> for DashboardQuery {
    fn from(range: TimeRange) -> Self {
        Self::new(range)
    }
}
