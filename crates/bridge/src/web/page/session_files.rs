//! The files of a session on a common time axis, those of its subagents included.

use bridge_core::{TimeZone, Timestamp};
use maud::{Markup, html};

use super::layout::{name_of, time};
use super::number::Grouped;
use crate::sessions::SessionFile;

/// Files that are listed, the first by time.
const FILES: usize = 100;
/// The width of the time axis.
const WIDTH: f64 = 1000.0;
/// The least width of a bar: that of a single moment.
const BAR_MIN: f64 = 4.0;

/// Returns the card with the files.
pub(super) fn card(files: &[SessionFile], zone: &TimeZone) -> Markup {
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by_key(|file| (file.first_time, file.subagent_depth, &file.name));
    let axis = Axis::over(&files);
    html! {
        section.card {
            header {
                h2 { "Files" }
                span.soft { (Grouped(files.len() as u64)) }
            }
            div.scroll tabindex="0" role="region" aria-label="Files" {
                table.files {
                    thead { tr {
                        th scope="col" { "File" }
                        th scope="col" { "Time" }
                        th scope="col" { "Lines" }
                        th scope="col" { "Damaged" }
                        th.opt scope="col" { "Snapshots" }
                    } }
                    tbody { @for file in files.iter().take(FILES) { (row(file, &axis, zone)) } }
                }
            }
            @if files.len() > FILES { p.soft { "and " (Grouped((files.len() - FILES) as u64)) " more" } }
        }
    }
}

fn row(file: &SessionFile, axis: &Axis, zone: &TimeZone) -> Markup {
    let name = name_of(&file.name);
    html! {
        tr {
            th scope="row" {
                bdi.name title=(name) { (name) }
                span.note {
                    @match file.subagent_depth {
                        Some(0) => "main",
                        Some(1) => "subagent",
                        Some(depth) => { "subagent, level " (depth) }
                        None => "level unknown",
                    }
                    " · " bdi { (name_of(file.host.as_str())) }
                }
            }
            td {
                @if let (Some(first), Some(last)) = (file.first_time, file.last_time) {
                    span.span { (time(first, zone)) }
                    (axis.bar(first, last))
                }
            }
            td { (Grouped(file.lines)) }
            td { @if file.damaged_lines > 0 { span.badge.bad { (Grouped(file.damaged_lines)) } } @else { "0" } }
            td.opt { (Grouped(file.snapshots)) }
        }
    }
}

/// From the first time of all files to the last.
struct Axis {
    start: i64,
    length: f64,
}

impl Axis {
    fn over(files: &[&SessionFile]) -> Self {
        let start = files.iter().filter_map(|file| file.first_time).min().map_or(0, Timestamp::as_millis);
        let end = files.iter().filter_map(|file| file.last_time).max().map_or(start, Timestamp::as_millis);
        Self { start, length: end.saturating_sub(start).max(1) as f64 }
    }

    /// Returns the bar of a file. An SVG, because the policy allows no inline style.
    fn bar(&self, first: Timestamp, last: Timestamp) -> Markup {
        let at = |time: Timestamp| time.as_millis().saturating_sub(self.start) as f64 / self.length * WIDTH;
        let x = at(first).min(WIDTH - BAR_MIN);
        let width = (at(last) - x).max(BAR_MIN);
        html! {
            svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
                rect x=(format!("{x:.1}")) width=(format!("{width:.1}")) height="10" {}
            }
        }
    }
}
