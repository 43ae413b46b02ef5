//! A limit on everything that a client can take up.

use std::time::Duration;

/// Connections at once. Twice as many descriptors are open, below the usual limit of 1,024.
pub(super) const CONNECTIONS_MAX: usize = 400;

/// A request line with all its fields. A statement stands in the body, and an insert's columns in the request line.
pub(super) const HEAD_BYTES_MAX: usize = 256 << 10;
pub(super) const FIELDS_MAX: usize = 100;

/// How long a connection may wait between two requests, and for its first.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long a head may take from its first byte on; the whole request, where its sender is not known.
pub(super) const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a known client may be silent in a body or read nothing of an answer: the engine's own limits.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A body of up to this many bytes is complete before the engine hears of the request; more than this of a sender
/// who is not known is refused.
pub(super) const SMALL_BODY_BYTES: usize = 64 << 10;

/// How long a request waits for an engine that is down.
pub(super) const ENGINE_WAIT_MAX: Duration = Duration::from_secs(15);
/// An idle connection to the engine is used again before the engine, which gives it 30 s, closes it.
pub(super) const ENGINE_IDLE_MAX: Duration = Duration::from_secs(5);

/// The engine's answer to a client that is gone is read and dropped; where it is longer, the query is canceled.
pub(super) const DISCARDED_BYTES_MAX: u64 = 4 << 20;

/// How long and how far a refused client is read on, so that it finds the refusal and not a reset.
pub(super) const LINGER_MAX: Duration = Duration::from_secs(1);
pub(super) const LINGER_BYTES_MAX: usize = 256 << 10;

/// The engine's own heads may tell its progress ten times a second.
pub(super) const ENGINE_HEAD_BYTES_MAX: usize = 16 << 20;
