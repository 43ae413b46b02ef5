//! Trying again: the one place where it is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bridge_core::{BridgeError, Stopwatch};

/// When and how often an operation is tried again. Only errors that may pass by themselves are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max_retries: usize,
    /// By this the delay grows from attempt to attempt.
    pub backoff_factor: f32,
    /// The first delay; up to as much again is added at random.
    pub min_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// After this time no further attempt begins.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    /// Three retries after 0.25 s at first, doubling, up to 5 s, for a minute: a database that is restarted is
    /// back in that time.
    fn default() -> Self {
        Self {
            max_retries: 3,
            backoff_factor: 2.0,
            min_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(5),
            budget: Duration::from_mins(1),
        }
    }
}

/// Runs the operation until it succeeds, fails for good, or the policy is used up. Counts the attempts after the first.
pub(crate) async fn execute_with_retry<T, F>(
    policy: &RetryPolicy,
    retries: &AtomicU64,
    mut operation: impl FnMut() -> F,
) -> Result<T, BridgeError>
where
    F: Future<Output = Result<T, BridgeError>>,
{
    let watch = Stopwatch::start();
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(policy.min_delay)
        .with_max_delay(policy.max_delay)
        .with_factor(policy.backoff_factor)
        .with_max_times(policy.max_retries)
        .with_jitter()
        .build();
    let mut attempts = 1;
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let delay = delays.next().filter(|delay| watch.elapsed() + *delay < policy.budget);
        let Some(delay) = delay.filter(|_| error.is_retryable()) else {
            return Err(error.with_history(attempts, watch.elapsed()));
        };
        tracing::debug!(%error, attempts, "trying again");
        tokio::time::sleep(delay).await;
        retries.fetch_add(1, Ordering::Relaxed);
        attempts += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge_core::StorageKind;

    async fn attempts(kind: StorageKind, fails: u32) -> (u32, bool) {
        let policy = RetryPolicy { min_delay: Duration::from_millis(1), ..RetryPolicy::default() };
        let (mut calls, retries) = (0, AtomicU64::new(0));
        let result = execute_with_retry(&policy, &retries, || {
            calls += 1;
            let fail = calls <= fails;
            async move {
                let context = Box::default();
                let message = String::new();
                if fail {
                    Err(BridgeError::Storage { operation: "test", kind, message, context, source: None })
                } else {
                    Ok(())
                }
            }
        })
        .await;
        assert_eq!(retries.into_inner(), u64::from(calls) - 1);
        (calls, result.is_ok())
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_nothing_else() {
        assert_eq!(attempts(StorageKind::Busy, 2).await, (3, true));
        assert_eq!(attempts(StorageKind::Busy, 9).await, (4, false));
        assert_eq!(attempts(StorageKind::DiskFull, 1).await, (1, false));
    }
}
