//! Requests that are refused because of their token: all are counted, and wrong tokens are logged.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bridge::Stopwatch;
use metrics::Counter;

/// The metric of refused requests.
const REFUSED: &str = "service_refused_requests_total";
/// Minimum time between two warnings, whatever the number of refused tokens.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

pub(super) struct Refusals {
    without_token: Counter,
    with_wrong_token: Counter,
    since_start: Stopwatch,
    warnings: Mutex<Warnings>,
}

impl Refusals {
    pub(super) fn new() -> Self {
        metrics::describe_counter!(REFUSED, "Requests refused because of their token");
        Self {
            without_token: metrics::counter!(REFUSED, "reason" => "no_token"),
            with_wrong_token: metrics::counter!(REFUSED, "reason" => "wrong_token"),
            since_start: Stopwatch::start(),
            warnings: Mutex::default(),
        }
    }

    /// Counts a refused request. One without a token is how a browser begins, and not worth a warning.
    pub(super) fn count(&self, has_token: bool) {
        if !has_token {
            return self.without_token.increment(1);
        }
        self.with_wrong_token.increment(1);
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(requests) = warnings.due(self.since_start.elapsed()) {
            tracing::warn!(requests, "refused requests with a wrong token");
        }
    }
}

#[derive(Debug, Default)]
struct Warnings {
    last_at: Option<Duration>,
    unreported: u64,
}

impl Warnings {
    /// Counts a wrong token, and returns the number to warn of, if it is time to.
    fn due(&mut self, now: Duration) -> Option<u64> {
        self.unreported += 1;
        if self.last_at.is_some_and(|last| now.saturating_sub(last) < WARNING_INTERVAL) {
            return None;
        }
        self.last_at = Some(now);
        Some(std::mem::take(&mut self.unreported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_wrong_tokens_are_one_warning_a_minute() {
        let mut warnings = Warnings::default();
        let warned = [0, 1, 59, 60, 61, 180].map(|second| warnings.due(Duration::from_secs(second)));
        assert_eq!(warned, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
