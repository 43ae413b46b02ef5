//! Listening sockets.

/// True if a listener sets `SO_REUSEADDR`. On Unix a port can be bound again only with it while connections of the
/// previous run are in TIME_WAIT; on Windows it would let two programs listen on one port.
pub const REUSES_ADDRESS: bool = cfg!(unix);
