//! What a store knows of itself.

/// A store's own figures at a moment: what an operator watches beside the operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreFigures {
    /// Attempts after the first, of all calls so far.
    pub retries: u64,
    /// Connections that calls use now.
    pub connections_in_use: u64,
    /// Connections that are open and free.
    pub connections_idle: u64,
    /// Calls that wait for a connection.
    pub calls_waiting: u64,
}
