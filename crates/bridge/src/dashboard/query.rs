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
    /// True if sums have their [`cost`](bridge_storage::UsageSums::cost), for which more columns are read.
    pub cost: bool,
    /// The digest of the price list for it, if it is not the one in use.
    pub prices: Option<String>,
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
            cost: false,
            prices: None,
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

    /// Returns the query with what the responses cost in all sums: the exact amount, the list price, what the tokens of
    /// the cache would have cost outside of it, and the tokens without a price. A store without a price list has none.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use std::sync::Arc;
    ///
    /// use bridge::pricing::Catalog;
    /// use bridge::storage::{Dimension, GroupPage, InMemoryStore, PriceStore};
    /// use bridge::{DashboardBridgeAdapter, DashboardQuery, Direction, GroupOrder, TimeRange};
    /// # use bridge::{ResponseKey, ResponseUsage, SessionId, TokenCounts};
    /// # use bridge::storage::{TokenStore, UpsertOptions};
    ///
    /// // A store that `BridgeConfig::build` opens has the shipped prices in use already.
    /// let store = Arc::new(InMemoryStore::default());
    /// let catalog = Catalog::shipped();
    /// let rows: Vec<_> = catalog.rows().collect();
    /// store.use_prices(&catalog.digest().to_string(), &rows, "2026-11-26T00:00:00Z".parse()?).await?;
    /// # for (key, model) in [(1, "claude-opus-4-6"), (2, "claude-next")] {
    /// #     let mut row = ResponseUsage::new(ResponseKey(key), SessionId::new("s")?, "2026-06-01T00:00:00Z".parse()?);
    /// #     row.model = Some(model.parse()?);
    /// #     row.counts = TokenCounts { input: 3, output: 1_000, cache_creation: 0, cache_read: 100_000 };
    /// #     store.upsert(&[row], &UpsertOptions::default()).await?;
    /// # }
    ///
    /// let by_cost = GroupPage::top(10).sorted(GroupOrder::Cost, Direction::Descending);
    /// let query = DashboardQuery::new(TimeRange::ALL).list(Dimension::Model, by_cost).with_cost();
    /// let metrics = DashboardBridgeAdapter::new(store).get_dashboard_token_metrics(query).await?;
    /// let cost = metrics.totals.cost.expect("a price list is in use");
    /// assert_eq!((cost.amount.exact(), cost.cache_savings().exact()), ("0.075015".to_owned(), "0.45".to_owned()));
    /// assert_eq!((cost.to_string(), cost.unpriced_share()), ("at least $0.0750".to_owned(), 0.5));
    /// let priced_by = metrics.priced_by.expect("a price list is in use");
    /// assert_eq!(priced_by.digest, catalog.digest().to_string());
    /// assert_eq!(priced_by.unpriced[0].model.as_ref().unwrap().as_str(), "claude-next");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_cost(mut self) -> Self {
        self.cost = true;
        self
    }

    /// Returns the query with costs by the price list of this digest instead of the one in use, so that an old answer,
    /// which names its digest, can be had again. If that list was never put in use, the answer is an error,
    /// [`StorageKind::UnknownPrices`](bridge_core::StorageKind::UnknownPrices).
    ///
    /// ```
    /// use bridge::pricing::Catalog;
    /// use bridge::{DashboardQuery, TimeRange};
    ///
    /// let query = DashboardQuery::new(TimeRange::ALL).with_prices(Catalog::shipped().digest().to_string());
    /// assert!(query.cost);
    /// ```
    #[must_use]
    pub fn with_prices(mut self, digest: impl Into<String>) -> Self {
        self.prices = Some(digest.into());
        self.with_cost()
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
