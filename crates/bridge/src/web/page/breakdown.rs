//! All groups of a dimension, in pages.

use axum::response::Response;
use bridge_core::TimeZone;
use bridge_storage::{Dimension, Direction, GroupOrder, UsageSums};
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

/// A column of amounts.
struct Column {
    label: &'static str,
    order: GroupOrder,
    /// A narrow screen goes without it.
    is_optional: bool,
    cell: fn(&UsageSums, &TimeZone) -> Markup,
}

impl Column {
    const fn new(label: &'static str, order: GroupOrder, cell: fn(&UsageSums, &TimeZone) -> Markup) -> Self {
        Self { label, order, is_optional: false, cell }
    }

    const fn optional(
        label: &'static str,
        order: GroupOrder,
        cell: fn(&UsageSums, &TimeZone) -> Markup,
    ) -> Self {
        Self { is_optional: true, ..Self::new(label, order, cell) }
    }
}

const COLUMNS: [Column; 8] = [
    Column::new("Tokens", GroupOrder::Tokens, |sums, _| number(sums.counts.total())),
    Column::new("Cost", GroupOrder::Cost, |sums, _| sums.cost.as_ref().map(cost::cell).unwrap_or_default()),
    Column::optional("Input", GroupOrder::Input, |sums, _| number(sums.counts.input)),
    Column::optional("Output", GroupOrder::Output, |sums, _| number(sums.counts.output)),
    Column::optional("Cache write", GroupOrder::CacheCreation, |sums, _| number(sums.counts.cache_creation)),
    Column::optional("Cache read", GroupOrder::CacheRead, |sums, _| number(sums.counts.cache_read)),
    Column::optional("Responses", GroupOrder::Responses, |sums, _| number(sums.responses)),
    Column::new("Last", GroupOrder::LastTime, |sums, zone| {
        sums.last_time.map(|last| relative(last, zone)).unwrap_or_default()
    }),
];

fn number(number: u64) -> Markup {
    html! { (Grouped(number)) }
}

fn cells(columns: &[&Column], sums: &UsageSums, zone: &TimeZone) -> Markup {
    html! { @for column in columns { td.opt[column.is_optional] { ((column.cell)(sums, zone)) } } }
}

/// Returns a page of groups as a table whose columns sort, with a note below the names of groups that have one.
pub(super) fn table(
    frame: &Frame,
    dimension: &Dimension,
    metrics: &DashboardTokenMetrics,
    note: impl Fn(&str) -> Option<String>,
) -> Markup {
    let nothing = Breakdown::default();
    let list = metrics.breakdown(dimension).unwrap_or(&nothing);
    let has_cost = metrics.totals.cost.is_some();
    let columns: Vec<_> =
        COLUMNS.iter().filter(|column| has_cost || column.order != GroupOrder::Cost).collect();
    let zone = &frame.view.zone;
    html! {
        div.scroll tabindex="0" role="region" aria-label=(plural(dimension)) {
            table.groups {
                thead { tr {
                    (heading(frame, &singular(dimension), GroupOrder::Name, false))
                    @for column in &columns { (heading(frame, column.label, column.order, column.is_optional)) }
                } }
                tbody {
                    @for row in &list.rows {
                        tr {
                            th scope="row" {
                                (name(frame, dimension, row))
                                @if let Some(note) = note(&row.name) { bdi.note title=(note) { (note) } }
                                (bar(share(row.sums.counts.total(), metrics.total_tokens)))
                            }
                            (cells(&columns, &row.sums, zone))
                        }
                    }
                }
                tfoot { tr { th scope="row" { "Total" } (cells(&columns, &metrics.totals, zone)) } }
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
                @if list.rows.is_empty() {
                    "no rows"
                } @else {
                    (Grouped(u64::from(offset) + 1)) "–" (Grouped(end)) " of " (Grouped(list.groups))
                }
            }
            @if end < list.groups {
                a rel="next" href=(frame.here(&frame.view.at(offset.saturating_add(ROWS)))) { "Next →" }
            }
        }
    }
}
