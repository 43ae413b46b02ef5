//! Results of costly checks that all pages share.

#[cfg(feature = "page")]
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bridge_core::Stopwatch;

/// The result of the last check. Pages show it without waiting, while an old one is repeated in the background.
#[derive(Debug)]
pub(super) struct Latest<T> {
    last: Mutex<Option<(Stopwatch, T)>>,
    /// Held by the running check.
    running: tokio::sync::Mutex<()>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { last: Mutex::default(), running: tokio::sync::Mutex::default() }
    }
}

impl<T: Clone + Send + 'static> Latest<T> {
    /// Returns the last result, or that of the check if it is older than this. Concurrent callers wait for a single check.
    pub(super) async fn current(&self, age_max: Duration, check: impl Future<Output = T>) -> T {
        let asked = Stopwatch::start();
        let _running = self.running.lock().await;
        // A check that ended while this caller waited is shared, whatever the age.
        let age_max = age_max.max(asked.elapsed());
        if let Some(result) = self.last(|age| age < age_max) {
            return result;
        }
        let result = check.await;
        let last = (Stopwatch::start(), result.clone());
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        result
    }

    /// Returns the last result without waiting, and runs the check in the background if it is older than this.
    #[cfg(feature = "page")]
    pub(super) fn latest(
        self: &Arc<Self>,
        age_max: Duration,
        check: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        if self.last(|age| age < age_max).is_none() && self.running.try_lock().is_ok() {
            let latest = Arc::clone(self);
            tokio::spawn(async move { latest.current(age_max, check).await });
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
    async fn a_result_is_used_up_to_its_age_and_then_checked_again() {
        let latest = Latest::default();
        let hour = Duration::from_hours(1);
        assert_eq!(
            (latest.current(hour, async { 1 }).await, latest.current(hour, async { 2 }).await),
            (1, 1)
        );
        assert_eq!(latest.current(Duration::ZERO, async { 3 }).await, 3);
    }

    #[tokio::test]
    async fn callers_at_once_share_a_check_however_young_a_result_must_be() {
        let latest = Latest::default();
        let check = |result: u32| {
            latest.current(Duration::ZERO, async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                result
            })
        };
        assert_eq!(tokio::join!(check(1), check(2), check(3)), (1, 1, 1));
    }

    #[cfg(feature = "page")]
    #[tokio::test]
    async fn the_last_result_is_returned_without_waiting_for_the_next_check() {
        let latest = Arc::new(Latest::default());
        assert_eq!(latest.latest(Duration::ZERO, async { 1 }), None);
        while latest.last(|_| true).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(latest.latest(Duration::ZERO, std::future::pending()), Some(1));
    }
}
