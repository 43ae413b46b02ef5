//! Advice for operators.

use bridge_core::{BridgeError, ConnectionKind, StorageKind};

/// Returns what an operator can do about an error, in terms of this crate's configuration.
#[must_use]
pub fn advice(error: &BridgeError) -> &'static str {
    match error {
        BridgeError::Connection { kind, .. } => match kind {
            ConnectionKind::Unreachable => {
                "check that the database is running, and check host, port and firewall"
            }
            ConnectionKind::TimedOut => "check the database's load, or raise clickhouse.operation_timeout",
            ConnectionKind::Refused => {
                "check clickhouse.user and its password, or the access token, and the files that hold them"
            }
            ConnectionKind::InvalidUrl => "set clickhouse.url to http://HOST:PORT or https://HOST:PORT",
            ConnectionKind::PoolExhausted => {
                "raise clickhouse.connection_pool_size, or run fewer operations concurrently"
            }
            ConnectionKind::CircuitOpen => "restore the database; the circuit breaker closes automatically",
            _ => "correct the setting that the cause names",
        },
        BridgeError::Storage { kind, .. } => match kind {
            StorageKind::Busy => "try again later, or give the database more memory",
            StorageKind::DiskFull => {
                "free space on the database's disk; nothing that was acknowledged is lost"
            }
            StorageKind::PermissionDenied => {
                "grant the user the role of the operation; `cargo run --example schema -- --roles` prints tables and roles as SQL"
            }
            StorageKind::Schema => "run the version of the bridge that wrote the tables, or a newer one",
            StorageKind::Corrupt => "run verify_data_integrity with repair",
            StorageKind::RolledBack => "read the reason in the audit trail, then resume and ingest again",
            StorageKind::Checkpoint => "list the checkpoints and use one of their names, or a new one",
            StorageKind::UnknownPrices => "use the digest from an answer, or of a price list that was active",
            StorageKind::Unsupported => "see the message for the setting of the server that would allow it",
            StorageKind::Denied => "see the message for the rule of the store",
            _ => "search the database's log for the correlation id",
        },
        BridgeError::Validation { .. } => "correct the analysis; nothing of it was stored",
        BridgeError::UnknownSession { .. } => "check the session id, the sources and the store",
        BridgeError::InvertedRange { .. } => "swap the start and the end",
        BridgeError::OutOfOrder { .. } => "pass the lines from the expected offset",
        BridgeError::Source { .. } => "check that the file exists and is readable",
        BridgeError::Backup { .. } => "use a complete backup, and an empty folder with enough space",
        BridgeError::Backfill { .. } => "see the cause, then run it again: it continues where it stopped",
        BridgeError::NotAttempted { .. } => "see the error that ended the batch, then store the rest again",
        _ => "report it with the log: it is a bug",
    }
}
