//! In-memory cache for frequently read token summaries, on `moka`: entries live for a limited time, and
//! only so many of them.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! use bridge_cache::{BridgeCache, CacheOptions, SummaryQuery};
//!
//! let cache = BridgeCache::new(&CacheOptions::default());
//! let query = SummaryQuery { sessions: None, days: 7, include_metadata: false };
//! let slot = cache.slot(query);
//! assert!(cache.get(&slot).await.is_none());
//! cache.put(slot.clone(), Vec::new()).await;
//! assert!(cache.get(&slot).await.is_some());
//!
//! // A write makes everything read before it stale, also what is still on its way.
//! cache.invalidate();
//! cache.put(slot.clone(), Vec::new()).await;
//! assert!(cache.get(&cache.slot(slot.query().clone())).await.is_none());
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bridge_core::{SessionId, TokenSummaryRecord};
use moka::future::Cache;

/// Limits of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheOptions {
    /// How long an entry is served. 0 turns the cache off.
    pub ttl: Duration,
    /// How many entries are kept.
    pub max_entries: u64,
}

impl Default for CacheOptions {
    /// Ten minutes and a thousand entries.
    fn default() -> Self {
        Self { ttl: Duration::from_mins(10), max_entries: 1000 }
    }
}

/// What was asked of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SummaryQuery {
    /// Only these sessions.
    pub sessions: Option<Vec<SessionId>>,
    /// Sessions active in so many last days.
    pub days: u32,
    /// With metadata or without.
    pub include_metadata: bool,
}

/// A place in the cache: a query at one state of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    generation: u64,
    query: SummaryQuery,
}

impl Slot {
    /// The query.
    #[must_use]
    pub fn query(&self) -> &SummaryQuery {
        &self.query
    }
}

/// How often the cache could answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Answers out of the cache.
    pub hits: u64,
    /// Questions that went on to the store.
    pub misses: u64,
}

/// In-memory cache of token summaries. Never serves what a write of this program has made stale: entries
/// belong to a generation, taken before the store is asked, and a write begins a new one.
#[derive(Debug)]
pub struct BridgeCache {
    entries: Cache<Slot, Arc<Vec<TokenSummaryRecord>>>,
    generation: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl BridgeCache {
    /// An empty cache with these limits.
    #[must_use]
    pub fn new(options: &CacheOptions) -> Self {
        let capacity = if options.ttl.is_zero() { 0 } else { options.max_entries };
        Self {
            entries: Cache::builder().max_capacity(capacity).time_to_live(options.ttl).build(),
            generation: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The place of a query's answer. Take it before asking the store.
    pub fn slot(&self, query: SummaryQuery) -> Slot {
        Slot { generation: self.generation.load(Ordering::Acquire), query }
    }

    /// The answer, if there is one that is not stale.
    pub async fn get(&self, slot: &Slot) -> Option<Arc<Vec<TokenSummaryRecord>>> {
        let found = self.entries.get(slot).await;
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps an answer of the store.
    pub async fn put(&self, slot: Slot, summaries: Vec<TokenSummaryRecord>) -> Arc<Vec<TokenSummaryRecord>> {
        let summaries = Arc::new(summaries);
        self.entries.insert(slot, Arc::clone(&summaries)).await;
        summaries
    }

    /// Makes everything stale that was read so far. Called before and after a write.
    pub fn invalidate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.entries.invalidate_all();
    }

    /// How often the cache could answer.
    #[must_use]
    pub fn figures(&self) -> CacheFigures {
        CacheFigures { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed) }
    }
}
