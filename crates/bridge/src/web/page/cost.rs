//! Costs on pages.

use std::cmp::Ordering;

use bridge_core::{Cost, Money};
use bridge_storage::UnpricedSums;
use maud::{Markup, html};

use super::layout::{Frame, Tab, date, name_of, time};
use super::number::{Grouped, Percent};
use super::overview::span_label;
use crate::dashboard::{DashboardTokenMetrics, PreviousPeriod};

/// Models without a price that the overview names.
const UNPRICED_NAMES: usize = 2;
/// A thousand dollars.
const LONG: u128 = 10_u128.pow(21);

/// Returns an amount; with a sign if something in it has no price.
pub(super) fn cell(cost: &Cost) -> Markup {
    html! {
        @if cost.is_complete() {
            (cost.amount)
        } @else if cost.priced_tokens == 0 {
            span.soft title="No price for these tokens" { "unpriced" }
        } @else {
            @let title = format!("At least: {} of the tokens have no price", Percent(cost.unpriced_share()));
            span title=(title) { "≥\u{a0}" (cost.amount) }
        }
    }
}

/// Returns an amount for a narrow place: from a thousand dollars on without cents.
pub(super) fn short(amount: Money) -> Markup {
    let is_long = amount.attodollars().unsigned_abs() >= LONG;
    html! { span title=(amount.exact()) { @if is_long { (format!("{amount:.0}")) } @else { (amount) } } }
}

/// Returns the cost of the overview, beside the tokens.
pub(super) fn headline(frame: &Frame, metrics: &DashboardTokenMetrics, cost: &Cost) -> Markup {
    html! {
        section.headline {
            h2.figure {
                span.label { "Cost" (span_label(frame)) }
                @if !cost.is_complete() || metrics.completeness.at_least { span.at-least { "at least " } }
                span.total.money { (cost.amount) }
                @if let Some(previous) = &metrics.previous { (change(cost, previous)) }
            }
            p.soft {
                @if let Some(prices) = metrics.priced_by.as_ref().filter(|prices| !prices.unpriced.is_empty()) {
                    (Percent(cost.unpriced_share())) " of the tokens have no price: "
                    (names(frame, &prices.unpriced)) ". "
                }
                @let receipt = frame.link(Tab::Receipt.path(), &frame.view.first_page());
                a href=(format!("{receipt}#prices")) { "See the prices" }
            }
        }
    }
}

/// Returns the change against the period before, if both are known in full.
fn change(cost: &Cost, previous: &PreviousPeriod) -> Markup {
    let complete = |cost: &Cost| cost.is_complete() && cost.amount > Money::ZERO;
    let Some(before) = previous.totals.cost.filter(|before| complete(before) && complete(cost)) else {
        return html!();
    };
    let ratio = cost.amount.attodollars() as f64 / before.amount.attodollars() as f64;
    html! {
        " "
        span.change title=(format!("{} by the same point of the previous period", before.amount)) {
            @match cost.amount.cmp(&before.amount) {
                Ordering::Greater => { "▲ " (Percent(ratio - 1.0)) },
                Ordering::Less => { "▼ " (Percent(1.0 - ratio)) },
                Ordering::Equal => "unchanged from the previous period",
            }
            @if cost.amount != before.amount { span.visually-hidden { " vs. the previous period" } }
        }
    }
}

/// Returns the models with the most unpriced tokens.
fn names(frame: &Frame, unpriced: &[UnpricedSums]) -> Markup {
    html! {
        @for (place, sums) in unpriced.iter().take(UNPRICED_NAMES).enumerate() {
            @if place > 0 { ", " }
            bdi { (model_of(sums)) } " since " (date(sums.since, &frame.view.zone))
        }
        @if unpriced.len() > UNPRICED_NAMES { " and " (unpriced.len() - UNPRICED_NAMES) " more" }
    }
}

fn model_of(sums: &UnpricedSums) -> String {
    name_of(sums.model.as_ref().map_or("", |model| model.as_str()))
}

/// Returns the section of the receipt: list price, discounts and what has no price.
pub(super) fn receipt(frame: &Frame, metrics: &DashboardTokenMetrics) -> Markup {
    let (Some(cost), Some(prices)) = (&metrics.totals.cost, &metrics.priced_by) else { return html!() };
    let lines = [
        (
            "",
            "Without the cache",
            "at list prices, if cached tokens had cost as much as other input",
            cost.without_cache,
        ),
        (
            "−",
            "Cache savings",
            "saved by cache reads, minus the extra cost of cache writes",
            cost.cache_savings(),
        ),
        ("=", "List price", "each response priced by its time, speed, tier, geography and size", cost.list),
        ("−", "Discounts", "from your configuration", cost.list.saturating_sub(cost.amount)),
    ];
    // All digits: rounded ones need not add up.
    let digits = lines.iter().map(|(.., amount)| decimals(*amount)).max().unwrap_or_default().max(2);
    html! {
        section.headline #prices {
            h2.figure {
                span.label { "Cost of the whole store" }
                @if !cost.is_complete() || metrics.completeness.at_least { span.at-least { "at least " } }
                span.total.money { (cost.amount) }
            }
            p.soft {
                "Priced with list " code title=(prices.digest) { (short_digest(&prices.digest)) }
                ". Later price lists do not change its results."
            }
        }
        div.scroll.narrow tabindex="0" role="region" aria-label="Cost" { table.receipt {
            thead { tr { th scope="col" { "Line" } th scope="col" { "US dollars" } } }
            tbody {
                @for (sign, name, meaning, amount) in lines {
                    tr {
                        th scope="row" { span.sign { (sign) } (name) span.soft.block { (meaning) } }
                        td { (format!("{amount:.digits$}")) }
                    }
                }
            }
            tfoot { tr { th scope="row" { span.sign { "=" } "Cost" } td { (format!("{:.digits$}", cost.amount)) } } }
        } }
        @if !prices.unpriced.is_empty() { (unpriced(frame, &prices.unpriced)) }
    }
}

/// Returns the number of decimal places.
fn decimals(amount: Money) -> usize {
    amount.exact().split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

fn unpriced(frame: &Frame, unpriced: &[UnpricedSums]) -> Markup {
    html! {
        section.card.narrow {
            header { h2 { "Unpriced tokens (not in the cost)" } }
            div.scroll tabindex="0" role="region" aria-label="Models without a price" { table.unpriced {
                thead { tr {
                    th scope="col" { "Model" }
                    th scope="col" { "Reason" }
                    th.opt scope="col" { "Since" }
                    th.opt scope="col" { "Responses" }
                    th scope="col" { "Tokens" }
                } }
                tbody {
                    @for sums in unpriced {
                        tr {
                            th scope="row" { bdi { (model_of(sums)) } }
                            td { (sums.reason) }
                            td.opt { (time(sums.since, &frame.view.zone)) }
                            td.opt { (Grouped(sums.responses)) }
                            td { (Grouped(sums.tokens)) }
                        }
                    }
                }
            } }
        }
    }
}

/// Returns the first digits, which distinguish price lists.
fn short_digest(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
