//! The state of the service.

use axum::response::Response;
use bridge_core::{HealthState, HealthStatus};
use bridge_storage::{Dimension, GroupPage};
use maud::{Markup, html};

use super::expiring::{self, Checked};
use super::layout::{Frame, Tab, name_of, relative};
use super::number::Grouped;
use super::request::PageRequest;
use super::view::Span;
use crate::dashboard::DashboardTokenMetrics;

/// Hosts that are listed.
const HOSTS: u32 = 100;

pub(super) async fn status(page: PageRequest) -> Response {
    let content = async {
        let view = page.frame.view.cleared().with_span(Span::EVER);
        let query = view.query(page.frame.now).list(Dimension::Host, GroupPage::top(HOSTS));
        let (health, metrics, expiring) =
            tokio::join!(page.bridge.health_check(), page.metrics(query), page.expiring());
        // Without the database there is no list of hosts; the probes say why.
        Ok(content(&page.frame, &health, metrics.ok().as_deref(), &expiring))
    };
    page.respond(Tab::Status, "Status", content).await
}

fn content(
    frame: &Frame,
    health: &HealthStatus,
    metrics: Option<&DashboardTokenMetrics>,
    expiring: &Checked,
) -> Markup {
    html! {
        section.headline {
            h1 { span.label { "Status" } span class=(class(health.overall)) { (health.overall) } }
            @if let Some(last) = metrics.and_then(|metrics| metrics.data_age.last_sync) {
                p.soft { "A transcript was last stored " (relative(last, &frame.view.zone)) }
            }
        }
        div.cards {
            section.card {
                header { h2 { "Checks" } }
                table.ranking {
                    thead.visually-hidden { tr { th scope="col" { "Check" } th scope="col" { "State" } } }
                    tbody {
                        @for probe in &health.probes {
                            tr { th scope="row" { (probe.probe) } td { span class=(class(probe.state)) { (probe.state) } } }
                        }
                    }
                }
                @if health.overall > HealthState::Healthy { p.soft { "The reasons are in the log of the service." } }
            }
            (expiring::card(frame, expiring))
            @if let Some(metrics) = metrics { (hosts(frame, metrics)) }
        }
    }
}

fn hosts(frame: &Frame, metrics: &DashboardTokenMetrics) -> Markup {
    html! {
        section.card {
            header { h2 { "Hosts" } }
            table.ranking {
                thead { tr { th scope="col" { "Host" } th scope="col" { "Last response" } th scope="col" { "Responses" } } }
                tbody {
                    @for row in &metrics.hosts.rows {
                        tr {
                            th scope="row" { bdi { (name_of(&row.name)) } }
                            td { @if let Some(last) = row.sums.last_time { (relative(last, &frame.view.zone)) } }
                            td { (Grouped(row.sums.responses)) }
                        }
                    }
                }
            }
        }
    }
}

fn class(state: HealthState) -> &'static str {
    match state {
        HealthState::Healthy => "badge good",
        HealthState::Degraded => "badge fair",
        HealthState::Unhealthy => "badge bad",
    }
}
