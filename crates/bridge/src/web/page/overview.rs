//! The first page: totals, trend and the greatest groups.

use std::cmp::Ordering;

use axum::response::Response;
use bridge_storage::{GroupPage, UsageSums};
use maud::{Markup, html};

use super::chart;
use super::dimension::OVERVIEW_CARDS;
use super::expiring;
use super::layout::{Frame, Tab};
use super::number::{Compact, Grouped, Percent, share};
use super::request::PageRequest;
use super::view::Span;
use super::{block, budgets, cards, cost};
use crate::blocks::UsageBlock;
use crate::budgets::BudgetStatus;
use crate::dashboard::{DashboardTokenMetrics, PreviousPeriod};

/// Rows of a card.
const CARD_ROWS: u32 = 6;

pub(super) async fn overview(page: PageRequest) -> Response {
    let content = async {
        let query = page.frame.view.trend_query(page.frame.now).with_previous_period();
        let query =
            OVERVIEW_CARDS.into_iter().fold(query, |query, card| query.list(card, GroupPage::top(CARD_ROWS)));
        let (metrics, budgets, block) =
            tokio::try_join!(page.metrics(query), page.budgets(), page.current_block())?;
        if metrics.totals.responses == 0 {
            let state = if page.is_store_empty().await? {
                first_run(&page.frame)
            } else {
                nothing_found(&page.frame)
            };
            return Ok(html! { (page.frame.controls(&metrics)) (state) });
        }
        Ok(html! {
            (expiring::warning(&page.frame, page.latest_expiring().as_ref()))
            (content(&page, &metrics, &budgets, block.as_deref()))
        })
    };
    page.respond(Tab::Overview, "Overview", content).await
}

fn content(
    page: &PageRequest,
    metrics: &DashboardTokenMetrics,
    budgets: &[BudgetStatus],
    block: Option<&UsageBlock>,
) -> Markup {
    let frame = &page.frame;
    html! {
        (frame.controls(metrics))
        div.summary {
            (headline(frame, metrics))
            (tiles(metrics))
        }
        @if block.is_some() || !budgets.is_empty() {
            div.present {
                (block::card(frame, block))
                (budgets::card(budgets, &frame.view.zone, page.shows_cost))
            }
        }
        (chart::section(frame, metrics))
        div.cards {
            @for dimension in &OVERVIEW_CARDS { (cards::card(frame, dimension, metrics)) }
        }
    }
}

fn headline(frame: &Frame, metrics: &DashboardTokenMetrics) -> Markup {
    html! {
        div.headlines {
            (tokens_headline(frame, metrics))
            @if let Some(cost) = &metrics.totals.cost { (cost::headline(frame, metrics, cost)) }
        }
    }
}

fn tokens_headline(frame: &Frame, metrics: &DashboardTokenMetrics) -> Markup {
    let completeness = &metrics.completeness;
    html! {
        section.headline {
            h1 {
                span.label { "Tokens" (span_label(frame)) }
                @if completeness.at_least { span.at-least { "at least " } }
                span.total { (Grouped(metrics.total_tokens)) }
                @if let Some(previous) = &metrics.previous { (change(metrics.total_tokens, previous)) }
            }
            p.soft {
                @if completeness.at_least {
                    (Grouped(completeness.unfinished)) " of " (Grouped(completeness.responses))
                    " responses were cut off before their final count was written, so the total is a floor. "
                }
                a href=(frame.link(Tab::Receipt.path(), &frame.view.first_page())) { "See how the total adds up" }
            }
        }
    }
}

/// Returns the change against the period before.
fn change(total: u64, previous: &PreviousPeriod) -> Markup {
    let before = previous.totals.counts.total();
    let title = format!("{} by the same point of the previous period", Grouped(before));
    let percent = |more: u64| Percent(share(more, before));
    html! {
        " "
        span.change title=(title) {
            @match total.cmp(&before) {
                _ if before == 0 => "no tokens in the previous period",
                Ordering::Greater => { "▲ " (percent(total - before)) },
                Ordering::Less => { "▼ " (percent(before - total)) },
                Ordering::Equal => "unchanged from the previous period",
            }
            @if before != 0 && total != before { span.visually-hidden { " vs. the previous period" } }
        }
    }
}

pub(super) fn span_label(frame: &Frame) -> String {
    match frame.view.span {
        Span::Preset(preset) => format!(", {}", preset.phrase()),
        Span::Fixed(_) => String::new(),
    }
}

fn tiles(metrics: &DashboardTokenMetrics) -> Markup {
    let UsageSums { counts, responses, .. } = metrics.totals;
    let total = metrics.total_tokens;
    let counters = [
        ("Input", "sent uncached", counts.input),
        ("Output", "written by the model", counts.output),
        ("Cache write", "stored for reuse", counts.cache_creation),
        ("Cache read", "reused", counts.cache_read),
    ];
    html! {
        dl.tiles {
            @for (name, meaning, tokens) in counters {
                div {
                    dt title=(meaning) { (name) }
                    dd title=(Grouped(tokens)) { (Compact(tokens)) }
                    dd.soft { (Percent(share(tokens, total))) }
                }
            }
            div {
                dt title="The share of prompt tokens that came from the cache" { "Cache hits" }
                dd { @match metrics.cache_hit_share { Some(share) => (Percent(share)), None => "–" } }
                dd.soft { "of prompt tokens" }
            }
            @if let Some(cost) = &metrics.totals.cost {
                div {
                    dt title="List price of the same tokens without the cache, less the list price" { "Cache savings" }
                    dd { (cost::short(cost.cache_savings())) }
                    dd.soft { "at list prices" }
                }
            }
            div {
                dt { "Responses" }
                dd title=(Grouped(responses)) { (Compact(responses)) }
                dd.soft { (Grouped(metrics.sessions.groups)) " sessions" }
            }
        }
    }
}

fn nothing_found(frame: &Frame) -> Markup {
    html! {
        section.state {
            h1 { "No responses here" }
            p { "Nothing in this time range matches these filters." }
            p { a href=(frame.here(&frame.view.cleared().with_span(Span::EVER))) { "Show everything" } }
        }
    }
}

fn first_run(frame: &Frame) -> Markup {
    html! {
        section.state {
            h1 { "Nothing is stored yet" }
            p { "As soon as a session writes a transcript, its tokens appear here automatically." }
            p.soft { a href=(frame.link(Tab::Status.path(), &frame.view)) { "Status" } " shows whether transcripts can be read." }
        }
    }
}
