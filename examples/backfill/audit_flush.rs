//! Flushing the audit before a program exits.

use std::time::Duration;

use bridge::{EnhancedTokenDatabaseBridge, Escaped};

/// Maximum time to wait for the database.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Flushes the audit, also after an interruption: its record says how far the operation got.
pub(crate) async fn flush_before_exit(bridge: &EnhancedTokenDatabaseBridge) {
    if let Err(incomplete) = bridge.shutdown().within(FLUSH_TIMEOUT).await {
        eprintln!("warning: {}", Escaped::text(&incomplete.to_string()));
    }
}
