//! How often a cache could answer.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often the cache could answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers out of the cache.
    pub hits: u64,
    /// Questions that the cache could not answer.
    pub misses: u64,
}

/// Figures that are still counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Counters {
    /// Counts a question by its answer, and passes it on.
    pub(crate) fn count<T>(&self, answer: Option<T>) -> Option<T> {
        let counter = if answer.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        answer
    }

    pub(crate) fn figures(&self) -> CacheStats {
        CacheStats { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed) }
    }
}
