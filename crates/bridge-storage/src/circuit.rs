//! The state of a circuit breaker, as health checks and errors show it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The state of the circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls pass.
    Closed {
        /// Failures since the last answer.
        failures: u32,
    },
    /// Calls fail at once, until one of them may probe.
    Open(OpenCircuit),
    /// One call probes. The others fail at once.
    Probing {
        /// The error that opened it.
        cause: Arc<str>,
    },
}

/// The circuit breaker is open: the source of the error that a call returns meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCircuit {
    /// The time until the next probe.
    pub retry_in: Duration,
    /// The error that opened it.
    pub cause: Arc<str>,
}

impl fmt::Display for OpenCircuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.retry_in.as_secs_f64();
        write!(f, "next probe in {seconds:.1} s; opened by: {}", self.cause)
    }
}

impl std::error::Error for OpenCircuit {}
