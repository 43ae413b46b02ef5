//! All groups of a dimension, in pages.

use axum::response::Response;
use bridge_storage::{Dimension, Direction, GroupOrder};
use maud::{Markup, html};

use super::cards::{bar, name};
use super::cost;
use super::dimension::{plural, singular};
use super::layout::{Frame, Tab, relative};
use super::number::{Grouped, share};
use super::request::PageRequest;
use super::view::ROWS;
use crate::dashboard::{Breakdown, DashboardTokenMetrics};

pub(super) async fn breakdown(page: PageRequest) -> Response {
    let dimension = page.frame.view.by.clone();
    let content = async {
        let query = page.frame.view.query(page.frame.now);
        let metrics = page.metrics(query.list(dimension.clone(), page.frame.view.groups())).await?;
        Ok(html! {
            h1.visually-hidden { (plural(&dimension)) }
            (page.frame.controls(&metrics))
            nav.pills.dimensions aria-label="Break down by" {
                @for other in Dimension::ALL.iter().filter(|other| **other != Dimension::Session) {
                    a href=(page.frame.here(&page.frame.view.broken_down_by(other.clone())))
                        aria-current=[(*other == dimension).then_some("true")] { (plural(other)) }
                }
            }
            (table(&page.frame, &dimension, &metrics, |_| None))
        })
    };
    page.respond(Tab::Breakdown, &plural(&dimension), content).await
}

const COLUMNS: [(&str, GroupOrder, bool); 8] = [
    ("Tokens", GroupOrder::Tokens, false),
    ("Cost", GroupOrder::Cost, false),
    ("Input", GroupOrder::Input, true),
    ("Output", GroupOrder::Output, true),
    ("Cache write", GroupOrder::CacheCreation, true),
    ("Cache read", GroupOrder::CacheRead, true),
    ("Responses", GroupOrder::Responses, true),
    ("Last", GroupOrder::LastTime, false),
];

/// Returns a page of groups as a table whose columns sort, with a note below the names of groups that have one.
pub(super) fn table(
    frame: &Frame,
    dimension: &Dimension,
    metrics: &DashboardTokenMetrics,
    note: impl Fn(&str) -> Option<String>,
) -> Markup {
    let nothing = Breakdown::default();
    let list = metrics.breakdown(dimension).unwrap_or(&nothing);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(plural(dimension)) {
            table.groups {
                thead { tr {
                    (heading(frame, &singular(dimension), GroupOrder::Name, false))
                    @for (label, order, is_optional) in COLUMNS {
                        @if order != GroupOrder::Cost || metrics.totals.cost.is_some() { (heading(frame, label, order, is_optional)) }
                    }
                } }
                tbody {
                    @for row in &list.rows {
                        @let counts = &row.sums.counts;
                        tr {
                            th scope="row" {
                                (name(frame, dimension, row))
                                @if let Some(note) = note(&row.name) { bdi.note title=(note) { (note) } }
                                (bar(share(counts.total(), metrics.total_tokens)))
                            }
                            td { (Grouped(counts.total())) }
                            @if let Some(cost) = &row.sums.cost { td { (cost::cell(cost)) } }
                            td.opt { (Grouped(counts.input)) }
                            td.opt { (Grouped(counts.output)) }
                            td.opt { (Grouped(counts.cache_creation)) }
                            td.opt { (Grouped(counts.cache_read)) }
                            td.opt { (Grouped(row.sums.responses)) }
                            td { @if let Some(last) = row.sums.last_time { (relative(last, &frame.view.zone)) } }
                        }
                    }
                }
                tfoot { tr {
                    th scope="row" { "Total" }
                    td { (Grouped(metrics.total_tokens)) }
                    @if let Some(cost) = &metrics.totals.cost { td { (cost::cell(cost)) } }
                    td.opt { (Grouped(metrics.totals.counts.input)) }
                    td.opt { (Grouped(metrics.totals.counts.output)) }
                    td.opt { (Grouped(metrics.totals.counts.cache_creation)) }
                    td.opt { (Grouped(metrics.totals.counts.cache_read)) }
                    td.opt { (Grouped(metrics.totals.responses)) }
                    td {}
                } }
            }
        }
        (pager(frame, list))
    }
}

fn heading(frame: &Frame, label: &str, order: GroupOrder, is_optional: bool) -> Markup {
    let view = &frame.view;
    let sort = (view.order == order).then_some(match view.direction {
        Direction::Descending => "descending",
        Direction::Ascending => "ascending",
    });
    html! {
        th scope="col" class=[is_optional.then_some("opt")] aria-sort=[sort] {
            a href=(frame.here(&view.sorted_by(order))) { (label) }
        }
    }
}

fn pager(frame: &Frame, list: &Breakdown) -> Markup {
    let offset = frame.view.offset;
    let end = u64::from(offset) + list.rows.len() as u64;
    html! {
        nav.pager aria-label="Pages of the table" {
            @if offset > 0 {
                a rel="prev" href=(frame.here(&frame.view.at(offset.saturating_sub(ROWS)))) { "← Previous" }
            }
            span.soft {
                @if list.rows.is_empty() { "none of " } @else { (Grouped(u64::from(offset) + 1)) "–" (Grouped(end)) " of " }
                (Grouped(list.groups))
            }
            @if end < list.groups {
                a rel="next" href=(frame.here(&frame.view.at(offset.saturating_add(ROWS)))) { "Next →" }
            }
        }
    }
}
