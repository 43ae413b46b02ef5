//! Maps the client's errors to the bridge's.

use std::time::Duration;

use ::clickhouse::error::Error;
use bridge_core::{BridgeError, ConnectionKind, StorageKind};

use super::answer::ForeignAnswer;
use super::server_code;

/// The longest part of a server's message that is kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// The error of work on tables: the client's, or one of the schema.
#[derive(Debug)]
pub(crate) enum TableError {
    Client(Error),
    Bridge(BridgeError),
}

/// The codes of statements that the user lacks permission for.
const DENIED: [u32; 3] =
    [server_code::READONLY, server_code::DATABASE_ACCESS_DENIED, server_code::ACCESS_DENIED];

/// The codes of rejected credentials.
const REFUSED: [u32; 4] = [
    server_code::UNKNOWN_USER,
    server_code::WRONG_PASSWORD,
    server_code::REQUIRED_PASSWORD,
    server_code::AUTHENTICATION_FAILED,
];

/// The codes of calls that may succeed a moment later.
const BUSY: [u32; 9] = [
    server_code::TOO_MANY_SIMULTANEOUS_QUERIES,
    server_code::ABORTED,
    server_code::MEMORY_LIMIT_EXCEEDED,
    server_code::TABLE_IS_READ_ONLY,
    server_code::TOO_MANY_PARTS,
    server_code::UNKNOWN_STATUS_OF_INSERT,
    server_code::SESSION_IS_LOCKED,
    server_code::QUERY_WAS_CANCELLED,
    server_code::TABLE_UUID_MISMATCH,
];

/// The codes of tables that are not the ones that this version writes.
const OTHER_SCHEMA: [u32; 5] = [
    server_code::NOT_FOUND_COLUMN_IN_BLOCK,
    server_code::NO_SUCH_COLUMN_IN_TABLE,
    server_code::UNKNOWN_IDENTIFIER,
    server_code::UNKNOWN_TABLE,
    server_code::UNKNOWN_DATABASE,
];

impl TableError {
    /// Returns whether the user lacks a permission.
    pub(crate) fn is_denied(&self) -> bool {
        match self {
            Self::Client(Error::BadResponse(text)) => {
                server_code::in_message(text).is_some_and(|code| DENIED.contains(&code))
            }
            Self::Client(_) => false,
            Self::Bridge(error) => {
                matches!(error, BridgeError::Storage { kind: StorageKind::PermissionDenied, .. })
            }
        }
    }
}

impl From<Error> for TableError {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<BridgeError> for TableError {
    fn from(error: BridgeError) -> Self {
        Self::Bridge(error)
    }
}

/// Maps an error of the client to one of the bridge.
pub(crate) fn bridge_error(operation: &'static str, host: &str, error: Error) -> BridgeError {
    if let Some(answer) = ForeignAnswer::in_causes_of(&error) {
        return BridgeError::connection(answer.connection_kind(), operation, host)
            .with_source(answer.clone());
    }
    let (code, message) = match &error {
        Error::BadResponse(text) => (server_code::in_message(text), shortened(text)),
        other => (None, shortened(&other.to_string())),
    };
    let connection = match (&error, code) {
        (Error::Network(_), _) => Some(ConnectionKind::Unreachable),
        (Error::TimedOut, _) | (_, Some(server_code::TIMEOUT_EXCEEDED | server_code::SOCKET_TIMEOUT)) => {
            Some(ConnectionKind::TimedOut)
        }
        (_, Some(code)) if REFUSED.contains(&code) => Some(ConnectionKind::Refused),
        (Error::Unsupported(_) | Error::InvalidParams(_), _) => Some(ConnectionKind::InvalidUrl),
        _ => None,
    };
    if let Some(kind) = connection {
        let connection = BridgeError::connection(kind, operation, host);
        // A refusal's message names the user and nothing else worth keeping.
        return if kind == ConnectionKind::Refused { connection } else { connection.with_source(error) };
    }
    let kind = match code {
        _ if message.contains("No space left on device") => StorageKind::DiskFull,
        _ if matches!(error, Error::SchemaMismatch(_)) => StorageKind::Schema,
        Some(code) => storage_kind(code, &message),
        None => StorageKind::Other,
    };
    BridgeError::storage(kind, operation, message)
}

fn storage_kind(code: u32, message: &str) -> StorageKind {
    match code {
        server_code::NOT_ENOUGH_SPACE => StorageKind::DiskFull,
        code if BUSY.contains(&code) => StorageKind::Busy,
        code if DENIED.contains(&code) => StorageKind::PermissionDenied,
        server_code::VIOLATED_CONSTRAINT => StorageKind::RolledBack,
        server_code::INVALID_CONFIG_PARAMETER => StorageKind::Unsupported,
        server_code::BAD_ARGUMENTS if message.contains("not allowed for backups") => StorageKind::Unsupported,
        code if OTHER_SCHEMA.contains(&code) => StorageKind::Schema,
        _ => StorageKind::Other,
    }
}

/// Returns the error for a call that took longer than `limit`.
pub(crate) fn timed_out(operation: &'static str, host: &str, limit: Duration) -> BridgeError {
    let source = std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {limit:?}"));
    BridgeError::connection(ConnectionKind::TimedOut, operation, host).with_source(source)
}

/// Returns the error for a row that the bridge cannot have written.
pub(crate) fn corrupt(operation: &'static str, message: String) -> BridgeError {
    BridgeError::storage(StorageKind::Corrupt, operation, message)
}

fn shortened(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).collect::<String>().trim().to_owned()
}
