//! The last analysis of each session: the answer when neither store nor sources respond.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bridge_core::{EnhancedTokenAnalysis, SessionId, Timestamp};
use moka::future::Cache;
use moka::ops::compute::Op;

use super::capacity;
use crate::cache::ANALYSES_RESPONSES_MAX;
use crate::{CacheGeneration, CacheOptions};

#[derive(Debug, Clone)]
struct Entry {
    analysis: Arc<EnhancedTokenAnalysis>,
    generation: CacheGeneration,
    inserted_at: Timestamp,
}

/// Analyses by session. A later write does not invalidate an analysis: it only becomes older.
#[derive(Debug)]
pub(crate) struct Analyses {
    entries: Cache<SessionId, Entry>,
    ttl: Duration,
    /// Analyses of older generations are neither cached nor served.
    oldest_generation: AtomicU64,
}

impl Analyses {
    pub(crate) fn new(options: &CacheOptions) -> Self {
        // With this minimum weight, `max_entries` entries reach the maximum weight.
        let min_weight = ANALYSES_RESPONSES_MAX.div_ceil(options.max_entries.max(1));
        let weight = move |_: &SessionId, entry: &Entry| {
            let responses = entry.analysis.responses.len() as u64;
            u32::try_from(responses.max(min_weight)).unwrap_or(u32::MAX)
        };
        let capacity = if options.max_entries == 0 { 0 } else { capacity(options, ANALYSES_RESPONSES_MAX) };
        let entries =
            Cache::builder().weigher(weight).max_capacity(capacity).time_to_live(options.ttl).build();
        Self { entries, ttl: options.ttl, oldest_generation: AtomicU64::new(0) }
    }

    /// Inserts an analysis of this generation unless one of a later generation is cached.
    pub(crate) async fn insert(
        &self,
        generation: CacheGeneration,
        analysis: EnhancedTokenAnalysis,
        now: Timestamp,
    ) {
        if self.ttl.is_zero() {
            return;
        }
        let session = analysis.session_id.clone();
        let entry = Entry { analysis: Arc::new(analysis), generation, inserted_at: now };
        let decide = |cached: Option<moka::Entry<SessionId, Entry>>| {
            let is_later = cached.is_some_and(|cached| cached.value().generation > generation);
            std::future::ready(if is_later { Op::Nop } else { Op::Put(entry) })
        };
        self.entries.entry(session).and_compute_with(decide).await;
    }

    /// Removes analyses of generations before this one, including those inserted later.
    pub(crate) fn remove_before(&self, generation: CacheGeneration) {
        self.oldest_generation.fetch_max(generation.0, Ordering::AcqRel);
        self.entries.invalidate_all();
    }

    pub(crate) async fn get(
        &self,
        session: &SessionId,
        now: Timestamp,
    ) -> Option<Arc<EnhancedTokenAnalysis>> {
        let entry = self.entries.get(session).await?;
        let is_current = entry.generation.0 >= self.oldest_generation.load(Ordering::Acquire);
        (is_current && now.saturating_since(entry.inserted_at) < self.ttl).then_some(entry.analysis)
    }
}
