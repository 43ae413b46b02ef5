//! The errors of bridge operations.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use crate::validate::ValidationResult;
use crate::{CorrelationId, Escaped, SessionId, Timestamp};

type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// An error of a bridge operation.
///
/// The message is one clause with the facts; the cause is in [`source`](std::error::Error::source). No message holds
/// a password or conversation text.
///
/// ```
/// use bridge_core::{BridgeError, StorageKind};
///
/// let error = BridgeError::storage(StorageKind::DiskFull, "upsert", "0 bytes are free");
/// assert_eq!(error.to_string(), "upsert: the database's disk is full: 0 bytes are free");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The database cannot be reached or rejects the credentials.
    #[error("{operation}: {kind}{}{host}{context}", kind.before_host())]
    Connection {
        /// The operation that failed.
        operation: &'static str,
        /// Host and port of the database, without credentials. For an invalid URL, the form that is expected.
        host: String,
        /// The reason.
        kind: ConnectionKind,
        /// Attempts made, and the operation they belong to.
        context: Box<ErrorContext>,
        /// The client's error.
        source: Option<Cause>,
    },
    /// The database was reached but did not do what was asked.
    #[error("{operation}: {kind}: {}{context}", Escaped::text(message))]
    Storage {
        /// The operation that failed.
        operation: &'static str,
        /// The reason.
        kind: StorageKind,
        /// The facts, as the database or the bridge states them.
        message: String,
        /// Attempts made, and the operation they belong to.
        context: Box<ErrorContext>,
        /// The client's error.
        source: Option<Cause>,
    },
    /// The analysis breaks a validation rule.
    #[error("the analysis of session {} is not valid: {result}", Escaped::text(session))]
    Validation {
        /// The session that the analysis names.
        session: String,
        /// Every violation.
        result: ValidationResult,
        /// The failed operation.
        context: Box<ErrorContext>,
    },
    /// Neither the store nor any readable source knows the session.
    #[error(
        "session {} is known neither to the store nor to any readable source",
        Escaped::text(session.as_str())
    )]
    UnknownSession {
        /// The session asked for.
        session: SessionId,
        /// The failed operation.
        context: Box<ErrorContext>,
    },
    /// A time range ends before it starts.
    #[error("the time range ends at {end}, before its start at {start}")]
    InvertedRange {
        /// Start of the range.
        start: Timestamp,
        /// End of the range.
        end: Timestamp,
        /// The failed operation.
        context: Box<ErrorContext>,
    },
    /// Lines of a file or stream do not continue where the previous ones ended.
    #[error("{}: lines start at {unit} {offset}, expected at {unit} {expected}", Escaped::path(path))]
    OutOfOrder {
        /// The file, or the name of the stream.
        path: PathBuf,
        /// Offset at which the next lines should start.
        expected: u64,
        /// Offset at which they start.
        offset: u64,
        /// Unit of the offsets.
        unit: PositionUnit,
        /// The failed operation.
        context: Box<ErrorContext>,
    },
    /// A file or folder could not be read.
    #[error("{} cannot be read", Escaped::path(path))]
    Source {
        /// The file or folder.
        path: PathBuf,
        /// The failed operation.
        context: Box<ErrorContext>,
        /// The I/O error.
        source: Option<Cause>,
    },
    /// A historical backfill stopped.
    #[error("backfill: {}", Escaped::text(message))]
    Backfill {
        /// Progress up to the failure.
        message: String,
        /// The failed operation.
        context: Box<ErrorContext>,
        /// The failure.
        source: Option<Cause>,
    },
    /// A backup cannot be written, or is incomplete or modified, in which case none of it was imported.
    #[error("the backup at {}: {}", Escaped::path(path), Escaped::text(message))]
    Backup {
        /// The folder, or the file in it that is wrong.
        path: PathBuf,
        /// The defect.
        message: String,
        /// The failed operation.
        context: Box<ErrorContext>,
        /// The cause.
        source: Option<Cause>,
    },
    /// An earlier failure ended the batch before this item was reached.
    #[error("not attempted")]
    NotAttempted {
        /// The failed operation.
        context: Box<ErrorContext>,
    },
    /// A background task panicked.
    #[error("{task} panicked")]
    Panicked {
        /// The task.
        task: &'static str,
        /// The failed operation.
        context: Box<ErrorContext>,
    },
}

/// The unit of the offsets of a [`BridgeError::OutOfOrder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PositionUnit {
    /// Bytes of a file or stream.
    #[error("byte")]
    Byte,
    /// Entries of a session, counted from 0.
    #[error("entry")]
    Entry,
}

/// The reason for a [`BridgeError::Connection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionKind {
    /// No answer from the address, or a broken connection.
    #[error("the database cannot be reached")]
    Unreachable,
    /// No answer in time.
    #[error("the database does not answer in time")]
    TimedOut,
    /// Wrong user or password.
    #[error("the database rejects the user or password")]
    Refused,
    /// The URL cannot be parsed.
    #[error("the database's URL is invalid")]
    InvalidUrl,
    /// A connection setting is invalid: a name, a certificate, a file that cannot be read.
    #[error("the connection settings are invalid")]
    Misconfigured,
    /// No connection of the pool became free in time.
    #[error("no connection became free in time")]
    PoolExhausted,
    /// The circuit breaker is open after repeated failures.
    #[error("the circuit breaker is open")]
    CircuitOpen,
}

impl ConnectionKind {
    /// Returns the text between the reason and the host in a message.
    fn before_host(self) -> &'static str {
        if self == Self::InvalidUrl { ": " } else { " at " }
    }
}

/// The reason for a [`BridgeError::Storage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageKind {
    /// The database is overloaded, out of memory or shutting down; a retry may succeed.
    #[error("the database is busy")]
    Busy,
    /// The disk is full.
    #[error("the database's disk is full")]
    DiskFull,
    /// The user lacks a permission.
    #[error("the database user lacks a permission")]
    PermissionDenied,
    /// The schema is not the one that this version writes.
    #[error("the database's schema does not match")]
    Schema,
    /// The stored data cannot have been written by the bridge.
    #[error("stored data is unreadable")]
    Corrupt,
    /// The store was rolled back to a checkpoint: operations of an older epoch may no longer write, and nothing is
    /// stored until the store is resumed.
    #[error("the store was rolled back")]
    RolledBack,
    /// No checkpoint has this name, or the name is taken.
    #[error("the checkpoint cannot be used")]
    Checkpoint,
    /// No price list with the digest that the caller names was ever put in use.
    #[error("the price list is not stored")]
    UnknownPrices,
    /// The store lacks the capability, or the database's configuration does not allow it.
    #[error("the store does not support the operation")]
    Unsupported,
    /// A store of an embedder denies the operation by a rule of its own, a quota for instance. The message states the
    /// rule; the HTTP API passes it on to the caller, so it names nothing that the caller may not know.
    #[error("the store denies the operation")]
    Denied,
    /// The database reports another error.
    #[error("the database reports an error")]
    Other,
}

/// The circumstances of an error: the operation it ended, and the attempts made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorContext {
    /// Number of attempts; 0 if a retry is useless.
    pub attempts: u32,
    /// Time from the first attempt to the last.
    pub elapsed: Duration,
    /// The session that the operation was about.
    pub session: Option<SessionId>,
    /// The operation, as logs, audit trail and the database's query log name it.
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

/// Names the context of an error, by reference or by mutable reference.
macro_rules! context_of {
    ($error:expr) => {
        match $error {
            Self::Connection { context, .. }
            | Self::Storage { context, .. }
            | Self::Validation { context, .. }
            | Self::UnknownSession { context, .. }
            | Self::InvertedRange { context, .. }
            | Self::OutOfOrder { context, .. }
            | Self::Source { context, .. }
            | Self::Backfill { context, .. }
            | Self::Backup { context, .. }
            | Self::NotAttempted { context }
            | Self::Panicked { context, .. } => context,
        }
    };
}

/// Constructors. Each returns an error without cause and context; see [`with_source`](Self::with_source),
/// [`with_history`](Self::with_history) and [`with_correlation`](Self::with_correlation).
impl BridgeError {
    /// Returns a [`Connection`](Self::Connection) error.
    #[must_use]
    pub fn connection(kind: ConnectionKind, operation: &'static str, host: impl Into<String>) -> Self {
        Self::Connection { operation, host: host.into(), kind, context: Box::default(), source: None }
    }

    /// Returns a [`Storage`](Self::Storage) error.
    #[must_use]
    pub fn storage(kind: StorageKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self::Storage { operation, kind, message: message.into(), context: Box::default(), source: None }
    }

    /// Returns a [`Validation`](Self::Validation) error.
    #[must_use]
    pub fn validation(session: impl Into<String>, result: ValidationResult) -> Self {
        Self::Validation { session: session.into(), result, context: Box::default() }
    }

    /// Returns an [`UnknownSession`](Self::UnknownSession) error.
    #[must_use]
    pub fn unknown_session(session: SessionId) -> Self {
        Self::UnknownSession { session, context: Box::default() }
    }

    /// Returns an [`InvertedRange`](Self::InvertedRange) error.
    #[must_use]
    pub fn inverted_range(start: Timestamp, end: Timestamp) -> Self {
        Self::InvertedRange { start, end, context: Box::default() }
    }

    /// Returns an [`OutOfOrder`](Self::OutOfOrder) error.
    #[must_use]
    pub fn out_of_order(path: impl Into<PathBuf>, unit: PositionUnit, expected: u64, offset: u64) -> Self {
        Self::OutOfOrder { path: path.into(), expected, offset, unit, context: Box::default() }
    }

    /// Returns a [`Source`](Self::Source) error: the file or folder cannot be read.
    #[must_use]
    pub fn unreadable(path: impl Into<PathBuf>, cause: impl Into<Cause>) -> Self {
        Self::Source { path: path.into(), context: Box::default(), source: Some(cause.into()) }
    }

    /// Returns a [`Backfill`](Self::Backfill) error.
    #[must_use]
    pub fn backfill(message: impl Into<String>) -> Self {
        Self::Backfill { message: message.into(), context: Box::default(), source: None }
    }

    /// Returns a [`Backup`](Self::Backup) error.
    #[must_use]
    pub fn backup(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Backup { path: path.into(), message: message.into(), context: Box::default(), source: None }
    }

    /// Returns a [`NotAttempted`](Self::NotAttempted) error.
    #[must_use]
    pub fn not_attempted() -> Self {
        Self::NotAttempted { context: Box::default() }
    }

    /// Returns a [`Panicked`](Self::Panicked) error.
    #[must_use]
    pub fn panicked(task: &'static str) -> Self {
        Self::Panicked { task, context: Box::default() }
    }

    /// Returns the error with its cause, if its kind has one.
    #[must_use]
    pub fn with_source(mut self, cause: impl Into<Cause>) -> Self {
        if let Self::Connection { source, .. }
        | Self::Storage { source, .. }
        | Self::Source { source, .. }
        | Self::Backfill { source, .. }
        | Self::Backup { source, .. } = &mut self
        {
            *source = Some(cause.into());
        }
        self
    }

    /// Returns the error with the attempts that were made.
    #[must_use]
    pub fn with_history(mut self, attempts: u32, elapsed: Duration) -> Self {
        let context = self.context_mut();
        context.attempts = attempts;
        context.elapsed = elapsed;
        self
    }

    /// Returns the error with the operation that it ended.
    #[must_use]
    pub fn with_correlation(mut self, id: CorrelationId, session: Option<&SessionId>) -> Self {
        let context = self.context_mut();
        context.correlation_id = Some(id);
        if let Some(session) = session {
            context.session = Some(session.clone());
        }
        self
    }
}

impl BridgeError {
    /// Returns whether a retry of the same operation may succeed. A backfill is as retryable as its cause.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connection { kind, .. } => matches!(
                kind,
                ConnectionKind::Unreachable
                    | ConnectionKind::TimedOut
                    | ConnectionKind::PoolExhausted
                    | ConnectionKind::CircuitOpen
            ),
            Self::Storage { kind, .. } => *kind == StorageKind::Busy,
            Self::Backfill { source: Some(cause), .. } => {
                cause.downcast_ref::<Self>().is_some_and(Self::is_retryable)
            }
            _ => false,
        }
    }

    /// Returns the circumstances of the error.
    #[must_use]
    pub fn context(&self) -> &ErrorContext {
        context_of!(self)
    }

    /// Returns the circumstances of the error, to be filled in by the layer that knows them.
    #[must_use]
    pub fn context_mut(&mut self) -> &mut ErrorContext {
        context_of!(self)
    }

    /// All words that [`kind`](Self::kind) returns.
    pub const KINDS: [&'static str; 26] = [
        "unreachable",
        "timed_out",
        "refused",
        "invalid_url",
        "misconfigured",
        "pool_exhausted",
        "circuit_open",
        "busy",
        "disk_full",
        "permission_denied",
        "schema",
        "corrupt",
        "rolled_back",
        "checkpoint",
        "unsupported",
        "denied",
        "storage",
        "validation",
        "unknown_session",
        "inverted_range",
        "out_of_order",
        "source",
        "backfill",
        "backup",
        "not_attempted",
        "panicked",
    ];

    /// Returns a stable word for the error, for metrics and the audit trail.
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
                StorageKind::UnknownPrices => "unknown_prices",
                StorageKind::Unsupported => "unsupported",
                StorageKind::Denied => "denied",
                StorageKind::Other => "storage",
            },
            Self::Validation { .. } => "validation",
            Self::UnknownSession { .. } => "unknown_session",
            Self::InvertedRange { .. } => "inverted_range",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::Source { .. } => "source",
            Self::Backfill { .. } => "backfill",
            Self::Backup { .. } => "backup",
            Self::NotAttempted { .. } => "not_attempted",
            Self::Panicked { .. } => "panicked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_operation_host_and_attempts() {
        let error = BridgeError::connection(ConnectionKind::Unreachable, "ping", "db:8123");
        assert!(error.is_retryable());
        assert_eq!(
            error.with_history(3, Duration::from_millis(1500)).to_string(),
            "ping: the database cannot be reached at db:8123 (3 attempts in 1.5 s)"
        );
    }

    #[test]
    fn only_transient_storage_errors_are_retryable() {
        let is_retryable = |kind| BridgeError::storage(kind, "upsert", "").is_retryable();
        assert!(is_retryable(StorageKind::Busy));
        for kind in
            [StorageKind::DiskFull, StorageKind::PermissionDenied, StorageKind::Denied, StorageKind::Other]
        {
            assert!(!is_retryable(kind), "{kind}");
        }
    }

    #[test]
    fn open_circuit_is_retryable() {
        let is_retryable = |kind| BridgeError::connection(kind, "upsert", "").is_retryable();
        assert!(is_retryable(ConnectionKind::CircuitOpen));
        assert!(!is_retryable(ConnectionKind::Refused));
    }

    #[test]
    fn backfill_is_as_retryable_as_its_cause() {
        let backfill = || BridgeError::backfill("stopped");
        let stopped_by = |kind| backfill().with_source(BridgeError::connection(kind, "upsert", ""));
        assert!(stopped_by(ConnectionKind::Unreachable).is_retryable());
        assert!(!stopped_by(ConnectionKind::Refused).is_retryable());
        assert!(!backfill().with_source("the task died").is_retryable());
        assert!(!backfill().is_retryable());
    }
}
