//! The transcripts that are about to be deleted and are not stored.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_core::Stopwatch;
use maud::{Markup, html};

use super::layout::{Frame, Tab, relative};
use super::number::Grouped;
use crate::handle::EnhancedTokenDatabaseBridge;
use crate::sessions::ExpiringTranscripts;
use crate::web::problem::Problem;

/// The transcripts that the client deletes within this time are shown.
const WITHIN: Duration = Duration::from_hours(3 * 24);
/// A check reads the folders of all transcripts. Deletions are days away, so that it need not be repeated for each page.
const INTERVAL: Duration = Duration::from_mins(1);

pub(super) type Checked = Result<Arc<ExpiringTranscripts>, Problem>;

/// The last check for transcripts that are about to be deleted.
#[derive(Debug, Default)]
pub(in crate::web) struct ExpiringCheck {
    last: Mutex<Option<(Stopwatch, Checked)>>,
    /// Held by the running check.
    running: tokio::sync::Mutex<()>,
}

impl ExpiringCheck {
    /// Returns the result of the last check, which is repeated first if it is old.
    pub(super) async fn current(&self, bridge: &EnhancedTokenDatabaseBridge) -> Checked {
        let _running = self.running.lock().await;
        if let Some(checked) = self.last(|age| age < INTERVAL) {
            return checked;
        }
        let checked = bridge.sessions().expiring_transcripts(WITHIN).await;
        let checked: Checked = checked.map(Arc::new).map_err(Problem::from);
        let last = (Stopwatch::start(), checked.clone());
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        checked
    }

    /// Returns the result of the last check without waiting, and repeats an old one in the background.
    pub(super) fn latest(self: &Arc<Self>, bridge: &EnhancedTokenDatabaseBridge) -> Option<Checked> {
        if self.last(|age| age < INTERVAL).is_none() && self.running.try_lock().is_ok() {
            let (check, bridge) = (Arc::clone(self), bridge.clone());
            tokio::spawn(async move { check.current(&bridge).await });
        }
        self.last(|_| true)
    }

    fn last(&self, is_usable: impl Fn(Duration) -> bool) -> Option<Checked> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(age, _)| is_usable(age.elapsed())).map(|(_, checked)| checked.clone())
    }
}

/// Returns the warning of the overview; nothing if nothing is going to be lost.
pub(super) fn warning(frame: &Frame, checked: Option<&Checked>) -> Markup {
    let Some(Ok(expiring)) = checked else { return html!() };
    let Some(first) = expiring.unstored.first() else { return html!() };
    html! {
        p.banner.fair role="status" {
            strong { (Grouped(expiring.unstored.len() as u64)) " transcripts" }
            " will be deleted by the client within three days and are not stored, the first "
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
                Err(_) => p.soft { "They cannot be checked now." },
                Ok(expiring) => {
                    table.ranking {
                        thead.visually-hidden { tr { th scope="col" { "Within three days" } th scope="col" { "Transcripts" } } }
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
                        @match expiring.unstored.first() {
                            Some(first) => { "The first may be deleted " (relative(first.expires_at, &frame.view.zone)) ". A sync stores them." }
                            None => "Everything that the client deletes within three days is stored.",
                        }
                    }
                }
            }
        }
    }
}
