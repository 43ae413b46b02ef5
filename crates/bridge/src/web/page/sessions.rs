//! All sessions, in pages.

use std::collections::BTreeMap;

use axum::response::Response;
use bridge_cache::SummaryQuery;
use bridge_core::{SessionId, TokenSummaryRecord};
use bridge_storage::Dimension;
use maud::html;

use super::breakdown::table;
use super::dimension::short;
use super::layout::{Tab, name_of};
use super::request::PageRequest;
use crate::dashboard::DashboardTokenMetrics;
use crate::web::problem::Problem;

pub(super) async fn sessions(page: PageRequest) -> Response {
    let content = async {
        let query = page.frame.view.query(page.frame.now);
        let metrics = page.metrics(query.list(Dimension::Session, page.frame.view.groups())).await?;
        let notes = notes(&page, &metrics).await?;
        Ok(html! {
            h1.visually-hidden { "Sessions" }
            (page.frame.controls(&metrics))
            (table(&page.frame, &Dimension::Session, &metrics, |session| notes.get(session).cloned()))
        })
    };
    page.respond(Tab::Sessions, "Sessions", content).await
}

/// Returns the projects and models of the listed sessions, by session.
async fn notes(
    page: &PageRequest,
    metrics: &DashboardTokenMetrics,
) -> Result<BTreeMap<String, String>, Problem> {
    let listed: Vec<_> =
        metrics.sessions.rows.iter().filter_map(|row| SessionId::new(&row.name).ok()).collect();
    let query = SummaryQuery::last_days(u32::MAX).with_sessions(listed);
    let summaries = page.caller.reader.get_stored_token_summaries(query).await?;
    Ok(summaries.iter().map(|summary| (summary.session_id.to_string(), note(summary))).collect())
}

fn note(summary: &TokenSummaryRecord) -> String {
    let projects = summary.projects.iter().map(|project| short(&Dimension::Project, project.as_str()));
    // Records of the client itself, such as notices of errors, are not a model's.
    let models = summary.models.iter().map(|model| model.as_str()).filter(|model| *model != "<synthetic>");
    projects.chain(models).map(name_of).collect::<Vec<_>>().join(" · ")
}
