//! The transcripts that are about to be deleted and are not stored.

use std::sync::Arc;
use std::time::Duration;

use bridge_storage::Dimension;
use maud::{Markup, html};

use super::dimension::short;
use super::layout::{Frame, Tab, name_of, relative};
use super::number::Grouped;
use crate::counted::noun;
use crate::handle::EnhancedTokenDatabaseBridge;
use crate::sessions::{ExpiringTranscript, ExpiringTranscripts};
use crate::web::problem::Problem;

/// The transcripts that the client deletes within this time are shown.
const WITHIN: Duration = Duration::from_hours(3 * 24);
/// A check reads the folders of all transcripts. Deletions are days away, so that it need not be repeated for each
/// page.
pub(super) const AGE_MAX: Duration = Duration::from_mins(1);
/// Transcripts that are listed.
const LISTED: usize = 5;

pub(super) type Checked = Result<Arc<ExpiringTranscripts>, Problem>;

/// Returns the transcripts that are about to be deleted.
pub(super) async fn check(bridge: EnhancedTokenDatabaseBridge) -> Checked {
    bridge.sessions().expiring_transcripts(WITHIN).await.map(Arc::new).map_err(Problem::from)
}

/// Returns the warning of the overview; nothing if nothing is going to be lost.
pub(super) fn warning(frame: &Frame, checked: Option<&Checked>) -> Markup {
    let Some(Ok(expiring)) = checked else { return html!() };
    let Some(first) = expiring.unstored.first() else { return html!() };
    let number = expiring.unstored.len() as u64;
    html! {
        p.banner.fair role="status" {
            strong { (Grouped(number)) (noun(number, " transcript", " transcripts")) }
            " will be deleted by the client within three days and "
            (noun(number, "is not stored, ", "are not stored, the first "))
            (relative(first.expires_at, &frame.view.zone)) ". "
            a href=(frame.link(Tab::Status.path(), &frame.view.first_page())) { "Status" }
        }
    }
}

/// Returns the card of the status page.
pub(super) fn card(frame: &Frame, checked: &Checked) -> Markup {
    html! {
        section.card {
            header { h2 { "Transcripts about to be deleted" } }
            @match checked {
                Err(_) => p.soft { "The check is currently unavailable." },
                Ok(expiring) => {
                    table.ranking {
                        thead.visually-hidden {
                            tr { th scope="col" { "Within three days" } th scope="col" { "Transcripts" } }
                        }
                        tbody {
                            tr {
                                th scope="row" { "Not stored" }
                                td {
                                    span class=(if expiring.unstored.is_empty() { "badge good" } else { "badge bad" }) {
                                        (Grouped(expiring.unstored.len() as u64))
                                    }
                                }
                            }
                            tr { th scope="row" { "Stored" } td { (Grouped(expiring.stored)) } }
                            @if !expiring.errors.is_empty() {
                                tr { th scope="row" { "Unreadable" } td { (Grouped(expiring.errors.len() as u64)) } }
                            }
                        }
                    }
                    p.soft {
                        @match expiring.unstored.is_empty() {
                            true => "All transcripts that the client will delete within three days are stored.",
                            false => "A sync will store them:",
                        }
                    }
                    (unstored(frame, &expiring.unstored))
                }
            }
        }
    }
}

/// Returns the transcripts that are deleted first.
fn unstored(frame: &Frame, unstored: &[ExpiringTranscript]) -> Markup {
    html! {
        @if !unstored.is_empty() {
            table.ranking {
                thead.visually-hidden { tr { th scope="col" { "Transcript" } th scope="col" { "Deleted" } } }
                tbody {
                    @for transcript in unstored.iter().take(LISTED) {
                        @let path = name_of(&transcript.path.to_string_lossy());
                        tr {
                            th scope="row" { bdi.name title=(path) { (short(&Dimension::Project, &path)) } }
                            td { (relative(transcript.expires_at, &frame.view.zone)) }
                        }
                    }
                    @if unstored.len() > LISTED {
                        @let others = (unstored.len() - LISTED) as u64;
                        tr.soft { th scope="row" { (noun(others, "other", "others")) } td { (Grouped(others)) } }
                    }
                }
            }
        }
    }
}
