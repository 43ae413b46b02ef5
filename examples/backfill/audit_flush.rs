//! Flushing the audit before a program exits.

use std::time::Duration;

use bridge::{EnhancedTokenDatabaseBridge, Escaped};

/// Maximum time to wait for the database.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Flushes the audit, also after an interruption: its record says how far the operation got.
pub(crate) async fn flush_before_exit(bridge: &EnhancedTokenDatabaseBridge) {
    match tokio::time::timeout(FLUSH_TIMEOUT, bridge.shutdown()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            eprintln!("warning: the audit is incomplete: {}", Escaped::text(&error.to_string()));
        }
        Err(_) => eprintln!("warning: the audit is incomplete: the database did not respond in time"),
    }
}
