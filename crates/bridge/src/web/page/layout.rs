//! The parts that all pages share: the frame, the navigation and the controls.

use std::time::Duration;

use bridge_core::{Escaped, HealthState, TimeZone, Timestamp};
use bridge_storage::Dimension;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets::Asset;
use super::dimension::singular;
use super::suggestions;
use super::view::{Condition, Preset, Span, View};
use crate::dashboard::DashboardTokenMetrics;

/// An entry of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Breakdown,
    Sessions,
    Receipt,
    Status,
}

impl Tab {
    const ALL: [Self; 5] = [Self::Overview, Self::Breakdown, Self::Sessions, Self::Receipt, Self::Status];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Breakdown => "/breakdown",
            Self::Sessions => "/sessions",
            Self::Receipt => "/receipt",
            Self::Status => "/status",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Breakdown => "Breakdown",
            Self::Sessions => "Sessions",
            Self::Receipt => "Receipt",
            Self::Status => "Status",
        }
    }
}

/// The frame of a page.
#[derive(Debug)]
pub(super) struct Frame {
    /// The path below which the pages are served; empty if it is the root.
    pub(super) base: String,
    /// The path of this page below it.
    pub(super) path: String,
    pub(super) view: View,
    pub(super) now: Timestamp,
    pub(super) refresh: Duration,
    /// The last known health of the bridge.
    pub(super) health: Option<HealthState>,
    /// The last complete synchronization, if it is too long ago. A bridge that does not synchronize has none.
    pub(super) stale_since: Option<Timestamp>,
}

impl Frame {
    /// Returns the link to this path in this state.
    pub(super) fn link(&self, path: &str, view: &View) -> String {
        format!("{}{}", self.target(path), view.search())
    }

    /// Returns this path below the base. A router nested at `/x` serves its root as `/x`, not as `/x/`.
    fn target(&self, path: &str) -> String {
        let path = if self.base.is_empty() { path } else { path.trim_end_matches('/') };
        format!("{}{path}", self.base)
    }

    /// Returns the link to this page in this state.
    pub(super) fn here(&self, view: &View) -> String {
        self.link(&self.path, view)
    }

    /// Returns the path that a link to a group leads to: of this page, or from a session's page of the overview.
    pub(super) fn narrowed_path(&self) -> &str {
        if self.path.starts_with("/sessions/") { Tab::Overview.path() } else { &self.path }
    }

    fn asset(&self, asset: &Asset) -> String {
        format!("{}{}?v={}", self.base, asset.path, Asset::bundle_version())
    }

    /// Returns the whole document.
    pub(super) fn document(&self, tab: Option<Tab>, title: &str, content: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · Token Bridge" }
                    link rel="icon" href=(self.asset(&Asset::ICON)) type="image/svg+xml";
                    link rel="stylesheet" href=(self.asset(&Asset::CHART_STYLE));
                    link rel="stylesheet" href=(self.asset(&Asset::STYLE));
                    script src=(self.asset(&Asset::CHART_SCRIPT)) defer {}
                    script src=(self.asset(&Asset::SCRIPT)) defer {}
                }
                body data-refresh=(self.refresh.as_millis()) {
                    a.skip href="#content" { "Skip to content" }
                    header.top {
                        a.brand href=(self.link("/", &self.view.first_page())) { (LOGO) span { "Token Bridge" } }
                        nav.tabs aria-label="Pages" {
                            @for entry in Tab::ALL {
                                a href=(self.link(entry.path(), &self.view.first_page()))
                                    aria-current=[(tab == Some(entry)).then_some("page")] { (entry.label()) }
                            }
                        }
                        p #health { (self.unhealthy()) }
                        p #live role="status" hidden {}
                    }
                    main #content tabindex="-1" { (self.stale()) (content) }
                }
            }
        }
    }

    /// Returns the link to the reasons why the bridge is not healthy; nothing if it is.
    fn unhealthy(&self) -> Markup {
        let state = self.health.filter(|state| *state > HealthState::Healthy);
        html! {
            @if let Some(state) = state {
                a class=(badge(state)) href=(self.link(Tab::Status.path(), &self.view.first_page())) { (state) }
            }
        }
    }

    /// Returns the warning that the data is old; nothing if it is not.
    fn stale(&self) -> Markup {
        html! {
            @if let Some(since) = self.stale_since {
                p.banner.fair #stale role="status" {
                    strong { "Synchronization seems to have stopped." }
                    " Last completed " (relative(since, &self.view.zone)) ". "
                    a href=(self.link(Tab::Status.path(), &self.view.first_page())) { "Status" }
                }
            }
        }
    }

    /// Returns the controls of the time range and the filters, which suggest the values that the metrics list, with the age
    /// of the data.
    pub(super) fn controls(&self, metrics: &DashboardTokenMetrics) -> Markup {
        let view = &self.view;
        html! {
            section.controls aria-label="Filters" {
                nav.pills aria-label="Time range" {
                    @for (_, preset) in Preset::BY_WORD {
                        @let span = Span::Preset(preset);
                        @let [before, label, after] = preset.label();
                        a href=(self.here(&view.with_span(span))) title=(preset.phrase())
                            aria-current=[(view.span == span).then_some("true")] {
                                span.wide { (before) } (label) span.wide { (after) }
                            }
                    }
                }
                details.custom #custom-range open[matches!(view.span, Span::Fixed(_))] {
                    summary { "Custom" }
                    (self.range_form())
                }
                details.custom #filter {
                    summary { "Filter" }
                    (self.filter_form(metrics))
                }
                @if let Some(stored) = metrics.data_age.last_sync {
                    p.as-of { span.wide { "Last transcript " } "stored " (relative(stored, &view.zone)) }
                }
                @if !view.conditions.is_empty() {
                    ul.chips aria-label="Active filters" {
                        @for condition in &view.conditions { li { (self.chip(condition)) } }
                    }
                }
            }
        }
    }

    fn chip(&self, condition: &Condition) -> Markup {
        let Condition { dimension, only, values } = condition;
        let names: Vec<_> = values.iter().map(|value| name_of(value)).collect();
        html! {
            a href=(self.here(&self.view.without(dimension))) title="Remove this filter" {
                span.soft { (singular(dimension)) @if !only { " is not" } }
                bdi { (names.join(" or ")) }
                span.cross aria-hidden="true" { "×" }
            }
        }
    }

    /// Returns the dimension that the filter form begins with: that of the page's table.
    fn filter_dimension(&self) -> &Dimension {
        if self.path == Tab::Sessions.path() { &Dimension::Session } else { &self.view.by }
    }

    fn filter_form(&self, metrics: &DashboardTokenMetrics) -> Markup {
        html! {
            form method="get" action=(self.target(&self.path)) {
                @for (name, value) in self.view.hidden(&["offset"]) { input type="hidden" name=(name) value=(value); }
                label { "Where "
                    select name="filter" {
                        @for dimension in Dimension::ALL {
                            option value=(dimension) selected[dimension == self.filter_dimension()] { (singular(dimension)) }
                        }
                    }
                }
                select name="condition" aria-label="Condition" {
                    option value="is" { "is" }
                    option value="is-not" { "is not" }
                }
                input type="text" name="value" maxlength=(suggestions::VALUE_LENGTH_MAX) list="filter-values"
                    autocomplete="off" aria-label="Value";
                (suggestions::list(self, metrics))
                button { "Add" }
            }
        }
    }

    fn range_form(&self) -> Markup {
        let range = match self.view.span {
            Span::Fixed(range) => range,
            Span::Preset(_) => self.view.span.range(self.now, &self.view.zone),
        };
        let zone = &self.view.zone;
        let first = range.start.map(|start| zone.date(start));
        // The range ends before `to`.
        let last = range.end.map(|end| zone.date(end.saturating_sub(Duration::from_millis(1))));
        html! {
            form method="get" action=(self.target(&self.path)) {
                @for (name, value) in self.view.hidden(&["range", "from", "to", "step", "offset"]) {
                    input type="hidden" name=(name) value=(value);
                }
                label { "From " input type="date" name="from" value=[first]; }
                label { "to " input type="date" name="to" value=[last]; }
                button { "Show" }
                span.soft { (zone.name()) }
            }
        }
    }
}

pub(super) fn badge(state: HealthState) -> &'static str {
    match state {
        HealthState::Healthy => "badge good",
        HealthState::Degraded => "badge fair",
        HealthState::Unhealthy => "badge bad",
    }
}

/// Returns the name to display of a value that may be empty or hold anything.
pub(super) fn name_of(value: &str) -> String {
    if value.is_empty() { "(none)".to_owned() } else { Escaped::text(value).to_string() }
}

/// Returns a time of the zone.
pub(super) fn time(at: Timestamp, zone: &TimeZone) -> Markup {
    let local = zone.local(at);
    html! { time datetime=(at) title=(local) { (to_minutes(&local)) } }
}

/// Returns a time of the day in the zone.
pub(super) fn clock(at: Timestamp, zone: &TimeZone) -> Markup {
    let local = zone.local(at);
    html! { time datetime=(at) title=(local) { (local.get(11..16).unwrap_or(&local)) } }
}

/// Returns the date of a time in the zone.
pub(super) fn date(at: Timestamp, zone: &TimeZone) -> Markup {
    html! { time datetime=(at) title=(zone.local(at)) { (zone.date(at)) } }
}

/// Returns a time of the zone, which the script shows relative to now.
pub(super) fn relative(at: Timestamp, zone: &TimeZone) -> Markup {
    let local = zone.local(at);
    html! { time data-relative datetime=(at) title=(local) { (to_minutes(&local)) } }
}

/// `2026-03-01T12:00:00.123+01:00` becomes `2026-03-01 12:00`.
fn to_minutes(local: &str) -> String {
    local.get(..16).unwrap_or(local).replace('T', " ")
}

const LOGO: PreEscaped<&str> = PreEscaped(
    r#"<svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><path d="M3 23h26M6 23v-4a10 10 0 0 1 20 0v4M11 23v-6M16 23v-7M21 23v-6" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/></svg>"#,
);
