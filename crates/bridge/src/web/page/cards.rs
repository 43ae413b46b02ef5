//! Cards with the greatest groups of a dimension.

use bridge_storage::{Dimension, GroupSums};
use maud::{Markup, html};

use super::cost;
use super::dimension::{detail_of, page_of, plural, short, singular};
use super::layout::{Frame, name_of, time};
use super::number::{Compact, Grouped, share};
use crate::dashboard::{Breakdown, DashboardTokenMetrics};

/// Returns whether any response has a value in the dimension.
fn has_names(list: &Breakdown) -> bool {
    list.groups > 1 || list.rows.iter().any(|row| !row.name.is_empty())
}

/// Returns a card with the listed groups of a dimension; nothing if no response has a value.
pub(super) fn card(frame: &Frame, dimension: &Dimension, metrics: &DashboardTokenMetrics) -> Markup {
    let Some(list) = metrics.breakdown(dimension).filter(|list| has_names(list)) else { return html!() };
    let greatest = list.rows.iter().map(|row| row.sums.counts.total()).max().unwrap_or_default();
    html! {
        section.card {
            header {
                h2 { (plural(dimension)) }
                a href=(page_of(frame, dimension)) { "All " (Grouped(list.groups)) }
            }
            table.ranking {
                thead.visually-hidden { tr { th scope="col" { (singular(dimension)) } th scope="col" { "Tokens" } @if metrics.totals.cost.is_some() { th scope="col" { "Cost" } } } }
                tbody {
                    @for row in &list.rows {
                        @let tokens = row.sums.counts.total();
                        tr {
                            th scope="row" {
                                div.labels {
                                    (name(frame, dimension, row))
                                    @if let (Dimension::Session, Some(first)) = (dimension, row.sums.first_time) {
                                        span.note { (time(first, &frame.view.zone)) }
                                    }
                                }
                                (bar(share(tokens, greatest)))
                            }
                            td title=(Grouped(tokens)) { (Compact(tokens)) }
                            @if let Some(cost) = &row.sums.cost { td.soft { (cost::cell(cost)) } }
                        }
                    }
                    @if list.other_tokens > 0 {
                        tr.soft {
                            th scope="row" { "others" }
                            td title=(Grouped(list.other_tokens)) { (Compact(list.other_tokens)) }
                            @if let Some(cost) = &list.other_cost { td { (cost::cell(cost)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the link of a group: the page of a session, or this page narrowed to the group.
pub(super) fn name(frame: &Frame, dimension: &Dimension, row: &GroupSums) -> Markup {
    let shown = name_of(&row.name);
    html! {
        a.name href=(detail_of(frame, dimension, &row.name)) title=(shown) { bdi { (short(dimension, &shown)) } }
    }
}

/// Returns a bar of this share of the width. An SVG, because the policy allows no inline style.
pub(super) fn bar(share: f64) -> Markup {
    html! {
        svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(format!("{:.0}", share * 1000.0)) height="10" {}
        }
    }
}
