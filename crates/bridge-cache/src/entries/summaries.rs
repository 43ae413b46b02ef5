//! Summaries by query.

use std::sync::Arc;
use std::time::Duration;

use bridge_core::{Timestamp, TokenSummaryRecord};
use moka::future::Cache;

use super::capacity;
use crate::{CacheKey, CacheOptions};

#[derive(Debug, Clone)]
struct Entry {
    summaries: Arc<Vec<TokenSummaryRecord>>,
    inserted_at: Timestamp,
}

/// Summaries by query and generation.
#[derive(Debug)]
pub(crate) struct Summaries {
    entries: Cache<CacheKey, Entry>,
    ttl: Duration,
}

impl Summaries {
    pub(crate) fn new(options: &CacheOptions) -> Self {
        let entries = Cache::builder()
            .max_capacity(capacity(options, options.max_entries))
            .time_to_live(options.ttl)
            .build();
        Self { entries, ttl: options.ttl }
    }

    pub(crate) async fn get(&self, key: &CacheKey, now: Timestamp) -> Option<Arc<Vec<TokenSummaryRecord>>> {
        let entry = self.entries.get(key).await?;
        (now.saturating_since(entry.inserted_at) < self.ttl).then_some(entry.summaries)
    }

    pub(crate) async fn insert(
        &self,
        key: CacheKey,
        summaries: Arc<Vec<TokenSummaryRecord>>,
        inserted_at: Timestamp,
    ) {
        if !self.ttl.is_zero() {
            self.entries.insert(key, Entry { summaries, inserted_at }).await;
        }
    }

    pub(crate) fn clear(&self) {
        self.entries.invalidate_all();
    }
}
