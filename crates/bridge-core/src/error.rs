//! The errors of bridge operations.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use crate::SessionId;
use crate::validate::ValidationResult;

type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// An error of a bridge operation.
///
/// The message is one clause with the facts; what caused it is in [`source`](std::error::Error::source).
/// No message holds a password or a text of a conversation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The database cannot be reached or refuses the credentials.
    #[error("{operation}: {kind} at {host}{history}")]
    Connection {
        /// What was being done.
        operation: &'static str,
        /// The database's host and port, without credentials.
        host: String,
        /// What is wrong.
        kind: ConnectionKind,
        /// The attempts made.
        history: RetryHistory,
        /// The client's error.
        source: Option<Cause>,
    },
    /// The database was reached and did not do what was asked.
    #[error("{operation}: {kind}: {message}{history}")]
    Storage {
        /// What was being done.
        operation: &'static str,
        /// What is wrong.
        kind: StorageKind,
        /// The facts, as the database or the bridge states them.
        message: String,
        /// The attempts made.
        history: RetryHistory,
        /// The client's error.
        source: Option<Cause>,
    },
    /// The data is not what may be stored.
    #[error("the analysis of session {session} is not valid: {result}")]
    Validation {
        /// The session that the analysis names.
        session: String,
        /// Every violation.
        result: ValidationResult,
    },
    /// Neither the store nor any source that could be read knows the session.
    #[error("session {session} is known neither to the store nor to any source that can be read")]
    UnknownSession {
        /// The session asked for.
        session: SessionId,
    },
    /// Lines of a file do not follow on those that came before.
    #[error("{}: lines from byte {offset} on, where those from byte {expected} on were to come", path.display())]
    OutOfOrder {
        /// The file.
        path: PathBuf,
        /// Where the next lines should begin.
        expected: u64,
        /// Where they do.
        offset: u64,
    },
    /// A file or folder could not be read.
    #[error("{} cannot be read", path.display())]
    Source {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Option<Cause>,
    },
    /// A historical backfill could not be carried through.
    #[error("backfill: {message}")]
    Backfill {
        /// What could not be done.
        message: String,
        /// Why.
        source: Option<Cause>,
    },
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionKind {
    /// Nothing answers, or the connection broke.
    #[error("the database cannot be reached")]
    Unreachable,
    /// No answer in time.
    #[error("the database does not answer in time")]
    TimedOut,
    /// User or password are wrong.
    #[error("the database refuses user or password")]
    Refused,
    /// The URL is none.
    #[error("the database's URL is not usable")]
    InvalidUrl,
    /// A setting of the connection is not usable: a name, a certificate, a file that cannot be read.
    #[error("the connection's settings are not usable")]
    Misconfigured,
    /// No connection of the pool became free in time.
    #[error("no connection became free in time")]
    PoolExhausted,
}

/// Why a storage operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageKind {
    /// The database is overloaded, out of memory or shutting down; later it may work.
    #[error("the database is busy")]
    Busy,
    /// The disk is full.
    #[error("the database's disk is full")]
    DiskFull,
    /// The user may not do this.
    #[error("the database user lacks a permission")]
    PermissionDenied,
    /// The schema is not the one this version writes.
    #[error("the database's schema does not fit")]
    Schema,
    /// The stored data cannot be what the bridge wrote.
    #[error("stored data is not readable")]
    Corrupt,
    /// The database reports another error.
    #[error("the database reports an error")]
    Other,
}

/// The attempts behind an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryHistory {
    /// How often it was tried.
    pub attempts: u32,
    /// Over which time.
    pub elapsed: Duration,
}

impl std::fmt::Display for RetryHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.attempts < 2 {
            return Ok(());
        }
        write!(f, " ({} attempts in {:.1} s)", self.attempts, self.elapsed.as_secs_f64())
    }
}

impl BridgeError {
    /// Whether the same operation may succeed when it is tried again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connection { kind, .. } => {
                matches!(
                    kind,
                    ConnectionKind::Unreachable | ConnectionKind::TimedOut | ConnectionKind::PoolExhausted
                )
            }
            Self::Storage { kind, .. } => *kind == StorageKind::Busy,
            Self::Validation { .. }
            | Self::UnknownSession { .. }
            | Self::OutOfOrder { .. }
            | Self::Source { .. }
            | Self::Backfill { .. } => false,
        }
    }

    /// The same error with the attempts that were made.
    #[must_use]
    pub fn with_history(mut self, attempts: u32, elapsed: Duration) -> Self {
        if let Self::Connection { history, .. } | Self::Storage { history, .. } = &mut self {
            *history = RetryHistory { attempts, elapsed };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_operation_host_and_attempts() {
        let error = BridgeError::Connection {
            operation: "ping",
            host: "db:8123".to_owned(),
            kind: ConnectionKind::Unreachable,
            history: RetryHistory::default(),
            source: None,
        };
        assert!(error.is_retryable());
        assert_eq!(
            error.with_history(3, Duration::from_millis(1500)).to_string(),
            "ping: the database cannot be reached at db:8123 (3 attempts in 1.5 s)"
        );
    }

    #[test]
    fn only_what_may_pass_by_itself_is_retried() {
        let storage = |kind| BridgeError::Storage {
            operation: "upsert",
            kind,
            message: String::new(),
            history: RetryHistory::default(),
            source: None,
        };
        assert!(storage(StorageKind::Busy).is_retryable());
        for kind in
            [StorageKind::DiskFull, StorageKind::PermissionDenied, StorageKind::Schema, StorageKind::Other]
        {
            assert!(!storage(kind).is_retryable());
        }
    }
}
