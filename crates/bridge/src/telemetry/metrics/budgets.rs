//! The metrics of budgets.

use std::collections::BTreeMap;

use metrics::Gauge;

use super::names as name;
use super::register::named_gauge;
use crate::budgets::{Budget, BudgetAmount, BudgetState, BudgetStatus, Budgets};

/// The gauges of each budget, by its name.
#[derive(Default)]
pub(super) struct BudgetGauges(BTreeMap<String, Gauges>);

struct Gauges {
    spent: Gauge,
    projected: Gauge,
    unpriced: Gauge,
    state: Gauge,
}

impl BudgetGauges {
    /// Registers the gauges of these budgets. Until they are set, nothing is known.
    pub(super) fn new(budgets: &Budgets) -> Self {
        let gauges = |budget: &Budget| {
            let of = |metric| named_gauge(metric, budget.name());
            let gauges = Gauges {
                spent: of(&name::BUDGET_SPENT),
                projected: of(&name::BUDGET_PROJECTED),
                unpriced: of(&name::BUDGET_UNPRICED),
                state: of(&name::BUDGET_STATE),
            };
            gauges.spent.set(f64::NAN);
            gauges.projected.set(f64::NAN);
            gauges.unpriced.set(f64::NAN);
            gauges.state.set(number(BudgetState::Unknown));
            (budget.name().to_owned(), gauges)
        };
        Self(budgets.iter().map(gauges).collect())
    }

    pub(super) fn set(&self, statuses: &[BudgetStatus]) {
        for status in statuses {
            let Some(gauges) = self.0.get(&status.name) else { continue };
            let share = |amount: Option<BudgetAmount>| {
                amount.map_or(f64::NAN, |amount| amount.units() as f64 / status.limit.units() as f64)
            };
            gauges.spent.set(share(status.spent));
            gauges.projected.set(share(status.projected));
            gauges.unpriced.set(status.unpriced_share);
            gauges.state.set(number(status.state));
        }
    }
}

fn number(state: BudgetState) -> f64 {
    match state {
        BudgetState::Ok => 0.0,
        BudgetState::Unknown => 1.0,
        BudgetState::Warning => 2.0,
        BudgetState::Exceeded => 3.0,
    }
}
