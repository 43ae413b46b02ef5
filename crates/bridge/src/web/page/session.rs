//! One session.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use bridge_core::{ActivityFacts, SessionId, TimeRange, TokenSummaryRecord};
use bridge_storage::{Dimension, GroupPage, UsageSums};
use maud::{Markup, html};

use super::cards::{bar, card};
use super::dimension::{SESSION_CARDS, detail_of};
use super::layout::{Frame, Tab, name_of, time};
use super::number::{Compact, Grouped, Percent, duration, share};
use super::request::PageRequest;
use super::session_files;
use super::view::Span;
use super::{chart, cost};
use crate::dashboard::DashboardTokenMetrics;
use crate::sessions::SessionDetails;
use crate::web::dashboard::unknown_session;
use crate::web::parameters::session_id;
use crate::web::problem::Problem;

/// Rows of a card.
const CARD_ROWS: u32 = 10;
/// Tools that are listed.
const TOOLS: usize = 12;

pub(super) async fn session(page: PageRequest, id: Result<Path<String>, PathRejection>) -> Response {
    let id = session_id(id);
    let content = async {
        let details = page.caller.reader.sessions().details(&id?).await?.ok_or_else(unknown_session)?;
        let summary = details.summary.as_ref().ok_or_else(unknown_session)?;
        let metrics = metrics(&page, summary).await?;
        let is_part =
            matches!(page.frame.view.span, Span::Fixed(_)) && metrics.totals.responses < summary.responses;
        Ok(content(&page.frame, &details, summary, &metrics, is_part))
    };
    page.respond(Tab::Sessions, "Session", content).await
}

/// Returns the sums over all of the session's time, or over the part of it that the URL names.
async fn metrics(
    page: &PageRequest,
    summary: &TokenSummaryRecord,
) -> Result<Arc<DashboardTokenMetrics>, Problem> {
    let view = &page.frame.view;
    // A range ends before its end.
    let end = summary.last_time.saturating_add(Duration::from_millis(1));
    let whole = Span::Fixed(TimeRange { start: Some(summary.first_time), end: Some(end) });
    let span = if matches!(view.span, Span::Fixed(_)) { view.span } else { whole };
    // Another range resets the steps.
    let view = view.with_span(span).with_step(view.step);
    let query =
        view.cleared().only(&Dimension::Session, summary.session_id.as_str()).trend_query(page.frame.now);
    page.metrics(
        SESSION_CARDS.into_iter().fold(query, |query, card| query.list(card, GroupPage::top(CARD_ROWS))),
    )
    .await
}

fn content(
    frame: &Frame,
    details: &SessionDetails,
    summary: &TokenSummaryRecord,
    metrics: &DashboardTokenMetrics,
    is_part: bool,
) -> Markup {
    let zone = &frame.view.zone;
    let (first, last) = (metrics.totals.first_time, metrics.totals.last_time);
    html! {
        section.headline {
            p.label {
                @if is_part { "Part of session " } @else { "Session " }
                code { (name_of(summary.session_id.as_str())) }
            }
            h1 {
                @if metrics.completeness.at_least { span.at-least { "at least " } }
                span.total { (Grouped(metrics.total_tokens)) }
                span.label { " tokens" }
            }
            p.soft {
                @if let (Some(first), Some(last)) = (first, last) {
                    (time(first, zone)) " to " (time(last, zone)) " (" (zone.name()) ") "
                }
                @if is_part {
                    a href=(frame.here(&frame.view.with_span(Span::default()))) { "Show the whole session" }
                }
            }
        }
        (tiles(metrics, details.activity.as_ref().filter(|_| !is_part)))
        (facts(frame, details, summary))
        (chart::section(frame, metrics))
        (session_files::card(&details.files, zone))
        div.cards {
            @for dimension in &SESSION_CARDS { (card(frame, dimension, metrics)) }
            @if let Some(activity) = &details.activity { (tools(activity)) }
        }
    }
}

/// Returns the figures; the activity is known of the whole session only.
fn tiles(metrics: &DashboardTokenMetrics, activity: Option<&ActivityFacts>) -> Markup {
    let UsageSums { counts, responses, unfinished_responses, .. } = metrics.totals;
    html! {
        dl.tiles {
            @for (name, tokens) in [
                ("Input", counts.input), ("Output", counts.output), ("Cache write", counts.cache_creation),
                ("Cache read", counts.cache_read),
            ] {
                div {
                    dt { (name) }
                    dd title=(Grouped(tokens)) { (Compact(tokens)) }
                    dd.soft { (Percent(share(tokens, metrics.total_tokens))) }
                }
            }
            @if let Some(cost) = &metrics.totals.cost {
                div {
                    dt { "Cost" @if metrics.completeness.at_least || !cost.is_complete() { ", at least" } }
                    dd { @if cost.priced_tokens == 0 { (cost::cell(cost)) } @else { (cost::short(cost.amount)) } }
                    @if cost.priced_tokens > 0 { dd.soft { "cache savings: " (cost::short(cost.cache_savings())) } }
                }
            }
            div {
                dt { "Responses" }
                dd { (Grouped(responses)) }
                dd.soft { (Grouped(unfinished_responses)) " unfinished" }
            }
            @if let Some(activity) = activity {
                div {
                    dt title="Prompts by a person" { "Turns" }
                    dd { (Grouped(activity.turns)) }
                    dd.soft { "tool calls: " (Grouped(activity.tool_calls.total())) }
                }
                div {
                    dt title="Pauses excluded" { "Active" }
                    dd { (duration(activity.active_time)) }
                    dd.soft { "limits hit: " (Grouped(activity.limits_hit)) ", errors: " (Grouped(activity.api_errors)) }
                }
            }
        }
    }
}

fn facts(frame: &Frame, details: &SessionDetails, summary: &TokenSummaryRecord) -> Markup {
    let names = |names: Vec<&str>| names.iter().map(|name| name_of(name)).collect::<Vec<_>>().join(", ");
    let parent = details.activity.as_ref().and_then(|activity| activity.parent.as_ref());
    html! {
        dl.facts {
            dt { "Projects" } dd { bdi { (names(summary.projects.iter().map(|name| name.as_str()).collect())) } }
            dt { "Models" } dd { bdi { (names(summary.models.iter().map(|name| name.as_str()).collect())) } }
            dt { "Hosts" } dd { bdi { (names(summary.hosts.iter().map(|name| name.as_str()).collect())) } }
            @if let Some(parent) = parent { dt { "Forked from" } dd { (session_link(frame, parent)) } }
            @if !details.children.is_empty() {
                dt { "Forks" } dd { @for child in &details.children { (session_link(frame, child)) " " } }
            }
            @for limit in &details.limits {
                dt { "Limit" }
                dd {
                    (limit.kind) " at " (time(limit.time, &frame.view.zone))
                    @if let Some(end) = limit.resets_at { ", until " (time(end, &frame.view.zone)) }
                }
            }
        }
    }
}

fn session_link(frame: &Frame, session: &SessionId) -> Markup {
    html! { a href=(detail_of(frame, &Dimension::Session, session.as_str())) { code { (name_of(session.as_str())) } } }
}

/// Returns a card with the tool calls, the most frequent first.
fn tools(activity: &ActivityFacts) -> Markup {
    let mut calls: Vec<_> = activity.tool_calls.by_name().collect();
    calls.sort_by_key(|(_, calls)| Reverse(*calls));
    let most = calls.first().map_or(0, |(_, calls)| *calls);
    html! {
        @if !calls.is_empty() {
            section.card {
                header { h2 { "Tools" } }
                table.ranking {
                    thead.visually-hidden { tr { th scope="col" { "Tool" } th scope="col" { "Calls" } } }
                    tbody {
                        @for (name, calls) in calls.iter().take(TOOLS) {
                            tr {
                                th scope="row" { bdi.name { (name) } (bar(share(*calls, most))) }
                                td { (Grouped(*calls)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
