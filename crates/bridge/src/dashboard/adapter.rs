//! Answers a dashboard from a store.

use std::sync::{Arc, Mutex, PoisonError};

use bridge_core::{BridgeError, Clock, StorageKind, SystemClock, Timestamp};
use bridge_pricing::Catalog;
use bridge_storage::{DashboardData, DashboardFilter, GroupOrder, GroupPage, TokenStore, require};

use super::metrics::{
    Breakdown, Completeness, DashboardTokenMetrics, DashboardTrend, DataAge, PreviousPeriod,
};
use super::query::DashboardQuery;
use super::trend::{Plan, Window, span};
use crate::budgets::Budgets;
use crate::telemetry::audit_summary::ToAuditSummary;
use crate::telemetry::operation::Operation;
use crate::telemetry::run::OperationRunner;

/// Maximum number of reads, if older responses keep appearing between plan and read: one with the first plan, one with
/// a plan made from an answer, then one for each coarser kind of step, and one to spare.
const ATTEMPTS_MAX: u32 = 6;

/// Reads a store for a dashboard: a read-only database user is enough for its store, except for
/// [`use_prices`](Self::use_prices).
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// use std::sync::Arc;
///
/// use bridge::{CalendarUnit, TimeRange};
/// use bridge::storage::InMemoryStore;
/// use bridge::{DashboardBridgeAdapter, DashboardQuery};
/// # use bridge::{ResponseKey, ResponseUsage, SessionId, TokenCounts};
/// # use bridge::storage::{TokenStore, UpsertOptions};
///
/// // In production a `ClickHouseStore` of the read-only user.
/// let store = Arc::new(InMemoryStore::default());
/// # for (key, time, cached) in [(1, "2026-03-28T23:30:00Z", 60), (2, "2026-03-29T21:30:00Z", 15)] {
/// #     let mut row = ResponseUsage::new(ResponseKey(key), SessionId::new("s")?, time.parse()?);
/// #     row.counts = TokenCounts { input: 25, output: 10, cache_creation: 0, cache_read: cached };
/// #     row.finished = key == 1;
/// #     store.upsert(&[row], &UpsertOptions::default()).await?;
/// # }
/// let dashboard = DashboardBridgeAdapter::new(store);
///
/// // March in Berlin, by hours: on the 29th the clocks are set forward.
/// let berlin: bridge::TimeZone = "Europe/Berlin".parse()?;
/// let march = TimeRange::month(2026, 3, &berlin)?;
/// let query = DashboardQuery::new(march).by(CalendarUnit::Hour, berlin);
/// let metrics = dashboard.get_dashboard_token_metrics(query).await?;
///
/// assert_eq!(metrics.total_tokens, 145);
/// assert_eq!(metrics.cache_hit_share, Some(0.6));
/// assert!(metrics.completeness.at_least, "one response of two is unfinished");
/// assert_eq!((metrics.sessions.groups, metrics.sessions.rows[0].sums.responses), (1, 2));
/// assert_eq!(metrics.trend.buckets.len(), 31 * 24 - 1);
/// assert_eq!(metrics.trend.buckets[28 * 24].local_start, "2026-03-29T00:00:00+01:00");
/// assert_eq!(metrics.trend.buckets[28 * 24].sums.responses, 1);
/// assert!(metrics.receipt.is_some_and(|receipt| receipt.adds_up()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct DashboardBridgeAdapter {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) budgets: Arc<Budgets>,
    /// Records the calls as operations.
    pub(super) runner: Option<OperationRunner>,
    /// The earliest plausible time of a response seen so far: with it most answers need only one read. It is a guess,
    /// and each answer shows whether it was right.
    begins: Arc<Mutex<Option<Timestamp>>>,
}

impl DashboardBridgeAdapter {
    /// Returns an adapter that reads this store.
    #[must_use]
    pub fn new(store: Arc<dyn TokenStore>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            budgets: Arc::default(),
            runner: None,
            begins: Arc::default(),
        }
    }

    /// Returns the adapter with this clock for "now".
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use bridge::storage::InMemoryStore;
    /// use bridge::{DashboardBridgeAdapter, ManualClock, Timestamp};
    ///
    /// let clock = Arc::new(ManualClock::new(Timestamp::MIN));
    /// let dashboard = DashboardBridgeAdapter::new(Arc::new(InMemoryStore::default())).with_clock(clock);
    /// ```
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the adapter with its calls recorded as operations of a bridge.
    pub(crate) fn recorded_by(mut self, runner: OperationRunner) -> Self {
        self.runner = Some(runner);
        self
    }

    /// Returns the statistics for a dashboard page, all from one moment: whatever is written meanwhile, each breakdown
    /// and the trend add up to the totals. Takes a [`DashboardQuery`] or just a
    /// [`TimeRange`](bridge_core::TimeRange).
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer; [`BridgeError::InvertedRange`] if the range ends before it
    /// starts; [`StorageKind::Busy`] if older responses kept appearing between the reads.
    pub async fn get_dashboard_token_metrics(
        &self,
        query: impl Into<DashboardQuery>,
    ) -> Result<DashboardTokenMetrics, BridgeError> {
        self.run(Operation::GetDashboardTokenMetrics, self.answer(query.into())).await
    }

    /// Puts a price list in use: all responses of the store are priced by it from then on. For a program that does not
    /// use the configuration, which does the same. Returns true if this changed the price list in use.
    ///
    /// It needs a database user who may write.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use std::sync::Arc;
    ///
    /// use bridge::DashboardBridgeAdapter;
    /// use bridge::pricing::Catalog;
    /// use bridge::storage::InMemoryStore;
    ///
    /// let dashboard = DashboardBridgeAdapter::new(Arc::new(InMemoryStore::default()));
    /// assert!(dashboard.use_prices(Catalog::shipped()).await?);
    /// assert!(!dashboard.use_prices(Catalog::shipped()).await?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StorageKind::Unsupported`] if the store keeps no price lists; the store cannot be reached, or the user may not
    /// write.
    pub async fn use_prices(&self, catalog: &Catalog) -> Result<bool, BridgeError> {
        let work = async {
            let store = require(self.store.prices(), "store prices")?;
            let rows: Vec<_> = catalog.rows().collect();
            store.use_prices(&catalog.digest().to_string(), &rows, self.clock.now()).await
        };
        self.run(Operation::UsePrices, work).await
    }

    /// Runs the work, as an operation of the bridge if the adapter is one's.
    pub(super) async fn run<T: ToAuditSummary>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, BridgeError>>,
    ) -> Result<T, BridgeError> {
        match &self.runner {
            Some(runner) => runner.run(operation, None, work).await,
            None => work.await,
        }
    }

    async fn answer(&self, query: DashboardQuery) -> Result<DashboardTokenMetrics, BridgeError> {
        query.responses.time.validated()?;
        let now = self.clock.now();
        let (previous, metrics) = tokio::try_join!(self.previous(&query, now), self.current(&query, now))?;
        Ok(DashboardTokenMetrics { previous, ..metrics })
    }

    /// Returns the metrics of the range itself.
    async fn current(
        &self,
        query: &DashboardQuery,
        now: Timestamp,
    ) -> Result<DashboardTokenMetrics, BridgeError> {
        let window = Window::new(&query.responses.time, now);
        let mut plan = self.first_plan(query, &window, now);
        for _ in 0..ATTEMPTS_MAX {
            let starts = window.starts(plan.as_ref());
            let data = self.store.dashboard(&filter(query, starts)).await?;
            let times = window.times(&data.trend);
            self.remember(window.first_plausible(&data.trend));
            let newest = window.newest(&data.trend);
            let Some(span) = span(&query.responses.time, &window, times, now) else {
                let trend = window.without_steps(query, &data.trend);
                return Ok(metrics(query, data, trend, newest, now));
            };
            let wanted = Plan::new(query, span);
            if plan.is_some_and(|plan| plan.covers(&wanted)) {
                let trend = wanted.trend(query, &data);
                return Ok(metrics(query, data, trend, newest, now));
            }
            plan = Some(Plan::roomy(query, span));
        }
        let message = "the time span of the stored responses changed at each read";
        Err(BridgeError::storage(StorageKind::Busy, "read a dashboard", message))
    }

    /// Returns the sums of the period before.
    async fn previous(
        &self,
        query: &DashboardQuery,
        now: Timestamp,
    ) -> Result<Option<PreviousPeriod>, BridgeError> {
        let Some(range) = query.responses.time.previous(now, &query.zone).filter(|_| query.previous_period)
        else {
            return Ok(None);
        };
        let mut filter = filter(&query.clone().without_lists().without_receipt(), Vec::new());
        filter.responses.time = range;
        let totals = self.store.dashboard(&filter).await?.totals;
        Ok(Some(PreviousPeriod { range, totals, completeness: Completeness::of(&totals) }))
    }

    /// Returns the steps that the answer will most likely need; `None` if nothing is known about where they begin.
    fn first_plan(&self, query: &DashboardQuery, window: &Window, now: Timestamp) -> Option<Plan> {
        let begins = *self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        let times = begins.map(|first| (first, first));
        span(&query.responses.time, window, times, now).map(|span| Plan::new(query, span))
    }

    fn remember(&self, first: Option<Timestamp>) {
        let mut begins = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        *begins = [*begins, first].into_iter().flatten().min();
    }
}

pub(super) fn filter(query: &DashboardQuery, trend_starts: Vec<Timestamp>) -> DashboardFilter {
    let mut filter = DashboardFilter::default();
    filter.responses.clone_from(&query.responses);
    filter.breakdowns.clone_from(&query.breakdowns);
    filter.extra_counts = query.extra_counts;
    let by_cost = |page: &GroupPage| page.order == GroupOrder::Cost;
    filter.cost = query.cost || query.breakdowns.values().any(by_cost);
    filter.prices.clone_from(&query.prices);
    filter.receipt = query.receipt;
    filter.trend_by.clone_from(&query.trend_by);
    filter.trend_starts = trend_starts;
    filter
}

fn metrics(
    query: &DashboardQuery,
    mut data: DashboardData,
    trend: DashboardTrend,
    newest: Option<Timestamp>,
    now: Timestamp,
) -> DashboardTokenMetrics {
    let totals = data.totals;
    let mut breakdown = |dimension| {
        let list = data.breakdowns.remove(&dimension);
        list.map(|list| Breakdown::new(list, &totals)).unwrap_or_default()
    };
    let [sessions, projects, models, hosts] = DashboardFilter::CLASSIC_BREAKDOWNS.map(&mut breakdown);
    let others = data.breakdowns.into_iter();
    DashboardTokenMetrics {
        range: query.responses.time,
        as_of: now,
        totals,
        total_tokens: totals.counts.total(),
        cache_hit_share: totals.cache_hit_share(),
        completeness: Completeness::of(&totals),
        sessions,
        projects,
        models,
        hosts,
        breakdowns: others.map(|(dimension, list)| (dimension, Breakdown::new(list, &totals))).collect(),
        by_origin: data.origins,
        weak_keys: data.weak,
        trend,
        previous: None,
        data_age: DataAge::new(newest, data.last_sync, now),
        receipt: data.receipt,
        priced_by: data.priced_by,
    }
}
