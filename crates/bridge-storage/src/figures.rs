//! What a store knows of itself.

use serde::{Deserialize, Serialize};

use crate::circuit::CircuitState;

/// A store's own figures at a moment: what an operator watches beside the operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Attempts after the first, of all calls so far.
    pub retries: u64,
    /// How the pool is used; `None` where there is none.
    pub pool: Option<PoolStatus>,
    /// What the circuit does; `None` where there is none.
    pub circuit: Option<CircuitState>,
}

/// How a pool of connections is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Connections in use.
    pub in_use: usize,
    /// Connections that are open and free.
    pub idle: usize,
    /// Calls that wait for one.
    pub waiting: usize,
    /// Connections at most.
    pub size: usize,
}
