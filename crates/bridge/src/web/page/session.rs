//! One session.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use bridge_cache::SummaryQuery;
use bridge_core::{SessionId, TimeRange, TokenSummaryRecord};
use bridge_storage::{Dimension, GroupPage};
use maud::{Markup, html};

use super::cards::card;
use super::chart;
use super::dimension::SESSION_CARDS;
use super::layout::{Frame, Tab, name_of, time};
use super::number::{Compact, Grouped, Percent, share};
use super::request::PageRequest;
use super::view::Span;
use crate::dashboard::DashboardTokenMetrics;
use crate::web::figures::unknown_session;
use crate::web::parameters::session_id;
use crate::web::problem::Problem;

/// Rows of a card.
const CARD_ROWS: u32 = 10;

pub(super) async fn session(page: PageRequest, id: Result<Path<String>, PathRejection>) -> Response {
    let id = session_id(id);
    let content = async {
        let summary = summary(&page, &id?).await?;
        let metrics = metrics(&page, &summary).await?;
        Ok(content(&page.frame, &summary, &metrics))
    };
    page.respond(Tab::Sessions, "Session", content).await
}

async fn summary(page: &PageRequest, id: &SessionId) -> Result<TokenSummaryRecord, Problem> {
    // All of its time.
    let query = SummaryQuery::last_days(u32::MAX).with_sessions([id.clone()]).with_metadata();
    let summaries = page.bridge.get_stored_token_summaries(query).await?;
    summaries.first().cloned().ok_or_else(unknown_session)
}

/// Returns the sums over all of the session's time, or over the part of it that the URL names.
async fn metrics(page: &PageRequest, summary: &TokenSummaryRecord) -> Result<DashboardTokenMetrics, Problem> {
    let view = &page.frame.view;
    // A range ends before its end.
    let end = summary.last_time.saturating_add(Duration::from_millis(1));
    let whole = Span::Fixed(TimeRange { start: Some(summary.first_time), end: Some(end) });
    let span = if matches!(view.span, Span::Fixed(_)) { view.span } else { whole };
    // Another range resets the steps.
    let view = view.with_span(span).with_step(view.step);
    let query = view.cleared().only(&Dimension::Session, summary.session_id.as_str()).query(page.frame.now);
    page.ask(SESSION_CARDS.into_iter().fold(query, |query, card| query.list(card, GroupPage::top(CARD_ROWS))))
        .await
}

fn content(frame: &Frame, summary: &TokenSummaryRecord, metrics: &DashboardTokenMetrics) -> Markup {
    let zone = &frame.view.zone;
    let is_floor = summary.finished_responses < summary.responses_worth_tokens;
    html! {
        section.headline {
            p.label { "Session " code { (name_of(summary.session_id.as_str())) } }
            h1 {
                @if is_floor { span.at-least { "at least " } }
                span.total { (Grouped(summary.total_tokens)) }
                span.label { " tokens" }
            }
            p.soft {
                (time(summary.first_time, zone)) " to " (time(summary.last_time, zone)) " (" (zone.name()) ")"
            }
        }
        (facts(summary))
        (chart::section(frame, metrics))
        div.cards { @for dimension in &SESSION_CARDS { (card(frame, dimension, metrics)) } }
    }
}

fn facts(summary: &TokenSummaryRecord) -> Markup {
    let counts = &summary.counts;
    let names = |names: Vec<&str>| names.iter().map(|name| name_of(name)).collect::<Vec<_>>().join(", ");
    html! {
        dl.tiles {
            @for (name, tokens) in [
                ("Input", counts.input), ("Output", counts.output), ("Cache write", counts.cache_creation),
                ("Cache read", counts.cache_read),
            ] {
                div {
                    dt { (name) }
                    dd title=(Grouped(tokens)) { (Compact(tokens)) }
                    dd.soft { (Percent(share(tokens, summary.total_tokens))) }
                }
            }
            div {
                dt { "Responses" }
                dd { (Grouped(summary.responses)) }
                dd.soft { (Grouped(summary.responses_worth_tokens.saturating_sub(summary.finished_responses))) " unfinished" }
            }
            div {
                dt { "Files" }
                dd { (Grouped(summary.files)) }
                @if let Some(metadata) = &summary.metadata {
                    dd.soft { (Grouped(metadata.lines)) " lines, " (Grouped(metadata.bad_lines)) " damaged" }
                }
            }
        }
        dl.facts {
            dt { "Projects" } dd { bdi { (names(summary.projects.iter().map(|name| name.as_str()).collect())) } }
            dt { "Models" } dd { bdi { (names(summary.models.iter().map(|name| name.as_str()).collect())) } }
            dt { "Hosts" } dd { bdi { (names(summary.hosts.iter().map(|name| name.as_str()).collect())) } }
        }
    }
}
