//! The answers of the last moment: concurrent requests for the same data share one query.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge_core::Stopwatch;
use tokio::sync::{OnceCell, Semaphore};

/// Maximum number of answers that are kept.
const ENTRIES_MAX: usize = 64;

/// Holds an answer and its age once the query has finished.
type Entry<V> = Arc<OnceCell<(Stopwatch, V)>>;

/// The answers of the last moment, by key.
#[derive(Debug)]
pub(super) struct ResponseCache<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
    queries: Semaphore,
    time_to_live: Duration,
}

impl<K: Eq + Hash, V: Clone> ResponseCache<K, V> {
    /// Returns a cache that runs this number of queries at once.
    pub(super) fn new(time_to_live: Duration, queries_max: usize) -> Self {
        let queries = Semaphore::new(queries_max.clamp(1, Semaphore::MAX_PERMITS));
        Self { entries: Mutex::default(), queries, time_to_live }
    }

    /// Returns the cached answer, or runs the query. Concurrent callers with the same key wait for a single query; if
    /// the client that runs it disconnects, the next waiting caller runs its own.
    pub(super) async fn get(&self, key: K, query: impl Future<Output = V>) -> V {
        let entry = self.entry(key);
        let query = async {
            // Cannot fail: the semaphore is never closed.
            let _permit = self.queries.acquire().await;
            let answer = query.await;
            (Stopwatch::start(), answer)
        };
        entry.get_or_init(|| query).await.1.clone()
    }

    fn entry(&self, key: K) -> Entry<V> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh =
            |entry: &Entry<V>| entry.get().is_none_or(|(age, _)| age.elapsed() < self.time_to_live);
        if let Some(entry) = entries.get(&key).filter(|entry| is_fresh(entry)) {
            return Arc::clone(entry);
        }
        entries.retain(|_, entry| is_fresh(entry));
        let entry = Entry::default();
        // When the cache is full, further keys are not shared.
        if entries.len() < ENTRIES_MAX {
            entries.insert(key, Arc::clone(&entry));
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn concurrent_requests_for_a_key_share_one_query() {
        let (cache, queries) = (ResponseCache::new(LONG, 4), AtomicU32::new(0));
        let get = |key: u32| {
            cache.get(key, async {
                let number = queries.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                number
            })
        };
        assert_eq!(tokio::join!(get(1), get(1), get(1), get(2)), (0, 0, 0, 1));
        assert_eq!(get(1).await, 0);
    }

    #[tokio::test]
    async fn an_answer_is_served_for_its_time_only() {
        let cache = ResponseCache::new(Duration::ZERO, 4);
        assert_eq!((cache.get(1, async { 1 }).await, cache.get(1, async { 2 }).await), (1, 2));
    }

    #[tokio::test]
    async fn a_canceled_query_does_not_block_its_key_and_the_cache_is_bounded() {
        let cache = ResponseCache::new(LONG, 4);
        let canceled = tokio::time::timeout(Duration::ZERO, cache.get(0, std::future::pending()));
        assert!(canceled.await.is_err());
        for key in 0..1000 {
            assert_eq!(cache.get(key, async { key }).await, key);
        }
        assert_eq!(cache.entries.lock().unwrap().len(), ENTRIES_MAX);
    }
}
