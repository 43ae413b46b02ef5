//! A store's own statistics.

use serde::{Deserialize, Serialize};

use crate::circuit::CircuitState;

/// A store's own statistics at one moment, for operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Attempts after the first, of all calls so far.
    pub retries: u64,
    /// The pool's connections; `None` if there is no pool.
    pub pool: Option<PoolStatus>,
    /// The state of the circuit breaker; `None` if there is none.
    pub circuit: Option<CircuitState>,
}

/// The connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Connections in use.
    pub in_use: usize,
    /// Connections that are open and free.
    pub idle: usize,
    /// Calls waiting for one.
    pub waiting: usize,
    /// Maximum number of connections.
    pub size: usize,
}
