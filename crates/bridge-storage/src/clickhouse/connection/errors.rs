//! Maps the client's errors to the bridge's.

use std::time::Duration;

use ::clickhouse::error::Error;
use bridge_core::{BridgeError, ConnectionKind, StorageKind};

use super::answer::ForeignAnswer;

/// The longest part of a server's message that is kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// The error of work on tables: the client's, or one of the schema.
#[derive(Debug)]
pub(crate) enum TableError {
    Client(Error),
    Bridge(BridgeError),
}

/// Error codes of statements that the user lacks permission for.
const DENIED: [u32; 3] = [164, 291, 497];

impl TableError {
    /// Returns whether the user lacks a permission.
    pub(crate) fn is_denied(&self) -> bool {
        match self {
            Self::Client(Error::BadResponse(text)) => {
                server_code(text).is_some_and(|code| DENIED.contains(&code))
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
        Error::BadResponse(text) => (server_code(text), shortened(text)),
        other => (None, shortened(&other.to_string())),
    };
    let connection = match (&error, code) {
        (Error::Network(_), _) => Some(ConnectionKind::Unreachable),
        (Error::TimedOut, _) | (_, Some(159 | 209)) => Some(ConnectionKind::TimedOut),
        (_, Some(192 | 193 | 194 | 516)) => Some(ConnectionKind::Refused),
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
        Some(243) => StorageKind::DiskFull,
        // 373: a session's last call is just ending. 741: a table was exchanged between two resolutions of its name.
        Some(202 | 236 | 241 | 242 | 252 | 319 | 373 | 394 | 741) => StorageKind::Busy,
        Some(code) if DENIED.contains(&code) => StorageKind::PermissionDenied,
        Some(469) => StorageKind::RolledBack,
        Some(318) => StorageKind::Unsupported,
        Some(36) if message.contains("not allowed for backups") => StorageKind::Unsupported,
        Some(10 | 16 | 47 | 60 | 81) => StorageKind::Schema,
        Some(_) => StorageKind::Other,
        None if matches!(error, Error::SchemaMismatch(_)) => StorageKind::Schema,
        None => StorageKind::Other,
    };
    BridgeError::storage(kind, operation, message)
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

/// Returns the number in `Code: N.`.
pub(crate) fn server_code(text: &str) -> Option<u32> {
    let digits = text.split("Code: ").nth(1)?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn shortened(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).collect::<String>().trim().to_owned()
}
