//! Retries of failed operations.
//!
//! An operation that finds the [circuit breaker](crate::breaker) open fails at once. One that is already under way
//! continues within its policy: it waits for the next probe and then for its own delay, so that waiting operations do
//! not all retry at once. So operations under way survive a restart of some seconds, and no others wait for it.

use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bridge_core::{BridgeError, ConnectionKind};
use tokio::time::Instant;

use crate::clickhouse::ForeignAnswer;

/// When and how often an operation is retried after a transient error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max_retries: usize,
    /// The factor by which the delay grows from attempt to attempt; less than 1 counts as 1.
    pub backoff_factor: f32,
    /// The first delay. As with all delays, up to half of it is randomly subtracted.
    pub min_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
    /// The time after which no further attempt begins.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    /// Three retries after 0.5 s at first, doubling, up to 5 s, for a minute: with the circuit breaker's pauses, a
    /// database that is restarted is back in that time.
    fn default() -> Self {
        Self {
            max_retries: 3,
            backoff_factor: 2.0,
            min_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(5),
            budget: Duration::from_mins(1),
        }
    }
}

impl RetryPolicy {
    /// One attempt, for work that must not be repeated, or is repeated anyway.
    #[must_use]
    pub fn once() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// Returns the delays before the retries, without randomness.
    fn delays(&self) -> impl Iterator<Item = Duration> {
        let (factor, longest) = (self.backoff_factor.max(1.0), self.max_delay);
        // Too long for a `Duration` is too long for `max_delay`.
        let longer = move |delay: &Duration| {
            let grown = Duration::try_from_secs_f32(delay.as_secs_f32() * factor);
            Some(grown.unwrap_or(longest).min(longest))
        };
        iter::successors(Some(self.min_delay.min(longest)), longer).take(self.max_retries)
    }
}

/// Returns between half of the delay and all of it; `chance` is between 0 and 1.
fn jittered(delay: Duration, chance: f32) -> Duration {
    let half = delay / 2;
    half + half.mul_f32(chance)
}

/// Runs the operation until it succeeds, fails permanently, or exhausts the policy. `pause` returns the
/// time until the circuit breaker's next probe; `retries` counts the attempts after the first.
///
/// The last attempt begins within the policy's budget, so everything ends at most one attempt's limit after it.
pub(crate) async fn execute_with_retry<T, F>(
    policy: &RetryPolicy,
    retries: &AtomicU64,
    pause: impl Fn() -> Duration,
    mut operation: impl FnMut() -> F,
) -> Result<T, BridgeError>
where
    F: Future<Output = Result<T, BridgeError>>,
{
    let start = Instant::now();
    let mut delays = policy.delays();
    let mut attempts = 0;
    let mut cause = None;
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        // Refused by the circuit breaker: the database was not asked.
        let is_refused = is_refused(&error);
        attempts += u32::from(!is_refused);
        let may_pass = if is_refused { cause.is_some() } else { error.is_retryable() };
        let wait = delays.next().map(|delay| pause() + jittered(delay, fastrand::f32()));
        // A wait longer than the budget ends the retries.
        let wait = wait.map(|wait| wait.max(retry_after(&error)));
        let wait = wait.filter(|wait| may_pass && start.elapsed().saturating_add(*wait) < policy.budget);
        // The cause of the failure says more than the end of the retries.
        let error = if is_refused { cause.take().unwrap_or(error) } else { error };
        let Some(wait) = wait else {
            return Err(error.with_history(attempts, start.elapsed()));
        };
        tracing::debug!(%error, attempts, ?wait, "retrying");
        cause = Some(error);
        tokio::time::sleep(wait).await;
        retries.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the wait that the server's answer asks for.
fn retry_after(error: &BridgeError) -> Duration {
    ForeignAnswer::in_causes_of(error).and_then(ForeignAnswer::retry_after).unwrap_or_default()
}

fn is_refused(error: &BridgeError) -> bool {
    matches!(error, BridgeError::Connection { kind: ConnectionKind::CircuitOpen, .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge_core::StorageKind;
    use proptest::prelude::*;

    fn storage(kind: StorageKind) -> BridgeError {
        let (context, message) = (Box::default(), String::new());
        BridgeError::Storage { operation: "test", kind, message, context, source: None }
    }

    fn connection(kind: ConnectionKind) -> BridgeError {
        let (context, host) = (Box::default(), String::new());
        BridgeError::Connection { operation: "test", host, kind, context, source: None }
    }

    /// Runs an operation that returns these errors in turn and then succeeds.
    async fn run(
        policy: RetryPolicy,
        pause: Duration,
        errors: Vec<BridgeError>,
    ) -> (usize, Result<(), BridgeError>, Duration) {
        let start = Instant::now();
        let (mut calls, mut errors, retries) = (0, errors.into_iter(), AtomicU64::new(0));
        let result = execute_with_retry(
            &policy,
            &retries,
            || pause,
            || {
                calls += 1;
                let result = errors.next().map_or(Ok(()), Err);
                async move { result }
            },
        )
        .await;
        assert_eq!(retries.into_inner() + 1, calls as u64);
        (calls, result, start.elapsed())
    }

    async fn calls(kind: StorageKind, fails: usize) -> (usize, bool) {
        let errors = (0..fails).map(|_| storage(kind)).collect();
        let (calls, result, _) = run(RetryPolicy::default(), Duration::ZERO, errors).await;
        (calls, result.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn only_transient_errors_are_retried() {
        assert_eq!(calls(StorageKind::Busy, 2).await, (3, true));
        assert_eq!(calls(StorageKind::Busy, 9).await, (4, false));
        assert_eq!(calls(StorageKind::DiskFull, 1).await, (1, false));
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_fails_the_first_attempt_at_once_and_delays_a_later_one() {
        let open = || connection(ConnectionKind::CircuitOpen);
        let pause = Duration::from_secs(10);
        let (calls, result, took) = run(RetryPolicy::default(), pause, vec![open()]).await;
        assert!(calls == 1 && took == Duration::ZERO);
        assert_eq!(result.unwrap_err().kind(), "circuit_open");

        let away = || connection(ConnectionKind::Unreachable);
        let (calls, result, took) = run(RetryPolicy::default(), pause, vec![away(), open()]).await;
        assert!(calls == 3 && result.is_ok() && took > 2 * pause, "{calls} {took:?}");

        // The error shows why it failed, and the number of attempts.
        let refused = vec![away(), open(), open(), open(), open()];
        let (calls, result, _) = run(RetryPolicy::default(), Duration::ZERO, refused).await;
        let error = result.unwrap_err();
        assert_eq!((calls, error.kind(), error.context().attempts), (4, "unreachable", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_budget_is_not_waited_for() {
        let away = vec![connection(ConnectionKind::Unreachable)];
        let (calls, result, took) = run(RetryPolicy::default(), Duration::from_mins(2), away).await;
        assert!(calls == 1 && result.is_err() && took == Duration::ZERO);
    }

    fn asks_to_wait(wait: Duration) -> BridgeError {
        let source = ForeignAnswer::asking_to_wait(wait);
        let (kind, context, host) = (ConnectionKind::Unreachable, Box::default(), String::new());
        BridgeError::Connection { operation: "test", host, kind, context, source: Some(Box::new(source)) }
    }

    #[tokio::test(start_paused = true)]
    async fn retries_honor_the_requested_wait_unless_it_exceeds_the_budget() {
        let wait = Duration::from_secs(20);
        let (calls, result, took) =
            run(RetryPolicy::default(), Duration::ZERO, vec![asks_to_wait(wait)]).await;
        assert!(calls == 2 && result.is_ok() && took >= wait && took < wait * 2, "{calls} {took:?}");

        // A shorter one does not shorten the policy's own.
        let (_, _, took) =
            run(RetryPolicy::default(), Duration::ZERO, vec![asks_to_wait(Duration::ZERO)]).await;
        assert!(took >= RetryPolicy::default().min_delay / 2, "{took:?}");

        let hours = vec![asks_to_wait(Duration::from_hours(2))];
        let (calls, result, took) = run(RetryPolicy::default(), Duration::ZERO, hours).await;
        assert!(calls == 1 && result.is_err() && took == Duration::ZERO, "{calls} {took:?}");
        let endless = vec![asks_to_wait(Duration::from_secs(u64::MAX))];
        assert!(run(RetryPolicy::default(), Duration::ZERO, endless).await.1.is_err());
    }

    fn paused_runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    proptest! {
        #[test]
        fn delays_grow_and_stay_within_their_limit(
            min in 0_u64..100_000,
            max in 0_u64..100_000,
            factor in prop_oneof![0_f32..10.0, Just(f32::NAN), Just(f32::MAX)],
            retries in 0_usize..40, chance in 0_f32..1.0,
        ) {
            let (min_delay, max_delay) = (Duration::from_millis(min), Duration::from_millis(max));
            let policy = RetryPolicy {
                max_retries: retries,
                backoff_factor: factor,
                min_delay,
                max_delay,
                ..RetryPolicy::default()
            };
            let delays: Vec<_> = policy.delays().collect();
            prop_assert_eq!(delays.len(), retries);
            // A float keeps 24 bits of a delay.
            let fuzz = Duration::from_millis(1);
            prop_assert!(delays.windows(2).all(|pair| pair[0] <= pair[1] + fuzz), "{:?}", delays);
            for delay in delays {
                let jittered = jittered(delay, chance);
                prop_assert!(delay <= max_delay && jittered <= delay + fuzz && jittered + fuzz >= delay / 2);
            }
        }

        #[test]
        fn no_attempt_begins_after_the_budget(
            budget in 0_u64..20_000, min in 1_u64..5_000, pause in 0_u64..5_000, retries in 0_usize..20,
        ) {
            let policy = RetryPolicy {
                max_retries: retries,
                min_delay: Duration::from_millis(min),
                budget: Duration::from_millis(budget),
                ..RetryPolicy::default()
            };
            let runtime = paused_runtime();
            let errors = (0..30).map(|_| storage(StorageKind::Busy)).collect();
            let (calls, _, took) = runtime.block_on(run(policy, Duration::from_millis(pause), errors));
            // The timer rounds up to whole milliseconds. Without a wait, the only attempt began at once.
            prop_assert!(took < policy.budget + Duration::from_millis(1) || calls == 1, "{took:?}");
            prop_assert!(calls <= retries + 1);
        }
    }
}
