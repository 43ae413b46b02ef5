//! The cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_core::{Clock, EnhancedTokenAnalysis, Epoch, SessionId, SystemClock, TokenSummaryRecord};

use crate::CacheStats;
use crate::entries::{Analyses, Summaries};
use crate::stats::Counters;

/// Maximum number of responses (some 300 bytes each) in all cached analyses together.
pub const ANALYSES_RESPONSES_MAX: u64 = 100_000;

/// Limits of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// Time to live of an entry; 0 turns the cache off.
    pub ttl: Duration,
    /// Maximum number of entries, for summaries and analyses each.
    pub max_entries: u64,
}

impl Default for CacheOptions {
    /// Returns ten minutes and a thousand entries.
    fn default() -> Self {
        Self { ttl: Duration::from_mins(10), max_entries: 1000 }
    }
}

impl CacheOptions {
    /// Returns the options with this time to live; 0 turns the cache off.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Returns the options with this maximum number of entries.
    #[must_use]
    pub fn with_max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }
}

/// State of the store between two writes of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheGeneration(pub(crate) u64);

/// A query for token summaries.
///
/// The default is all sessions that were active in the last 7 days, without metadata and costs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SummaryQuery {
    /// Sessions asked for; `None` for all.
    pub sessions: Option<Vec<SessionId>>,
    /// Number of days back in which a session must be active.
    pub days: u32,
    /// Includes metadata in the summaries.
    pub include_metadata: bool,
    /// Includes the costs of the sessions, if the store has a price list.
    pub include_cost: bool,
    /// Only sessions whose id is after this one by its bytes: the last session of the previous page.
    pub after: Option<SessionId>,
    /// The maximum number of summaries; `None` for all.
    pub limit: Option<u32>,
}

impl Default for SummaryQuery {
    fn default() -> Self {
        Self::last_days(7)
    }
}

impl SummaryQuery {
    /// Returns the query for all sessions that were active in the last days.
    #[must_use]
    pub fn last_days(days: u32) -> Self {
        Self { sessions: None, days, include_metadata: false, include_cost: false, after: None, limit: None }
    }

    /// Returns the query for these sessions only.
    #[must_use]
    pub fn with_sessions(mut self, sessions: impl IntoIterator<Item = SessionId>) -> Self {
        self.sessions = Some(sessions.into_iter().collect());
        self
    }

    /// Returns the query for summaries with metadata.
    #[must_use]
    pub fn with_metadata(mut self) -> Self {
        self.include_metadata = true;
        self
    }

    /// Returns the query for summaries with costs.
    #[must_use]
    pub fn with_cost(mut self) -> Self {
        self.include_cost = true;
        self
    }

    /// Returns the query for a page of at most this number of summaries, by session id.
    ///
    /// ```
    /// use bridge_cache::SummaryQuery;
    /// use bridge_core::SessionId;
    ///
    /// let first = SummaryQuery::last_days(7).with_limit(100);
    /// // The first page ends with this session.
    /// let second = first.clone().after(SessionId::new("session-100")?);
    /// assert_ne!(first, second);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Returns the query for the page behind this session, the last one of the previous page.
    #[must_use]
    pub fn after(mut self, session: SessionId) -> Self {
        self.after = Some(session);
        self
    }
}

/// A query in a generation of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheKey {
    generation: CacheGeneration,
    query: SummaryQuery,
}

impl CacheKey {
    /// Returns the query.
    #[must_use]
    pub fn query(&self) -> &SummaryQuery {
        &self.query
    }
}

/// In-memory cache of token summaries and of the last analysis of each session.
///
/// Summaries that a write of this process has made stale are never served: their keys carry a [`CacheGeneration`] taken
/// before the store is asked, and each write begins a new generation. Analyses are a last resort, for which an old one
/// is better than none; the one of the later generation stays.
///
/// The time to live is measured by the given clock and by the monotonic clock, so that a clock set back does not keep
/// entries alive.
#[derive(Debug)]
pub struct BridgeCache {
    summaries: Summaries,
    analyses: Analyses,
    clock: Arc<dyn Clock>,
    generation: AtomicU64,
    epoch: Mutex<Option<Epoch>>,
    summary_counters: Counters,
    analysis_counters: Counters,
}

impl BridgeCache {
    /// Returns an empty cache with these limits.
    #[must_use]
    pub fn new(options: CacheOptions) -> Self {
        Self::with_clock(options, Arc::new(SystemClock))
    }

    /// Returns an empty cache with these limits whose entries age by this clock.
    #[must_use]
    pub fn with_clock(options: CacheOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            summaries: Summaries::new(&options),
            analyses: Analyses::new(&options),
            clock,
            generation: AtomicU64::new(0),
            epoch: Mutex::default(),
            summary_counters: Counters::default(),
            analysis_counters: Counters::default(),
        }
    }

    /// Returns the current generation. Call before asking the store.
    pub fn generation(&self) -> CacheGeneration {
        CacheGeneration(self.generation.load(Ordering::Acquire))
    }

    /// Returns the key of a query in the current generation. Call before asking the store.
    pub fn key(&self, query: SummaryQuery) -> CacheKey {
        CacheKey { generation: self.generation(), query }
    }

    /// Returns the cached summaries unless they are stale.
    pub async fn get(&self, key: &CacheKey) -> Option<Arc<Vec<TokenSummaryRecord>>> {
        self.summary_counters.count(self.summaries.get(key, self.clock.now()).await)
    }

    /// Inserts and returns summaries read from the store.
    pub async fn put(
        &self,
        key: CacheKey,
        summaries: Vec<TokenSummaryRecord>,
    ) -> Arc<Vec<TokenSummaryRecord>> {
        let summaries = Arc::new(summaries);
        self.summaries.insert(key, Arc::clone(&summaries), self.clock.now()).await;
        summaries
    }

    /// Inserts the analysis of a session unless one of a later generation is cached.
    pub async fn put_analysis(&self, generation: CacheGeneration, analysis: EnhancedTokenAnalysis) {
        self.analyses.insert(generation, analysis, self.clock.now()).await;
    }

    /// Returns the last analysis of a session, which a later write may have made stale.
    pub async fn analysis(&self, session: &SessionId) -> Option<Arc<EnhancedTokenAnalysis>> {
        self.analysis_counters.count(self.analyses.get(session, self.clock.now()).await)
    }

    /// Makes all summaries read so far stale. Call before and after a write: before, so that no summary of the old
    /// state is served once the write is visible; after, so that none read during the write is.
    pub fn invalidate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.summaries.clear();
    }

    /// Makes summaries and analyses read so far stale. Call after a rollback: rolled-back data must not be served even
    /// as a last resort.
    pub fn forget(&self) {
        self.invalidate();
        self.analyses.remove_before(self.generation());
    }

    /// Records the store's epoch; [forgets](Self::forget) everything if it changed, because the store was rolled back.
    pub fn enter_epoch(&self, epoch: Epoch) {
        let mut known = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if known.replace(epoch).is_some_and(|known| known != epoch) {
            self.forget();
        }
    }

    /// Returns hits and misses of summaries.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.summary_counters.stats()
    }

    /// Returns hits and misses of analyses.
    #[must_use]
    pub fn analysis_stats(&self) -> CacheStats {
        self.analysis_counters.stats()
    }
}
