//! What is written down before a program ends.

use std::time::Duration;

use bridge::{EnhancedTokenDatabaseBridge, Escaped};

/// So long the database may take for it.
const FAREWELL: Duration = Duration::from_secs(5);

/// Has the audit written, also after an interruption: its record says how far the operation came.
pub(crate) async fn say_goodbye(bridge: &EnhancedTokenDatabaseBridge) {
    match tokio::time::timeout(FAREWELL, bridge.shutdown()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            eprintln!("warning: the audit is not complete: {}", Escaped::text(&error.to_string()));
        }
        Err(_) => eprintln!("warning: the audit is not complete: the database did not answer in time"),
    }
}
