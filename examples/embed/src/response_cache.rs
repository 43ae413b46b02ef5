//! A short-lived response cache: concurrent requests for the same data share one query.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bridge::Stopwatch;
use hyper::body::Bytes;
use tokio::sync::{OnceCell, Semaphore};

/// Maximum age of a cached response; shorter than the page's refresh interval.
const TTL: Duration = Duration::from_secs(1);
/// Maximum number of cached responses.
const ENTRIES_MAX: usize = 64;
/// Maximum number of concurrent queries.
const QUERIES_MAX: usize = 4;

/// A response that can be sent more than once.
#[derive(Debug, Clone)]
pub(crate) struct CachedResponse {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

impl IntoResponse for CachedResponse {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, HeaderValue::from_static(self.content_type))], self.body)
            .into_response()
    }
}

/// Holds a response and its age once the query has finished.
type Entry = Arc<OnceCell<(Stopwatch, CachedResponse)>>;

/// The responses of the last second, by key.
pub(crate) struct ResponseCache<K> {
    entries: Mutex<HashMap<K, Entry>>,
    queries: Semaphore,
}

impl<K: Eq + Hash> ResponseCache<K> {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::new(HashMap::new()), queries: Semaphore::new(QUERIES_MAX) }
    }

    /// Returns the cached response, or runs the query. Concurrent callers with the same key wait for a single query;
    /// if the client that runs it disconnects, the next waiting caller runs its own.
    pub(crate) async fn get(&self, key: K, query: impl Future<Output = CachedResponse>) -> CachedResponse {
        let entry = self.entry(key);
        let query = async {
            // Cannot fail: the semaphore is never closed.
            let _permit = self.queries.acquire().await;
            let response = query.await;
            (Stopwatch::start(), response)
        };
        entry.get_or_init(|| query).await.1.clone()
    }

    fn entry(&self, key: K) -> Entry {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |entry: &Entry| entry.get().is_none_or(|(age, _)| age.elapsed() < TTL);
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

    fn response(number: u32) -> CachedResponse {
        CachedResponse { status: StatusCode::OK, content_type: "text/plain", body: number.to_string().into() }
    }

    #[tokio::test]
    async fn concurrent_requests_for_a_key_share_one_query() {
        let (cache, queries) = (ResponseCache::new(), AtomicU32::new(0));
        let get = |key: u32| {
            cache.get(key, async {
                let number = queries.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                response(number)
            })
        };
        let (a, b, c, other) = tokio::join!(get(1), get(1), get(1), get(2));
        assert!(a.body == "0" && b.body == "0" && c.body == "0" && other.body == "1");
        assert_eq!(get(1).await.body, "0");
    }

    #[tokio::test]
    async fn a_canceled_query_does_not_block_its_key_and_the_cache_is_bounded() {
        let cache = ResponseCache::new();
        let canceled = tokio::time::timeout(Duration::ZERO, cache.get(0, std::future::pending()));
        assert!(canceled.await.is_err());
        for key in 0..1000 {
            assert_eq!(cache.get(key, async { response(key) }).await.body, key.to_string());
        }
        assert_eq!(cache.entries.lock().unwrap().len(), ENTRIES_MAX);
    }
}
