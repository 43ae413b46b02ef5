//! Limits on every resource that a client can occupy.

use std::time::Duration;

/// Concurrent connections. They need twice as many descriptors, below the usual limit of 1,024.
pub(super) const CONNECTIONS_MAX: usize = 400;

/// A request line and all headers. A statement is in the body, but the columns of an insert are in the request line.
pub(super) const HEAD_BYTES_MAX: usize = 256 << 10;
pub(super) const HEADERS_MAX: usize = 100;

/// Idle time of a connection, before and between requests.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30);
/// Time for a request's head from its first byte on; for the whole request where it is not authenticated.
pub(super) const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Time that an authenticated client may stall in a body or a response: the engine's own limits.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A body of up to this size is buffered before the engine sees the request; a longer one needs an authenticated user.
pub(super) const SMALL_BODY_BYTES: usize = 64 << 10;

/// Time that a request waits for an engine that is down. Below the client's 30 s, so that it gets the 503.
pub(super) const ENGINE_WAIT_MAX: Duration = Duration::from_secs(15);
/// Maximum idle time of a reused connection to the engine, which closes it after 30 s.
pub(super) const ENGINE_IDLE_MAX: Duration = Duration::from_secs(5);

/// Bytes of a response to a vanished client that are read and dropped before the query is canceled.
pub(super) const DISCARDED_BYTES_MAX: u64 = 4 << 20;

/// Time and bytes for draining a refused client, so that it reads the refusal and not a reset.
pub(super) const LINGER_MAX: Duration = Duration::from_secs(1);
pub(super) const LINGER_BYTES_MAX: usize = 256 << 10;

/// The engine's head grows by a progress header ten times a second.
pub(super) const ENGINE_HEAD_BYTES_MAX: usize = 16 << 20;
