//! The facade on a real engine, for behavior that needs a real table.
//!
//! The binary starts one embedded engine; each test has its own database, named after it. The engine is fetched on
//! first use; without it these tests fail.

mod fallback;
mod fleet;
mod forged;
mod health;
mod hosts;
mod keeping;
mod revision;
mod rollback;
mod rule_cases;
mod sources_gone;
mod streams;
mod table;
mod tampering;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::BridgeBuilder;
use bridge::storage::{ClickHouseOptions, ClickHouseStore, RetryPolicy, TokenStore};

use crate::history;

fn store(url: &str) -> ClickHouseStore {
    ClickHouseStore::new(ClickHouseOptions::from_url(url).unwrap()).unwrap()
}

/// A store with short retry delays, so that failures surface quickly.
pub(crate) fn hasty_store(url: &str) -> ClickHouseStore {
    let delay = Duration::from_millis(10);
    let retry = RetryPolicy { min_delay: delay, max_delay: delay, ..RetryPolicy::default() };
    ClickHouseStore::new(ClickHouseOptions::from_url(url).unwrap().with_retry(retry)).unwrap()
}

pub(crate) fn bridge(store: Arc<dyn TokenStore>, sources: &Path) -> BridgeBuilder {
    crate::builder(store, &[sources])
}
