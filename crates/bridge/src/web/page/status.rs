//! The state of the service.

use axum::response::Response;
use bridge_core::{Escaped, HealthStatus};
use bridge_storage::{Dimension, GroupPage};
use maud::{Markup, html};

use super::expiring::{self, Checked};
use super::layout::{Frame, Tab, badge, name_of, relative};
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
        let dashboard = page.caller.bridge.dashboard();
        let (health, metrics, expiring, hosts) =
            tokio::join!(page.health(), page.metrics(query), page.expiring(), dashboard.hosts());
        // Without the database there is no list of hosts; the probes say why.
        let mut hosts = hosts.unwrap_or_default();
        let silent_max = page.caller.bridge.host_silent_max();
        let is_silent = |host: &HostFreshness| silent_max.is_some_and(|limit| host.is_silent(limit));
        hosts.sort_by_key(|host| !is_silent(host));
        let hosts = hosts.iter().map(|host| (host, is_silent(host))).take(HOSTS as usize).collect::<Vec<_>>();
        Ok(content(&page.frame, &health, metrics.ok().as_deref(), &expiring, &hosts))
    };
    page.respond(Tab::Status, "Status", content).await
}

fn content(
    frame: &Frame,
    health: &HealthStatus,
    metrics: Option<&DashboardTokenMetrics>,
    expiring: &Checked,
    hosts: &[(&HostFreshness, bool)],
) -> Markup {
    html! {
        section.headline {
            h1 { span.label { "Status" } span class=(badge(health.overall)) { (health.overall) } }
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
                            tr {
                                th scope="row" {
                                    (probe.probe)
                                    span.soft.block.detail { (Escaped::text(&probe.detail)) }
                                }
                                td { span class=(badge(probe.state)) { (probe.state) } }
                            }
                        }
                    }
                }
            }
            (expiring::card(frame, expiring))
            @if !hosts.is_empty() { (hosts_card(frame, hosts, metrics)) }
        }
    }
}

/// Returns the hosts, each with whether it fell silent.
fn hosts_card(
    frame: &Frame,
    hosts: &[(&HostFreshness, bool)],
    metrics: Option<&DashboardTokenMetrics>,
) -> Markup {
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
                    @for (host, is_silent) in hosts {
                        tr {
                            th scope="row" {
                                bdi { (name_of(host.host.as_str())) }
                                @if *is_silent { " " span.badge.fair { "silent" } }
                            }
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
