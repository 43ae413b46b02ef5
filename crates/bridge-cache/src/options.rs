//! Limits, and the states of the store that entries belong to.

use std::time::Duration;

/// Limits of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheOptions {
    /// How long an entry is served. 0 turns the cache off.
    pub ttl: Duration,
    /// How many entries are kept, summaries and analyses each.
    pub max_entries: u64,
}

impl Default for CacheOptions {
    /// Ten minutes and a thousand entries.
    fn default() -> Self {
        Self { ttl: Duration::from_mins(10), max_entries: 1000 }
    }
}

impl CacheOptions {
    pub(crate) fn capacity(&self) -> u64 {
        if self.ttl.is_zero() { 0 } else { self.max_entries }
    }
}

/// A state of the store, between two writes of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheGeneration(pub(crate) u64);
