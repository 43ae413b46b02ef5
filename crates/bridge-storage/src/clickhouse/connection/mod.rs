//! Connections to the database: pool, transport, and which answers are taken for the database's own.

pub(crate) mod answer;
pub(crate) mod errors;
pub(crate) mod guard;
pub(crate) mod locate;
pub(crate) mod pool;
mod proven;
#[cfg(feature = "tls")]
mod tls;
mod transport;

pub(crate) use answer::ForeignAnswer;
