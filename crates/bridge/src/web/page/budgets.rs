//! The budgets, with what their periods have taken.

use bridge_core::TimeZone;
use maud::{Markup, html};

use super::cards::bar;
use super::layout::time;
use super::number::{Compact, Grouped, Percent};
use crate::budgets::{BudgetAmount, BudgetPeriod, BudgetState, BudgetStatus};

/// Returns the card of the overview; nothing if there is no budget. Without costs, budgets of money have shares only.
pub(super) fn card(budgets: &[BudgetStatus], zone: &TimeZone, shows_cost: bool) -> Markup {
    html! {
        @if !budgets.is_empty() {
            section.card {
                header { h2 { "Budgets" } }
                ul.budgets { @for budget in budgets { li { (row(budget, zone, shows_cost)) } } }
            }
        }
    }
}

fn row(budget: &BudgetStatus, zone: &TimeZone, shows_cost: bool) -> Markup {
    let is_hidden = !shows_cost && matches!(budget.limit, BudgetAmount::Money(_));
    html! {
        div.budget {
            bdi.name title=(budget.name) { (budget.name) }
            span class=(class(budget.state)) { (budget.state) }
        }
        (bar(budget.share.unwrap_or_default().min(1.0)))
        p.soft {
            @if is_hidden {
                (share_of(budget)) ", " (budget.period.phrase())
            } @else {
                (spent_of(budget)) ", " (budget.period.phrase())
                (projection(budget, zone))
            }
        }
    }
}

fn share_of(budget: &BudgetStatus) -> Markup {
    html! {
        @match budget.share {
            Some(share) => { @if budget.at_least { "at least " } (Percent(share)) " of the limit" }
            None => "no prices in the store",
        }
    }
}

fn spent_of(budget: &BudgetStatus) -> Markup {
    html! {
        @match budget.spent {
            Some(spent) => { @if budget.at_least { "at least " } (amount(spent)) " of " (amount(budget.limit)) }
            None => { "no prices in the store; the limit is " (amount(budget.limit)) }
        }
    }
}

fn projection(budget: &BudgetStatus, zone: &TimeZone) -> Markup {
    let is_rolling = matches!(budget.period, BudgetPeriod::Rolling { .. });
    html! {
        @if let Some(projected) = budget.projected.filter(|_| !is_rolling) {
            " · at this pace " (amount(projected)) " by " (time(budget.end, zone))
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

fn class(state: BudgetState) -> &'static str {
    match state {
        BudgetState::Ok => "badge good",
        BudgetState::Warning | BudgetState::Unknown => "badge fair",
        BudgetState::Exceeded => "badge bad",
    }
}
