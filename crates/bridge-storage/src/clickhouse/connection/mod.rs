//! Connections to the database: the pool, the transport, and the check that answers are the database's own.

pub(crate) mod answer;
pub(crate) mod errors;
pub(crate) mod guard;
pub(crate) mod locate;
pub(crate) mod pool;
mod proven;
pub(crate) mod server_code;
#[cfg(feature = "tls")]
mod tls;
mod transport;

pub(crate) use answer::ForeignAnswer;
