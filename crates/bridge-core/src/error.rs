//! The errors of bridge operations.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use crate::validate::ValidationResult;
use crate::{CorrelationId, SessionId, Shown, Timestamp};

type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// An error of a bridge operation.
///
/// The message is one clause with the facts; what caused it is in [`source`](std::error::Error::source).
/// No message holds a password or a text of a conversation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The database cannot be reached or refuses the credentials.
    #[error("{operation}: {kind} at {host}{context}")]
    Connection {
        /// What was being done.
        operation: &'static str,
        /// The database's host and port, without credentials.
        host: String,
        /// What is wrong.
        kind: ConnectionKind,
        /// The attempts made, and for whom.
        context: Box<ErrorContext>,
        /// The client's error.
        source: Option<Cause>,
    },
    /// The database was reached and did not do what was asked.
    #[error("{operation}: {kind}: {}{context}", Shown::text(message))]
    Storage {
        /// What was being done.
        operation: &'static str,
        /// What is wrong.
        kind: StorageKind,
        /// The facts, as the database or the bridge states them.
        message: String,
        /// The attempts made, and for whom.
        context: Box<ErrorContext>,
        /// The client's error.
        source: Option<Cause>,
    },
    /// The data is not what may be stored.
    #[error("the analysis of session {} is not valid: {result}", Shown::text(session))]
    Validation {
        /// The session that the analysis names.
        session: String,
        /// Every violation.
        result: ValidationResult,
        /// For whom it was validated.
        context: Box<ErrorContext>,
    },
    /// Neither the store nor any source that could be read knows the session.
    #[error(
        "session {} is known neither to the store nor to any source that can be read",
        Shown::text(session.as_str())
    )]
    UnknownSession {
        /// The session asked for.
        session: SessionId,
        /// Who asked.
        context: Box<ErrorContext>,
    },
    /// A range of time ends before it starts.
    #[error("the range of time ends at {end}, before its start at {start}")]
    InvertedRange {
        /// Where it starts.
        start: Timestamp,
        /// Where it ends.
        end: Timestamp,
        /// Who asked.
        context: Box<ErrorContext>,
    },
    /// Lines of a file do not follow on those that came before.
    #[error(
        "{}: lines from byte {offset} on, where those from byte {expected} on were to come",
        Shown::path(path)
    )]
    OutOfOrder {
        /// The file.
        path: PathBuf,
        /// Where the next lines should begin.
        expected: u64,
        /// Where they do.
        offset: u64,
        /// For whom they were read.
        context: Box<ErrorContext>,
    },
    /// A file or folder could not be read.
    #[error("{} cannot be read", Shown::path(path))]
    Source {
        /// The file or folder.
        path: PathBuf,
        /// For whom it was read.
        context: Box<ErrorContext>,
        /// Why.
        source: Option<Cause>,
    },
    /// A historical backfill could not be carried through.
    #[error("backfill: {}", Shown::text(message))]
    Backfill {
        /// What could not be done.
        message: String,
        /// For whom it was done.
        context: Box<ErrorContext>,
        /// Why.
        source: Option<Cause>,
    },
    /// A backup cannot be written, or is not one that can be taken in; then nothing of it was.
    #[error("the backup at {}: {}", Shown::path(path), Shown::text(message))]
    Backup {
        /// The folder, or the file of it that is meant.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// For whom it was done.
        context: Box<ErrorContext>,
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
    /// The database was away a moment ago and is not asked again before a while.
    #[error("the database is given time to come back")]
    CircuitOpen,
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
    /// The store was rolled back to a checkpoint: what began before may not write any more, and nothing is stored
    /// until it is resumed.
    #[error("the store was rolled back")]
    RolledBack,
    /// No checkpoint has this name, or it is taken.
    #[error("the checkpoint cannot be used")]
    Checkpoint,
    /// The database does not offer this, or its configuration does not allow it.
    #[error("the database does not allow it")]
    Unsupported,
    /// The database reports another error.
    #[error("the database reports an error")]
    Other,
}

/// The circumstances of an error: for whom, how often it was tried, over which time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorContext {
    /// How often it was tried. 0 where trying again is of no use.
    pub attempts: u32,
    /// Over which time.
    pub elapsed: Duration,
    /// The session that the operation was about.
    pub session: Option<SessionId>,
    /// The operation, as logs, audit and the database's log of queries name it.
    pub correlation_id: Option<CorrelationId>,
}

impl std::fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.attempts < 2 {
            return Ok(());
        }
        write!(f, " ({} attempts in {:.1} s)", self.attempts, self.elapsed.as_secs_f64())
    }
}

impl BridgeError {
    /// Whether the same operation may succeed when it is tried again; a backfill, where what stopped it may pass.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connection { kind, .. } => {
                matches!(
                    kind,
                    ConnectionKind::Unreachable
                        | ConnectionKind::TimedOut
                        | ConnectionKind::PoolExhausted
                        | ConnectionKind::CircuitOpen
                )
            }
            Self::Storage { kind, .. } => *kind == StorageKind::Busy,
            Self::Backfill { source: Some(cause), .. } => {
                cause.downcast_ref::<Self>().is_some_and(Self::is_retryable)
            }
            Self::Validation { .. }
            | Self::UnknownSession { .. }
            | Self::InvertedRange { .. }
            | Self::OutOfOrder { .. }
            | Self::Source { .. }
            | Self::Backup { .. }
            | Self::Backfill { source: None, .. } => false,
        }
    }

    /// The circumstances of the error.
    #[must_use]
    pub fn context(&self) -> &ErrorContext {
        match self {
            Self::Connection { context, .. }
            | Self::Storage { context, .. }
            | Self::Validation { context, .. }
            | Self::UnknownSession { context, .. }
            | Self::InvertedRange { context, .. }
            | Self::OutOfOrder { context, .. }
            | Self::Source { context, .. }
            | Self::Backup { context, .. }
            | Self::Backfill { context, .. } => context,
        }
    }

    /// The circumstances of the error, to be filled in by the layer that knows them.
    #[must_use]
    pub fn context_mut(&mut self) -> &mut ErrorContext {
        match self {
            Self::Connection { context, .. }
            | Self::Storage { context, .. }
            | Self::Validation { context, .. }
            | Self::UnknownSession { context, .. }
            | Self::InvertedRange { context, .. }
            | Self::OutOfOrder { context, .. }
            | Self::Source { context, .. }
            | Self::Backup { context, .. }
            | Self::Backfill { context, .. } => context,
        }
    }

    /// The same error with the attempts that were made.
    #[must_use]
    pub fn with_history(mut self, attempts: u32, elapsed: Duration) -> Self {
        let context = self.context_mut();
        (context.attempts, context.elapsed) = (attempts, elapsed);
        self
    }

    /// The same error with the operation that it ended.
    #[must_use]
    pub fn with_correlation(mut self, id: CorrelationId, session: Option<&SessionId>) -> Self {
        let context = self.context_mut();
        context.correlation_id = Some(id);
        if let Some(session) = session {
            context.session = Some(session.clone());
        }
        self
    }

    /// What is wrong, in a word that stays the same: for metrics and audit.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connection { kind, .. } => match kind {
                ConnectionKind::Unreachable => "unreachable",
                ConnectionKind::TimedOut => "timed_out",
                ConnectionKind::Refused => "refused",
                ConnectionKind::InvalidUrl => "invalid_url",
                ConnectionKind::Misconfigured => "misconfigured",
                ConnectionKind::PoolExhausted => "pool_exhausted",
                ConnectionKind::CircuitOpen => "circuit_open",
            },
            Self::Storage { kind, .. } => match kind {
                StorageKind::Busy => "busy",
                StorageKind::DiskFull => "disk_full",
                StorageKind::PermissionDenied => "permission_denied",
                StorageKind::Schema => "schema",
                StorageKind::Corrupt => "corrupt",
                StorageKind::RolledBack => "rolled_back",
                StorageKind::Checkpoint => "checkpoint",
                StorageKind::Unsupported => "unsupported",
                StorageKind::Other => "storage",
            },
            Self::Validation { .. } => "validation",
            Self::UnknownSession { .. } => "unknown_session",
            Self::InvertedRange { .. } => "inverted_range",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::Source { .. } => "source",
            Self::Backfill { .. } => "backfill",
            Self::Backup { .. } => "backup",
        }
    }

    /// What an operator can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Connection { kind, .. } => match kind {
                ConnectionKind::Unreachable => {
                    "check that the database runs and that host, port and firewall fit"
                }
                ConnectionKind::TimedOut => {
                    "check the database's load, or raise clickhouse.operation_timeout"
                }
                ConnectionKind::Refused => "check clickhouse.user and its password or password file",
                ConnectionKind::InvalidUrl => "give clickhouse.url as http://HOST:PORT or https://HOST:PORT",
                ConnectionKind::Misconfigured => "correct the setting that the cause names",
                ConnectionKind::PoolExhausted => {
                    "raise clickhouse.connection_pool_size, or run fewer operations at once"
                }
                ConnectionKind::CircuitOpen => "bring the database back; the circuit closes by itself",
            },
            Self::Storage { kind, .. } => match kind {
                StorageKind::Busy => "try again later, or give the database more memory",
                StorageKind::DiskFull => {
                    "free space on the database's disk; nothing that was acknowledged is lost"
                }
                StorageKind::PermissionDenied => {
                    "grant the user the role of the operation (see the roles' SQL)"
                }
                StorageKind::Schema => "run the version of the bridge that wrote the tables, or a newer one",
                StorageKind::Corrupt => "run verify_data_integrity with repair",
                StorageKind::RolledBack => "look at the audit for the reason, then resume and ingest again",
                StorageKind::Checkpoint => "list the checkpoints and take one of their names, or a new one",
                StorageKind::Unsupported => {
                    "see the message for the setting of the server that would allow it"
                }
                StorageKind::Other => "look the message up in the database's log by the correlation id",
            },
            Self::Validation { .. } => "correct the analysis; nothing of it was stored",
            Self::UnknownSession { .. } => {
                "check the session id, the sources and that the store holds its history"
            }
            Self::InvertedRange { .. } => "swap the start and the end",
            Self::OutOfOrder { .. } => "hand over the lines from the expected offset on",
            Self::Source { .. } => "check that the file is there and may be read",
            Self::Backup { .. } => "take a whole backup, and a folder of its own with space enough",
            Self::Backfill { .. } => "see the cause, then run it again: it goes on where it ended",
        }
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
            context: Box::default(),
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
            context: Box::default(),
            source: None,
        };
        assert!(storage(StorageKind::Busy).is_retryable());
        for kind in
            [StorageKind::DiskFull, StorageKind::PermissionDenied, StorageKind::Schema, StorageKind::Other]
        {
            assert!(!storage(kind).is_retryable());
        }
    }

    fn connection(kind: ConnectionKind) -> BridgeError {
        let (context, host) = (Box::default(), String::new());
        BridgeError::Connection { operation: "upsert", host, kind, context, source: None }
    }

    #[test]
    fn who_is_refused_by_the_circuit_may_come_again() {
        assert!(connection(ConnectionKind::CircuitOpen).is_retryable());
        assert!(!connection(ConnectionKind::Refused).is_retryable());
    }

    #[test]
    fn a_backfill_may_pass_where_its_cause_may() {
        let backfill = |source| {
            let (context, message) = (Box::default(), String::new());
            BridgeError::Backfill { message, context, source }
        };
        let stopped_by = |kind| backfill(Some(Box::new(connection(kind))));
        assert!(stopped_by(ConnectionKind::Unreachable).is_retryable());
        assert!(!stopped_by(ConnectionKind::Refused).is_retryable());
        assert!(!backfill(Some("the task died".into())).is_retryable());
        assert!(!backfill(None).is_retryable());
    }
}
