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
use crate::query::HostFreshness;

/// Hosts that are listed.
const HOSTS: u32 = 100;

pub(super) async fn status(page: PageRequest) -> Response {
    let content = async {
        let view = page.frame.view.cleared().with_span(Span::EVER);
        let query = view.query(page.frame.now).list(Dimension::Host, GroupPage::top(HOSTS));
        let dashboard = page.bridge.dashboard();
        let (health, metrics, expiring, hosts) =
            tokio::join!(page.bridge.health_check(), page.metrics(query), page.expiring(), dashboard.hosts());
        // Without the database there is no list of hosts; the probes say why.
        let hosts = hosts.unwrap_or_default();
        Ok(content(&page.frame, &health, metrics.ok().as_deref(), &expiring, &hosts))
    };
    page.respond(Tab::Status, "Status", content).await
}

fn content(
    frame: &Frame,
    health: &HealthStatus,
    metrics: Option<&DashboardTokenMetrics>,
    expiring: &Checked,
    freshness: &[HostFreshness],
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
            @if !freshness.is_empty() { (hosts(frame, freshness, metrics)) }
        }
    }
}

/// Returns the hosts with when each was last heard of, and its last response.
fn hosts(frame: &Frame, freshness: &[HostFreshness], metrics: Option<&DashboardTokenMetrics>) -> Markup {
    let zone = &frame.view.zone;
    let last_response = |host: &HostFreshness| {
        let rows = metrics.map_or(&[][..], |metrics| &metrics.hosts.rows);
        rows.iter().find(|row| row.name == host.host.as_str()).and_then(|row| row.sums.last_time)
    };
    html! {
        section.card {
            header { h2 { "Hosts" } }
            table.ranking {
                thead { tr {
                    th scope="col" { "Host" }
                    th scope="col" { "Last seen" }
                    th scope="col" { "Last response" }
                    th scope="col" { "Sources" }
                } }
                tbody {
                    @for host in freshness.iter().take(HOSTS as usize) {
                        tr {
                            th scope="row" { bdi { (name_of(host.host.as_str())) } }
                            td { (relative(host.last_seen, zone)) }
                            td { @if let Some(last) = last_response(host) { (relative(last, zone)) } }
                            td { (Grouped(host.sources)) }
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
