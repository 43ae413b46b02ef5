//! A dashboard query.

use std::collections::BTreeMap;

use bridge_core::{CalendarUnit, SessionId, TimeRange, TimeZone};
use bridge_storage::{DashboardFilter, Dimension, GroupPage, ReceiptScope, ResponseFilter};

/// Which responses a dashboard shows, the steps and the time zone of its trend, and the rows of each breakdown.
///
/// A [`TimeRange`] is a query, too: everything in it, by UTC days, the first 100 sessions, projects, models and hosts.
///
/// ```
/// use bridge::storage::{Dimension, GroupPage};
/// use bridge::{DashboardQuery, TimeRange};
///
/// // By skill and MCP server, and nothing else, of the main branch, compared with the period before.
/// let week = TimeRange::last_days("2026-03-10T12:00:00Z".parse()?, 7);
/// let query = DashboardQuery::new(week)
///     .without_lists()
///     .list(Dimension::Skill, GroupPage::top(10))
///     .list(Dimension::McpServer, GroupPage::top(10))
///     .with_values(Dimension::Branch, ["main"])
///     .with_previous_period();
/// # assert_eq!(query.breakdowns.len(), 2);
///
/// // Of one project on one host, without the receipt of the whole store. The models of the second page, by time.
/// # use bridge::{Direction, GroupOrder};
/// let query = DashboardQuery::new(TimeRange::ALL)
///     .of_projects(["app"])
///     .of_models(["claude-opus-4-8", "claude-haiku-4-5"])
///     .of_hosts(["laptop"])
///     .list_models(GroupPage::top(20).sorted(GroupOrder::LastTime, Direction::Descending).after(20))
///     .list_sessions(GroupPage::top(5))
///     .list_projects(GroupPage::top(5))
///     .list_hosts(GroupPage::top(5))
///     .with_extra_counts()
///     .without_receipt();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DashboardQuery {
    /// The responses that are summed.
    pub responses: ResponseFilter,
    /// The time zone of the trend's steps.
    pub zone: TimeZone,
    /// The trend's steps. If there would be more than [`TREND_BUCKETS_MAX`](crate::TREND_BUCKETS_MAX), coarser ones.
    pub step: CalendarUnit,
    /// The dimension by which the trend is split, too.
    pub trend_by: Option<Dimension>,
    /// The breakdowns, and the rows of each that are listed: by default sessions, projects, models and hosts. Another
    /// dimension costs nothing.
    pub breakdowns: BTreeMap<Dimension, GroupPage>,
    /// Whether sums have their [`extra`](bridge_storage::UsageSums::extra) counts, for which more columns are read.
    pub extra_counts: bool,
    /// Whether to sum up the period before the time range, too.
    pub previous_period: bool,
    /// The receipt, which is of the whole store. Without it, an answer that is narrowed by time or names is faster.
    pub receipt: ReceiptScope,
}

impl Default for DashboardQuery {
    /// Everything.
    fn default() -> Self {
        let DashboardFilter { responses, breakdowns, extra_counts, receipt, .. } = DashboardFilter::default();
        let (zone, step) = (TimeZone::default(), CalendarUnit::default());
        Self {
            responses,
            zone,
            step,
            trend_by: None,
            breakdowns,
            extra_counts,
            previous_period: false,
            receipt,
        }
    }
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

    /// Returns the query with the trend split by this dimension, too.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use std::sync::Arc;
    ///
    /// use bridge::storage::{Dimension, InMemoryStore};
    /// use bridge::{DashboardBridgeAdapter, DashboardQuery, TimeRange};
    ///
    /// let query = DashboardQuery::new(TimeRange::ALL).trend_by(Dimension::Model);
    /// let dashboard = DashboardBridgeAdapter::new(Arc::new(InMemoryStore::default()));
    /// let metrics = dashboard.get_dashboard_token_metrics(query).await?;
    /// for series in &metrics.trend.series {
    ///     assert_eq!(series.buckets.len(), metrics.trend.buckets.len());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn trend_by(mut self, dimension: Dimension) -> Self {
        self.trend_by = Some(dimension);
        self
    }

    /// Returns the query narrowed to these sessions.
    #[must_use]
    pub fn of_sessions(mut self, sessions: impl IntoIterator<Item = SessionId>) -> Self {
        self.responses = self.responses.with_sessions(sessions);
        self
    }

    /// Returns the query narrowed to these projects, as the breakdown names them: empty for responses that name none.
    #[must_use]
    pub fn of_projects(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with_values(Dimension::Project, names)
    }

    /// Returns the query narrowed to these models, as the breakdown names them.
    #[must_use]
    pub fn of_models(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with_values(Dimension::Model, names)
    }

    /// Returns the query narrowed to these hosts, as the breakdown names them.
    #[must_use]
    pub fn of_hosts(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with_values(Dimension::Host, names)
    }

    /// Returns the query narrowed to responses with one of these values in the dimension
    /// ([`ResponseFilter::with_values`]).
    #[must_use]
    pub fn with_values(
        mut self,
        dimension: Dimension,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.responses = self.responses.with_values(dimension, values);
        self
    }

    /// Returns the query narrowed to responses with none of these values in the dimension
    /// ([`ResponseFilter::without_values`]).
    #[must_use]
    pub fn without_values(
        mut self,
        dimension: Dimension,
        values: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.responses = self.responses.without_values(dimension, values);
        self
    }

    /// Returns the query with these rows of the breakdown by this dimension.
    #[must_use]
    pub fn list(mut self, dimension: Dimension, page: GroupPage) -> Self {
        self.breakdowns.insert(dimension, page);
        self
    }

    /// Returns the query with these rows of the sessions.
    #[must_use]
    pub fn list_sessions(self, page: GroupPage) -> Self {
        self.list(Dimension::Session, page)
    }

    /// Returns the query with these rows of the projects.
    #[must_use]
    pub fn list_projects(self, page: GroupPage) -> Self {
        self.list(Dimension::Project, page)
    }

    /// Returns the query with these rows of the models.
    #[must_use]
    pub fn list_models(self, page: GroupPage) -> Self {
        self.list(Dimension::Model, page)
    }

    /// Returns the query with these rows of the hosts.
    #[must_use]
    pub fn list_hosts(self, page: GroupPage) -> Self {
        self.list(Dimension::Host, page)
    }

    /// Returns the query without any breakdown, which is faster.
    #[must_use]
    pub fn without_lists(mut self) -> Self {
        self.breakdowns.clear();
        self
    }

    /// Returns the query with thinking tokens, web searches and fetches in all sums.
    #[must_use]
    pub fn with_extra_counts(mut self) -> Self {
        self.extra_counts = true;
        self
    }

    /// Returns the query with the sums of the period before ([`TimeRange::previous`]).
    #[must_use]
    pub fn with_previous_period(mut self) -> Self {
        self.previous_period = true;
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
