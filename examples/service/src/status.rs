//! The state of the service in one line, for a terminal.

use std::time::Duration;

use bridge::live::{LiveStatus, Watching};
use bridge::{DashboardQuery, DashboardTokenMetrics};
use tokio::task::JoinHandle;

use crate::start::Running;
use crate::terminal::Terminal;

/// Interval at which the line is brought up to date.
const INTERVAL: Duration = Duration::from_secs(2);

/// A line that is kept up to date until it is dropped.
#[derive(Debug)]
pub struct Line {
    task: JoinHandle<()>,
    terminal: Terminal,
}

impl Line {
    /// Shows the line on the terminal. The database is asked only after synchronizations.
    pub fn show(running: &Running, terminal: Terminal) -> Self {
        let (progress, dashboard) = (running.progress(), running.reading_bridge().dashboard());
        let query = DashboardQuery::default().without_lists().without_receipt();
        let query = if running.shows_cost() { query.with_cost() } else { query };
        let shown = terminal.clone();
        let task = tokio::spawn(async move {
            let mut sums = String::new();
            let mut summed = None;
            loop {
                let status = progress.get();
                let synchronizations = status.searches + status.updates;
                if summed != Some(synchronizations) {
                    let metrics = dashboard.get_dashboard_token_metrics(query.clone()).await;
                    summed = metrics.is_ok().then_some(synchronizations);
                    sums = metrics
                        .map_or_else(|_| "database unavailable".to_owned(), |metrics| sums_of(&metrics));
                }
                shown.show(format!("{sums}, {}", state_of(&status)));
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self { task, terminal }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
        self.terminal.end();
    }
}

fn sums_of(metrics: &DashboardTokenMetrics) -> String {
    let floor = |is_floor: bool| if is_floor { "at least " } else { "" };
    let is_floor = metrics.completeness.at_least;
    let tokens = format!("{}{} tokens", floor(is_floor), grouped(metrics.total_tokens));
    match &metrics.totals.cost {
        Some(cost) if cost.priced_tokens > 0 => {
            format!("{tokens}, {}{}", floor(is_floor || !cost.is_complete()), cost.amount)
        }
        _ => tokens,
    }
}

fn state_of(status: &LiveStatus) -> String {
    let watching = match &status.watching {
        Watching::Events => "following changes",
        Watching::Polling | Watching::PollingInstead(_) => "polling",
    };
    let failing = if status.failures > 0 { ", not synchronized" } else { "" };
    format!("{watching}{failing}")
}

/// Returns the number with a comma between each three digits, as `bridge-examples` does.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_grouped_by_three() {
        let texts = [0, 999, 1_000, 2_768_012_012].map(super::grouped);
        assert_eq!(texts, ["0", "999", "1,000", "2,768,012,012"]);
    }
}
