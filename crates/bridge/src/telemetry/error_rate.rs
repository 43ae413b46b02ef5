//! Error rate of storage operations: calls of the store, and analyses that are rejected as invalid.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_core::{BridgeError, Clock, StorageKind};

/// The number of steps in which the window moves.
const STEPS: u64 = 60;

/// Counts outcomes over a sliding window, with one counter per step.
#[derive(Debug)]
pub(crate) struct ErrorRate {
    clock: Arc<dyn Clock>,
    step: Duration,
    steps: Mutex<VecDeque<Step>>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    /// Its number since 1970.
    number: u128,
    counts: Outcomes,
}

/// Outcomes of operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) operations: u64,
    pub(crate) failures: u64,
}

impl Outcomes {
    /// The share that failed, from 0 to 1.
    pub(crate) fn rate(self) -> f64 {
        if self.operations == 0 { 0.0 } else { self.failures as f64 / self.operations as f64 }
    }
}

/// Outcome of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    /// Returns whether the store failed. A justified refusal is not a failure. An invalid analysis does
    /// not reach the store, so the caller that rejects it records the failure.
    pub(crate) fn of<T>(result: &Result<T, BridgeError>) -> Self {
        let is_failure = match result {
            Ok(_) => false,
            Err(BridgeError::Connection { .. }) => true,
            Err(BridgeError::Storage { kind, .. }) => !matches!(
                kind,
                StorageKind::RolledBack
                    | StorageKind::Checkpoint
                    | StorageKind::UnknownPrices
                    | StorageKind::Denied
            ),
            Err(_) => false,
        };
        if is_failure { Self::Failure } else { Self::Success }
    }
}

impl ErrorRate {
    pub(crate) fn new(window: Duration, clock: Arc<dyn Clock>) -> Self {
        let step = Duration::from_millis(u64::try_from(window.as_millis()).unwrap_or(u64::MAX) / STEPS)
            .max(Duration::from_millis(1));
        Self { clock, step, steps: Mutex::default() }
    }

    pub(crate) fn record(&self, outcome: Outcome) {
        self.with_steps(|steps, now| {
            // If the clock is set back, counting continues in the last step.
            if steps.back().is_none_or(|last| last.number < now) {
                steps.push_back(Step { number: now, counts: Outcomes::default() });
            }
            if let Some(Step { counts, .. }) = steps.back_mut() {
                counts.operations += 1;
                counts.failures += u64::from(outcome == Outcome::Failure);
            }
        });
    }

    /// Returns the outcomes in the window.
    pub(crate) fn outcomes(&self) -> Outcomes {
        self.with_steps(|steps, _| {
            steps.iter().fold(Outcomes::default(), |sum, step| Outcomes {
                operations: sum.operations + step.counts.operations,
                failures: sum.failures + step.counts.failures,
            })
        })
    }

    /// Drops what is older than the window.
    fn with_steps<T>(&self, work: impl FnOnce(&mut VecDeque<Step>, u128) -> T) -> T {
        let now = u128::from(self.clock.now().as_millis().unsigned_abs()) / self.step.as_millis();
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        while steps.front().is_some_and(|first| first.number + u128::from(STEPS) <= now) {
            steps.pop_front();
        }
        work(&mut steps, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge_core::{ManualClock, Timestamp};
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_772_323_200_000 + millis).unwrap()
    }

    proptest! {
        /// Compares with a list of everything ever recorded.
        #[test]
        fn the_window_counts_what_happened_in_it(events in prop::collection::vec((0_i64..20_000, any::<bool>()), 0..80)) {
            let clock = Arc::new(ManualClock::new(at(0)));
            let rate = ErrorRate::new(Duration::from_mins(1), clock.clone());
            let (mut now, mut all) = (0, Vec::new());
            for (wait, fails) in events {
                now += wait;
                clock.set(at(now));
                rate.record(if fails { Outcome::Failure } else { Outcome::Success });
                all.push((now, fails));
                // The window moves second by second.
                let inside: Vec<_> = all.iter().filter(|(time, _)| time / 1000 + 60 > now / 1000).collect();
                let expected = Outcomes { operations: inside.len() as u64, failures: inside.iter().filter(|(_, fails)| *fails).count() as u64 };
                prop_assert_eq!(rate.outcomes(), expected);
            }
        }
    }

    /// A store's rule, or a caller's digest, is no fault of the store.
    #[test]
    fn a_refusal_of_the_callers_request_is_not_a_failure() {
        let outcome = |kind| Outcome::of(&Err::<(), _>(BridgeError::storage(kind, "upsert", "")));
        assert_eq!(outcome(StorageKind::Denied), Outcome::Success);
        assert_eq!(outcome(StorageKind::UnknownPrices), Outcome::Success);
        assert_eq!(outcome(StorageKind::PermissionDenied), Outcome::Failure);
    }

    #[test]
    fn survives_a_clock_that_is_set_back() {
        let clock = Arc::new(ManualClock::new(at(500_000)));
        let rate = ErrorRate::new(Duration::from_mins(1), clock.clone());
        rate.record(Outcome::Failure);
        clock.set(at(0));
        rate.record(Outcome::Success);
        assert_eq!(rate.outcomes(), Outcomes { operations: 2, failures: 1 });
        assert!((rate.outcomes().rate() - 0.5).abs() < f64::EPSILON);
    }
}
