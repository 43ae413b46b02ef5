//! The trend: data for the chart, which the script draws, and the same as a table.

use bridge_core::{CalendarUnit, Cost, Money, TimeRange};
use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::cost;
use super::dimension::{SPLITS, singular};
use super::layout::{Frame, name_of};
use super::number::Grouped;
use super::view::{Span, Unit};
use crate::dashboard::{DashboardTokenMetrics, DashboardTrend, TrendBucket, TrendSeries};
use crate::web::dashboard::STEPS;

/// The data of a chart, for the script.
#[derive(Debug, Serialize)]
struct ChartData {
    /// The label of each step.
    labels: Vec<String>,
    /// The total of each step as text.
    totals: Vec<String>,
    /// True if the values are dollars.
    is_money: bool,
    /// The start of each step: the script narrows the page to the time from one to another, or to `end`.
    starts: Vec<String>,
    end: String,
    /// The parts of the bars, from the bottom up.
    series: Vec<Series>,
}

#[derive(Debug, Serialize)]
struct Series {
    name: String,
    /// All values without a series of their own.
    is_others: bool,
    /// The heights of the bars. They are drawn, and the texts are read: a number of JavaScript is not exact.
    values: Vec<f64>,
    /// The same as text; empty for nothing.
    shown: Vec<String>,
}

impl Series {
    fn of(series: &TrendSeries, unit: Unit) -> Self {
        let name = series.name.as_ref();
        let (values, shown) = match unit {
            Unit::Tokens => series.buckets.iter().map(|counts| tokens(counts.total())).unzip(),
            Unit::Cost => series.costs.iter().map(money).unzip(),
        };
        let name = name.map_or_else(|| "others".to_owned(), |name| name_of(name));
        Self { name, is_others: series.name.is_none(), values, shown }
    }
}

fn tokens(tokens: u64) -> (f64, String) {
    (tokens as f64, if tokens == 0 { String::new() } else { Grouped(tokens).to_string() })
}

fn money(cost: &Cost) -> (f64, String) {
    let dollars = cost.amount.attodollars() as f64 / 1e18;
    (dollars, if cost.amount == Money::ZERO { String::new() } else { cost.amount.to_string() })
}

/// Returns the section of the trend: its steps to choose, the chart and its table.
pub(super) fn section(frame: &Frame, metrics: &DashboardTokenMetrics) -> Markup {
    let view = &frame.view;
    html! {
        section.card.trend {
            header {
                h2 { "Trend" }
                @if metrics.totals.cost.is_some() {
                    nav.pills.small aria-label="Unit of the trend" {
                        @for (_, unit) in Unit::BY_WORD {
                            a href=(frame.here(&view.with_unit(unit)))
                                aria-current=[(view.unit == unit).then_some("true")] { (unit.label()) }
                        }
                    }
                }
                nav.pills.small aria-label="Split the trend by" {
                    @for split in &SPLITS {
                        a href=(frame.here(&view.with_split(split.clone())))
                            aria-current=[(view.split == *split).then_some("true")] { (singular(split)) }
                    }
                }
                nav.pills.small aria-label="Steps of the trend" {
                    @for (_, step) in STEPS {
                        a href=(frame.here(&view.with_step(Some(step))))
                            aria-current=[(metrics.trend.step == step).then_some("true")] { (step_label(step)) }
                    }
                }
            }
            (chart(frame, &metrics.trend))
        }
    }
}

fn chart(frame: &Frame, trend: &DashboardTrend) -> Markup {
    // Without costs there are only tokens.
    let has_costs = trend.buckets.iter().any(|bucket| bucket.sums.cost.is_some());
    let unit = if has_costs { frame.view.unit } else { Unit::Tokens };
    let total = |bucket: &TrendBucket| match unit {
        Unit::Tokens => Grouped(bucket.sums.counts.total()).to_string(),
        Unit::Cost => bucket.sums.cost.unwrap_or_default().to_string(),
    };
    let labels: Vec<_> = trend.buckets.iter().map(|bucket| label(bucket, trend.step)).collect();
    let data = ChartData {
        starts: trend.buckets.iter().map(|bucket| bucket.start.to_string()).collect(),
        end: trend.buckets.last().map(|bucket| bucket.end.to_string()).unwrap_or_default(),
        series: trend.series.iter().map(|series| Series::of(series, unit)).collect(),
        totals: trend.buckets.iter().map(total).collect(),
        is_money: unit == Unit::Cost,
        labels,
    };
    html! {
        // Without a range, so that the script can add one.
        div.chart data-chart data-here=(frame.here(&frame.view.with_span(Span::Fixed(TimeRange::ALL))))
            tabindex="0" role="img" aria-label="The trend as bars; the table below has the numbers" {
            script type="application/json" { (PreEscaped(script_safe(&data))) }
        }
        details.as-table #trend-table {
            summary { "Trend as a table" }
            (table(frame, trend, has_costs))
        }
    }
}

fn table(frame: &Frame, trend: &DashboardTrend, has_costs: bool) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Trend" {
            table {
                thead { tr {
                    th scope="col" { (step_label(trend.step)) " (" (trend.zone.name()) ")" }
                    th scope="col" { "Tokens" }
                    @if has_costs { th scope="col" { "Cost" } }
                    th.opt scope="col" { "Input" }
                    th.opt scope="col" { "Output" }
                    th.opt scope="col" { "Cache write" }
                    th.opt scope="col" { "Cache read" }
                    th scope="col" { "Responses" }
                } }
                tbody {
                    @for bucket in trend.buckets.iter().rev().filter(|bucket| bucket.sums.responses > 0) {
                        @let range = TimeRange { start: Some(bucket.start), end: Some(bucket.end) };
                        @let counts = &bucket.sums.counts;
                        tr {
                            th scope="row" {
                                @let step = frame.view.with_span(Span::Fixed(range));
                                a href=(frame.here(&step)) { (label(bucket, trend.step)) }
                            }
                            td { (Grouped(counts.total())) }
                            @if let Some(cost) = &bucket.sums.cost { td { (cost::cell(cost)) } }
                            td.opt { (Grouped(counts.input)) }
                            td.opt { (Grouped(counts.output)) }
                            td.opt { (Grouped(counts.cache_creation)) }
                            td.opt { (Grouped(counts.cache_read)) }
                            td { (Grouped(bucket.sums.responses)) }
                        }
                    }
                }
            }
        }
    }
}

fn step_label(step: CalendarUnit) -> &'static str {
    match step {
        CalendarUnit::Minute => "Minute",
        CalendarUnit::Hour => "Hour",
        CalendarUnit::Day => "Day",
        CalendarUnit::Week => "Week",
        CalendarUnit::Month => "Month",
    }
}

/// Returns the local name of a step: `2026-03-01 14:00`, `2026-03-01`, `2026-03`.
fn label(bucket: &TrendBucket, step: CalendarUnit) -> String {
    let length = match step {
        CalendarUnit::Minute | CalendarUnit::Hour => 16,
        CalendarUnit::Day | CalendarUnit::Week => 10,
        CalendarUnit::Month => 7,
    };
    bucket.local_start.get(..length).unwrap_or(&bucket.local_start).replace('T', " ")
}

/// Returns JSON that ends no script element, whatever the texts hold.
fn script_safe(data: &impl Serialize) -> String {
    let json = serde_json::to_string(data).expect("texts and numbers are JSON");
    json.replace('<', "\\u003c")
}
