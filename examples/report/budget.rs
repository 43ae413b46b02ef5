//! `--check-budget`: the state of the configured budgets, as an exit code.

use std::error::Error;

use bridge::EnhancedTokenDatabaseBridge;
use bridge::budgets::{BudgetState, BudgetStatus};
use serde_json::json;

use crate::ascii_json;

/// The exit code if a budget is exceeded.
pub(crate) const EXCEEDED: u8 = 4;

/// Returns the report of the budgets, and the exit code of the worst of them.
pub(crate) async fn check(
    bridge: &EnhancedTokenDatabaseBridge,
    as_json: bool,
) -> Result<(String, u8), Box<dyn Error>> {
    let statuses = bridge.dashboard().budgets().await?;
    if statuses.is_empty() {
        return Err("the configuration has no budgets (monitoring.budgets)".into());
    }
    let text = if as_json {
        ascii_json::to_ascii_line(&json!({ "budgets": statuses })) + "\n"
    } else {
        statuses.iter().map(|status| format!("{status}\n")).collect()
    };
    Ok((text, code(&statuses)))
}

/// Returns 0 if all budgets are within their limits, else the code of the worst state: exceeded before unknown.
fn code(statuses: &[BudgetStatus]) -> u8 {
    let has = |state| statuses.iter().any(|status| status.state == state);
    if has(BudgetState::Exceeded) {
        EXCEEDED
    } else if has(BudgetState::Unknown) {
        5
    } else if has(BudgetState::Warning) {
        3
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, Spending};

    use super::*;

    #[test]
    fn each_state_has_an_exit_code_of_its_own_and_the_worst_counts() {
        let status = |limit| {
            let budget = Budget::new("b", limit, BudgetPeriod::Rolling { days: 7 }).unwrap();
            let spending = Spending { tokens: 90, ..Spending::default() };
            budget.status(&spending, "2026-06-16T00:00:00Z".parse().unwrap())
        };
        let tokens = |limit| status(BudgetAmount::Tokens(limit));
        let unknown = status(BudgetAmount::Money("1".parse().unwrap()));
        assert_eq!(code(&[tokens(1000)]), 0);
        assert_eq!(code(&[tokens(1000), tokens(100)]), 3);
        assert_eq!(code(&[tokens(89), tokens(100), unknown.clone()]), 4);
        assert_eq!(code(&[tokens(100), unknown]), 5);
    }
}
