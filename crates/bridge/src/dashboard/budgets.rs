//! The state of budgets, by what a store holds.

use std::sync::Arc;

use bridge_core::{BridgeError, TimeRange, Timestamp};
use bridge_storage::{TokenStore, UsageSums};

use super::adapter::{DashboardBridgeAdapter, filter};
use super::query::DashboardQuery;
use crate::budgets::{Budget, BudgetAmount, BudgetStatus, Budgets, Spending};
use crate::telemetry::operation::Operation;

impl DashboardBridgeAdapter {
    /// Returns whether there are any budgets.
    #[cfg(feature = "page")]
    pub(crate) fn has_budgets(&self) -> bool {
        !self.budgets.is_empty()
    }

    /// Returns the adapter with the budgets of the other one.
    #[cfg(feature = "axum")]
    pub(crate) fn with_budgets_of(mut self, other: &Self) -> Self {
        self.budgets = Arc::clone(&other.budgets);
        self
    }

    /// Returns the adapter with these budgets. That of a bridge has the budgets of the bridge.
    #[must_use]
    pub fn with_budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = Arc::new(budgets);
        self
    }

    /// Returns what the present period of each budget has taken, in the order of the configuration.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// use std::sync::Arc;
    ///
    /// use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, BudgetState, Budgets};
    /// use bridge::storage::InMemoryStore;
    /// use bridge::{DashboardBridgeAdapter, Dimension};
    /// # use bridge::{ManualClock, ResponseKey, ResponseUsage, SessionId, TokenCounts};
    /// # use bridge::storage::{TokenStore, UpsertOptions};
    /// # let store = Arc::new(InMemoryStore::default());
    /// # let mut row = ResponseUsage::new(ResponseKey(1), SessionId::new("s")?, "2026-06-05T12:00:00Z".parse()?);
    /// # row.counts = TokenCounts { output: 900, ..TokenCounts::ZERO };
    /// # row.project = Some("app".parse()?);
    /// # store.upsert(&[row], &UpsertOptions::default()).await?;
    ///
    /// let budget = Budget::new("app", BudgetAmount::Tokens(1000), BudgetPeriod::Month)?.of(Dimension::Project, ["app"]);
    /// let dashboard = DashboardBridgeAdapter::new(store).with_budgets(Budgets::new([budget])?);
    /// # let dashboard = dashboard.with_clock(Arc::new(ManualClock::new("2026-06-16T00:00:00Z".parse()?)));
    /// let status = dashboard.budgets().await?.remove(0);
    /// assert_eq!((status.state, status.spent), (BudgetState::Warning, Some(BudgetAmount::Tokens(900))));
    /// assert_eq!(status.projected, Some(BudgetAmount::Tokens(1800)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn budgets(&self) -> Result<Vec<BudgetStatus>, BridgeError> {
        let work = statuses(&*self.store, &self.budgets, self.clock.now());
        let statuses = self.run(Operation::Budgets, work).await?;
        if let Some(runner) = &self.runner {
            runner.telemetry.metrics.budgets(&statuses);
        }
        Ok(statuses)
    }
}

/// Returns what the period of `now` has taken of each budget.
pub(crate) async fn statuses(
    store: &dyn TokenStore,
    budgets: &Budgets,
    now: Timestamp,
) -> Result<Vec<BudgetStatus>, BridgeError> {
    let mut statuses = Vec::new();
    for budget in budgets.iter() {
        let query = query(budget, now);
        let sums = store.dashboard(&filter(&query, Vec::new())).await?.totals;
        statuses.push(budget.status(&spending(&sums), now));
    }
    Ok(statuses)
}

fn query(budget: &Budget, now: Timestamp) -> DashboardQuery {
    let (start, end) = budget.period().bounds(now, budget.zone());
    let period = TimeRange { start: Some(start), end: Some(end) };
    let query = budget.narrow(DashboardQuery::new(period).without_lists().without_receipt());
    match budget.limit() {
        BudgetAmount::Money(_) => query.with_cost(),
        BudgetAmount::Tokens(_) => query,
    }
}

fn spending(sums: &UsageSums) -> Spending {
    Spending {
        tokens: sums.counts.total(),
        unfinished_responses: sums.unfinished_responses,
        cost: sums.cost.map(|cost| cost.amount),
        unpriced_tokens: sums.cost.map_or(0, |cost| cost.unpriced_tokens),
    }
}
