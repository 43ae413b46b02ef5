//! Results of costly checks that all pages share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_core::Stopwatch;

/// The result of the last check. Pages show it without waiting, while an old one is repeated in the background.
#[derive(Debug)]
pub(super) struct Latest<T> {
    last: Mutex<Option<(Stopwatch, T)>>,
    /// Held by the running check.
    running: tokio::sync::Mutex<()>,
    interval: Duration,
}

impl<T: Clone + Send + 'static> Latest<T> {
    /// Returns a cache whose results are old after this time.
    pub(super) fn new(interval: Duration) -> Self {
        Self { last: Mutex::default(), running: tokio::sync::Mutex::default(), interval }
    }

    /// Returns the last result, or that of the check if it is old. Concurrent callers wait for a single check.
    pub(super) async fn current(&self, check: impl Future<Output = T>) -> T {
        let _running = self.running.lock().await;
        if let Some(result) = self.last(|age| age < self.interval) {
            return result;
        }
        let result = check.await;
        let last = (Stopwatch::start(), result.clone());
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        result
    }

    /// Returns the last result without waiting, and runs the check in the background if it is old.
    pub(super) fn latest(self: &Arc<Self>, check: impl Future<Output = T> + Send + 'static) -> Option<T> {
        if self.last(|age| age < self.interval).is_none() && self.running.try_lock().is_ok() {
            let latest = Arc::clone(self);
            tokio::spawn(async move { latest.current(check).await });
        }
        self.last(|_| true)
    }

    fn last(&self, is_usable: impl Fn(Duration) -> bool) -> Option<T> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(age, _)| is_usable(age.elapsed())).map(|(_, result)| result.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_result_is_kept_for_its_interval_and_then_checked_again() {
        let kept = Latest::new(Duration::from_hours(1));
        assert_eq!((kept.current(async { 1 }).await, kept.current(async { 2 }).await), (1, 1));
        let old = Latest::new(Duration::ZERO);
        assert_eq!((old.current(async { 1 }).await, old.current(async { 2 }).await), (1, 2));
    }

    #[tokio::test]
    async fn the_last_result_is_returned_without_waiting_for_the_next_check() {
        let latest = Arc::new(Latest::new(Duration::ZERO));
        assert_eq!(latest.latest(async { 1 }), None);
        while latest.last(|_| true).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(latest.latest(std::future::pending()), Some(1));
    }
}
