//! The cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_core::{
    Clock, EnhancedTokenAnalysis, Epoch, SessionId, SystemClock, Timestamp, TokenSummaryRecord,
};
use moka::future::Cache;

use crate::analyses::Analyses;
use crate::figures::Counters;
use crate::{CacheGeneration, CacheOptions, CacheStats};

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
pub struct CacheKey {
    moment: CacheGeneration,
    query: SummaryQuery,
}

impl CacheKey {
    /// The query.
    #[must_use]
    pub fn query(&self) -> &SummaryQuery {
        &self.query
    }
}

/// An answer and when it was put there.
#[derive(Debug, Clone)]
struct Kept {
    summaries: Arc<Vec<TokenSummaryRecord>>,
    kept_at: Timestamp,
}

/// In-memory cache of token summaries, and of the last analysis of each session.
///
/// Summaries that a write of this program has made stale are never served: entries belong to a
/// [`CacheGeneration`], taken before the store is asked, and a write begins a new one. Analyses are a last resort,
/// for which an old one is better than none; of two the one of the later moment is kept.
///
/// The time to live runs by the clock given, and by the machine's steady one besides, so that a clock that is
/// set back keeps nothing alive.
#[derive(Debug)]
pub struct BridgeCache {
    summaries: Cache<CacheKey, Kept>,
    analyses: Analyses,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    moment: AtomicU64,
    /// The store's epoch, as it was last heard of.
    epoch: Mutex<Option<Epoch>>,
    summary_counters: Counters,
    analysis_counters: Counters,
}

impl BridgeCache {
    /// An empty cache with these limits.
    #[must_use]
    pub fn new(options: &CacheOptions) -> Self {
        Self::with_clock(options, Arc::new(SystemClock))
    }

    /// An empty cache with these limits, whose entries age by this clock.
    #[must_use]
    pub fn with_clock(options: &CacheOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            summaries: Cache::builder().max_capacity(options.capacity()).time_to_live(options.ttl).build(),
            analyses: Analyses::new(options),
            ttl: options.ttl,
            clock,
            moment: AtomicU64::new(0),
            epoch: Mutex::default(),
            summary_counters: Counters::default(),
            analysis_counters: Counters::default(),
        }
    }

    /// The present moment. Take it before asking the store.
    pub fn moment(&self) -> CacheGeneration {
        CacheGeneration(self.moment.load(Ordering::Acquire))
    }

    /// The place of a query's answer. Take it before asking the store.
    pub fn slot(&self, query: SummaryQuery) -> CacheKey {
        CacheKey { moment: self.moment(), query }
    }

    /// The answer, if there is one that is not stale.
    pub async fn get(&self, slot: &CacheKey) -> Option<Arc<Vec<TokenSummaryRecord>>> {
        let now = self.clock.now();
        let kept = self.summaries.get(slot).await;
        let alive = kept.filter(|kept| now.saturating_since(kept.kept_at) < self.ttl);
        self.summary_counters.count(alive.map(|kept| kept.summaries))
    }

    /// Keeps an answer of the store.
    pub async fn put(
        &self,
        slot: CacheKey,
        summaries: Vec<TokenSummaryRecord>,
    ) -> Arc<Vec<TokenSummaryRecord>> {
        let summaries = Arc::new(summaries);
        if !self.ttl.is_zero() {
            let kept = Kept { summaries: Arc::clone(&summaries), kept_at: self.clock.now() };
            self.summaries.insert(slot, kept).await;
        }
        summaries
    }

    /// Keeps the analysis of a session that was asked for at this moment, unless a later one is there.
    pub async fn keep_analysis(&self, moment: CacheGeneration, analysis: EnhancedTokenAnalysis) {
        self.analyses.keep(moment, analysis, self.clock.now()).await;
    }

    /// The last analysis of a session, which a later write may have made stale.
    pub async fn analysis(&self, session: &SessionId) -> Option<Arc<EnhancedTokenAnalysis>> {
        self.analysis_counters.count(self.analyses.get(session, self.clock.now()).await)
    }

    /// Makes all summaries stale that were read so far. Called before and after a write.
    pub fn invalidate(&self) {
        self.moment.fetch_add(1, Ordering::AcqRel);
        self.summaries.invalidate_all();
    }

    /// Makes everything stale that was read so far, the analyses too. Called when the store was rolled back: what it
    /// took back is no last resort.
    pub fn forget(&self) {
        self.invalidate();
        self.analyses.forget(self.moment());
    }

    /// Hears of the store's epoch; [forgets](Self::forget) everything where it is another than before, since then
    /// somebody has rolled it back.
    pub fn enter_epoch(&self, epoch: Epoch) {
        let mut known = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if known.replace(epoch).is_some_and(|known| known != epoch) {
            self.forget();
        }
    }

    /// How often the cache could answer with summaries.
    #[must_use]
    pub fn figures(&self) -> CacheStats {
        self.summary_counters.figures()
    }

    /// How often the cache could answer with an analysis.
    #[must_use]
    pub fn analysis_summary(&self) -> CacheStats {
        self.analysis_counters.figures()
    }
}
