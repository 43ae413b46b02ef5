//! A circuit breaker: calls to a database that is down fail at once, until a probe succeeds.
//!
//! ```text
//!            N failures in a row              pause over, one caller probes
//!   closed ----------------------->  open  ---------------------------------> half-open
//!     ^                               ^            probe fails: a longer pause    |
//!     |                               +-------------------------------------------+
//!     +------------------------- any answer of the database, at any time
//! ```
//!
//! Only signs of a database that is down count as failures: it cannot be reached, or does not answer in time.
//! A refusal or an error that it reports is an answer. The probe is a ping and not the caller's own work, which
//! may be long, so the breaker closes as soon as the database is back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bridge_core::{BridgeError, ConnectionKind};
use tokio::time::Instant;

use crate::circuit::{CircuitState, OpenCircuit};

/// When the circuit breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitPolicy {
    /// The number of consecutive failures that opens it; 0 turns it off.
    pub failures: u32,
    /// The first pause; it doubles with each probe that fails. Up to a quarter more is added at random.
    pub open_for: Duration,
    /// The longest pause, without the random addition.
    pub open_for_max: Duration,
}

impl Default for CircuitPolicy {
    /// Opens after five failures, for a second at first and half a minute at most.
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(1), open_for_max: Duration::from_secs(30) }
    }
}

/// The circuit breaker that all calls of a store share.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    policy: CircuitPolicy,
    state: Mutex<State>,
}

#[derive(Debug, Clone)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, opened: u32, cause: Arc<str> },
    Probing { opened: u32, cause: Arc<str> },
}

/// The permission of a call.
#[derive(Debug)]
pub(crate) enum Admission<'a> {
    Pass,
    /// It must probe the database first.
    Probe(Probe<'a>),
}

/// The right to probe. If it is dropped without a result, the next caller gets it.
#[derive(Debug)]
pub(crate) struct Probe<'a>(&'a CircuitBreaker);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.0.lock().give_up_probe(Instant::now());
    }
}

impl CircuitBreaker {
    pub(crate) fn new(policy: CircuitPolicy) -> Self {
        Self { policy, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Lets a call pass, makes it the probe, or refuses it.
    pub(crate) fn admit(&self) -> Result<Admission<'_>, OpenCircuit> {
        match self.lock().admit(Instant::now())? {
            true => Ok(Admission::Probe(Probe(self))),
            false => Ok(Admission::Pass),
        }
    }

    /// Records how a call ended.
    pub(crate) fn record<T>(&self, result: &Result<T, BridgeError>) {
        match result {
            Err(error) if is_away(error) => self.record_failure(error, |state, jitter, cause| {
                state.fail(Instant::now(), &self.policy, jitter, cause);
            }),
            Err(error) if is_inconclusive(error) => {}
            _ => self.answered(),
        }
    }

    /// Records how a probe ended.
    pub(crate) fn record_probe(&self, probe: Probe<'_>, result: &Result<(), BridgeError>) {
        match result {
            Err(error) if is_away(error) => self.record_failure(error, |state, jitter, cause| {
                state.fail_probe(Instant::now(), &self.policy, jitter, cause);
            }),
            Err(error) if is_inconclusive(error) => {}
            _ => self.answered(),
        }
        drop(probe);
    }

    fn record_failure(&self, error: &BridgeError, change: impl FnOnce(&mut State, f32, Arc<str>)) {
        let mut state = self.lock();
        let was_closed = matches!(*state, State::Closed { .. });
        change(&mut state, fastrand::f32(), error.to_string().into());
        if was_closed && !matches!(*state, State::Closed { .. }) {
            tracing::warn!(%error, "circuit breaker opened");
        }
    }

    fn answered(&self) {
        let before = std::mem::replace(&mut *self.lock(), State::Closed { failures: 0 });
        if !matches!(before, State::Closed { .. }) {
            tracing::info!("circuit breaker closed");
        }
    }

    /// Returns the time until the next probe; zero if the breaker is not open.
    pub(crate) fn pause(&self) -> Duration {
        match &*self.lock() {
            State::Open { until, .. } => until.saturating_duration_since(Instant::now()),
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn state(&self) -> CircuitState {
        match &*self.lock() {
            State::Closed { failures } => CircuitState::Closed { failures: *failures },
            State::Open { until, cause, .. } => CircuitState::Open(OpenCircuit {
                retry_in: until.saturating_duration_since(Instant::now()),
                cause: Arc::clone(cause),
            }),
            State::Probing { cause, .. } => CircuitState::Probing { cause: Arc::clone(cause) },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_away(error: &BridgeError) -> bool {
    let BridgeError::Connection { kind, source, .. } = error else { return false };
    let is_answer = source.as_ref().is_some_and(|source| {
        // The server's own time limit, so the server is up.
        matches!(source.downcast_ref(), Some(clickhouse::error::Error::BadResponse(_)))
    });
    matches!(kind, ConnectionKind::Unreachable | ConnectionKind::TimedOut) && !is_answer
}

/// Returns whether the error occurred before the database was asked.
fn is_inconclusive(error: &BridgeError) -> bool {
    let BridgeError::Connection { kind, .. } = error else { return false };
    matches!(
        kind,
        ConnectionKind::PoolExhausted
            | ConnectionKind::CircuitOpen
            | ConnectionKind::InvalidUrl
            | ConnectionKind::Misconfigured
    )
}

/// The transitions. Time and randomness are passed in.
impl State {
    /// Returns whether the call is the probe.
    fn admit(&mut self, now: Instant) -> Result<bool, OpenCircuit> {
        match self {
            Self::Closed { .. } => Ok(false),
            Self::Open { until, opened, cause } if *until <= now => {
                *self = Self::Probing { opened: *opened, cause: Arc::clone(cause) };
                Ok(true)
            }
            Self::Open { until, cause, .. } => {
                Err(OpenCircuit { retry_in: *until - now, cause: Arc::clone(cause) })
            }
            Self::Probing { cause, .. } => {
                Err(OpenCircuit { retry_in: Duration::ZERO, cause: Arc::clone(cause) })
            }
        }
    }

    /// A call failed. One that began before the circuit opened says nothing new.
    fn fail(&mut self, now: Instant, policy: &CircuitPolicy, jitter: f32, cause: Arc<str>) {
        let Self::Closed { failures } = self else { return };
        *failures = failures.saturating_add(1);
        if policy.failures > 0 && *failures >= policy.failures {
            *self = Self::Open { until: now + pause(policy, 0, jitter), opened: 1, cause };
        }
    }

    /// The probe failed. If an answer has closed the circuit meanwhile, it counts like any call.
    fn fail_probe(&mut self, now: Instant, policy: &CircuitPolicy, jitter: f32, cause: Arc<str>) {
        let Self::Probing { opened, .. } = self else { return self.fail(now, policy, jitter, cause) };
        let opened = *opened;
        *self = Self::Open {
            until: now + pause(policy, opened, jitter),
            opened: opened.saturating_add(1),
            cause,
        };
    }

    /// The probe was dropped before it had a result: the next caller probes.
    fn give_up_probe(&mut self, now: Instant) {
        if let Self::Probing { opened, cause } = self {
            *self = Self::Open { until: now, opened: *opened, cause: Arc::clone(cause) };
        }
    }
}

/// Returns the pause after this number of failed probes.
fn pause(policy: &CircuitPolicy, failed_probes: u32, jitter: f32) -> Duration {
    let pause = policy.open_for.saturating_mul(2_u32.saturating_pow(failed_probes));
    let pause = pause.min(policy.open_for_max.max(policy.open_for));
    pause + (pause / 4).mul_f32(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(kind: ConnectionKind) -> Result<(), BridgeError> {
        let (host, context) = ("db:8123".to_owned(), Box::default());
        Err(BridgeError::Connection { operation: "ping", host, kind, context, source: None })
    }

    fn open(breaker: &CircuitBreaker) {
        for _ in 0..breaker.policy.failures {
            assert!(matches!(breaker.admit(), Ok(Admission::Pass)));
            breaker.record(&error(ConnectionKind::Unreachable));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_refuses_probes_once_and_closes() {
        let breaker = CircuitBreaker::new(CircuitPolicy::default());
        open(&breaker);
        let refused = breaker.admit().unwrap_err();
        assert!(refused.retry_in >= Duration::from_secs(1), "{refused}");
        assert!(refused.cause.contains("cannot be reached at db:8123"), "{refused}");
        tokio::time::sleep(refused.retry_in).await;
        let Ok(Admission::Probe(probe)) = breaker.admit() else { panic!("the pause is over") };
        assert!(breaker.admit().is_err(), "only one caller probes");
        breaker.record_probe(probe, &Ok(()));
        assert_eq!(breaker.state(), CircuitState::Closed { failures: 0 });
        assert!(matches!(breaker.admit(), Ok(Admission::Pass)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_probe_passes_to_the_next_caller() {
        let breaker = CircuitBreaker::new(CircuitPolicy::default());
        open(&breaker);
        tokio::time::sleep(breaker.pause()).await;
        drop(breaker.admit().unwrap());
        let Ok(Admission::Probe(probe)) = breaker.admit() else { panic!("no caller probes") };
        breaker.record_probe(probe, &error(ConnectionKind::TimedOut));
        assert!(breaker.pause() >= Duration::from_secs(2), "each pause is longer");
    }

    #[test]
    fn only_an_unreachable_database_opens_it() {
        let breaker = CircuitBreaker::new(CircuitPolicy { failures: 2, ..CircuitPolicy::default() });
        let failures = |breaker: &CircuitBreaker| match breaker.state() {
            CircuitState::Closed { failures } => failures,
            state => panic!("{state:?}"),
        };
        breaker.record(&error(ConnectionKind::Unreachable));
        // No request was made, so nothing is known.
        breaker.record(&error(ConnectionKind::PoolExhausted));
        assert_eq!(failures(&breaker), 1);
        // An answer, though not the desired one.
        breaker.record(&error(ConnectionKind::Refused));
        assert_eq!(failures(&breaker), 0);
        let slow = clickhouse::error::Error::BadResponse("Code: 159. TIMEOUT_EXCEEDED".to_owned());
        let slow: Result<(), _> = Err(BridgeError::Connection {
            operation: "read",
            host: String::new(),
            kind: ConnectionKind::TimedOut,
            context: Box::default(),
            source: Some(slow.into()),
        });
        breaker.record(&error(ConnectionKind::TimedOut));
        breaker.record(&slow);
        assert_eq!(failures(&breaker), 0);
    }

    #[test]
    fn zero_failures_disable_the_breaker() {
        let breaker = CircuitBreaker::new(CircuitPolicy { failures: 0, ..CircuitPolicy::default() });
        for _ in 0..100 {
            breaker.record(&error(ConnectionKind::Unreachable));
        }
        assert!(matches!(breaker.admit(), Ok(Admission::Pass)));
    }

    /// An event in the life of a breaker.
    #[derive(Debug, Clone)]
    enum Event {
        Waits(u64),
        Calls,
        Fails,
        Answers,
        ProbeFails,
        ProbeIsDropped,
    }

    fn event() -> impl Strategy<Value = Event> {
        use Event::{Answers, Calls, Fails, ProbeFails, ProbeIsDropped, Waits};
        let waits = (0_u64..3_000).prop_map(Waits);
        prop_oneof![
            waits,
            Just(Calls),
            Just(Fails),
            Just(Fails),
            Just(Answers),
            Just(ProbeFails),
            Just(ProbeIsDropped)
        ]
    }

    fn paused_runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    proptest! {
        /// Compares with a model that keeps the whole history and searches it.
        #[test]
        fn behaves_like_the_model(events in prop::collection::vec(event(), 0..60), failures in 1_u32..4) {
            let (open_for, open_for_max) = (Duration::from_secs(1), Duration::from_secs(4));
            let policy = CircuitPolicy { failures, open_for, open_for_max };
            let runtime = paused_runtime();
            let _guard = runtime.enter();
            let start = Instant::now();
            let (mut state, mut now, cause) = (State::Closed { failures: 0 }, start, Arc::<str>::from("x"));
            // The model: failures in a row, failed probes in a row, when the pause ends, whether a caller probes.
            let (mut row, mut probes, mut until, mut probing) = (0, 0, None::<Instant>, false);
            for event in events {
                match event {
                    Event::Waits(millis) => now += Duration::from_millis(millis),
                    Event::Calls => {
                        let expected = match until {
                            None => Some(false),
                            Some(end) if end <= now && !probing => Some(true),
                            Some(_) => None,
                        };
                        probing |= expected == Some(true);
                        prop_assert_eq!(state.admit(now).ok(), expected);
                    }
                    Event::Fails => {
                        state.fail(now, &policy, 0.0, Arc::clone(&cause));
                        row += 1;
                        if until.is_none() && row == failures {
                            until = Some(now + Duration::from_secs(1));
                        }
                    }
                    Event::Answers => {
                        state = State::Closed { failures: 0 };
                        (row, probes, until, probing) = (0, 0, None, false);
                    }
                    Event::ProbeFails if probing => {
                        state.fail_probe(now, &policy, 0.0, Arc::clone(&cause));
                        probes += 1;
                        until = Some(now + Duration::from_secs([1, 2, 4][probes.min(2)]));
                        probing = false;
                    }
                    Event::ProbeIsDropped if probing => {
                        state.give_up_probe(now);
                        (until, probing) = (Some(now), false);
                    }
                    Event::ProbeFails | Event::ProbeIsDropped => {}
                }
            }
        }

        #[test]
        fn pauses_are_bounded(
            failed in 0_u32..100,
            first in 0_u64..100_000,
            longest in 0_u64..100_000,
            jitter in 0_f32..1.0,
        ) {
            let (open_for, open_for_max) = (Duration::from_millis(first), Duration::from_millis(longest));
            let policy = CircuitPolicy { failures: 1, open_for, open_for_max };
            let pause = pause(&policy, failed, jitter);
            let most = Duration::from_millis(first.max(longest));
            prop_assert!(pause >= policy.open_for && pause <= most + most / 4 + Duration::from_millis(1));
        }
    }
}
