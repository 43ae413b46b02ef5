//! The budgets, with what their periods have taken.

use bridge_core::TimeZone;
use maud::{Markup, html};

use super::cards::bar;
use super::layout::time;
use super::number::{Compact, Grouped};
use crate::budgets::{BudgetAmount, BudgetPeriod, BudgetState, BudgetStatus};

/// Returns the card of the overview; nothing if there is no budget.
pub(super) fn card(budgets: &[BudgetStatus], zone: &TimeZone) -> Markup {
    html! {
        @if !budgets.is_empty() {
            section.card {
                header { h2 { "Budgets" } }
                ul.budgets { @for budget in budgets { li { (row(budget, zone)) } } }
            }
        }
    }
}

fn row(budget: &BudgetStatus, zone: &TimeZone) -> Markup {
    html! {
        div.budget {
            bdi.name title=(budget.name) { (budget.name) }
            span class=(class(budget.state)) { (budget.state) }
        }
        (bar(budget.share.unwrap_or_default().min(1.0)))
        p.soft {
            @match budget.spent {
                Some(spent) => {
                    @if budget.at_least { "at least " }
                    (amount(spent)) " of " (amount(budget.limit)) ", " (period(budget.period))
                }
                None => { "no prices in the store; the limit is " (amount(budget.limit)) ", " (period(budget.period)) },
            }
            @if let Some(projected) = budget.projected.filter(|_| !matches!(budget.period, BudgetPeriod::Rolling { .. })) {
                " · at this pace " (amount(projected)) " by " (time(budget.end, zone))
            }
        }
    }
}

fn amount(amount: BudgetAmount) -> Markup {
    html! {
        @match amount {
            BudgetAmount::Money(money) => (money),
            BudgetAmount::Tokens(tokens) => { span title=(Grouped(tokens)) { (Compact(tokens)) } " tokens" }
        }
    }
}

/// Returns the period as the end of a sentence.
fn period(period: BudgetPeriod) -> String {
    match period {
        BudgetPeriod::Day => "today".to_owned(),
        BudgetPeriod::Rolling { days } => format!("the last {days} days"),
        calendar => format!("this {calendar}"),
    }
}

fn class(state: BudgetState) -> &'static str {
    match state {
        BudgetState::Ok => "badge good",
        BudgetState::Warning | BudgetState::Unknown => "badge fair",
        BudgetState::Exceeded => "badge bad",
    }
}
