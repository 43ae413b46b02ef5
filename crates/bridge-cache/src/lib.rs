//! In-memory cache of token summaries and of the last analysis of each session, on `moka`, limited in time and
//! number of entries.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! use bridge_cache::{BridgeCache, CacheOptions, SummaryQuery};
//!
//! let cache = BridgeCache::new(CacheOptions::default());
//! let query = SummaryQuery::last_days(7);
//! let key = cache.key(query);
//! assert!(cache.get(&key).await.is_none());
//! cache.put(key.clone(), Vec::new()).await;
//! assert!(cache.get(&key).await.is_some());
//!
//! // A write makes everything read before it stale, even if it is inserted later.
//! cache.invalidate();
//! cache.put(key.clone(), Vec::new()).await;
//! assert!(cache.get(&cache.key(key.query().clone())).await.is_none());
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod analyses;
mod cache;
mod stats;

pub use analyses::ANALYSES_RESPONSES_MAX;
pub use cache::{BridgeCache, CacheGeneration, CacheKey, CacheOptions, SummaryQuery};
pub use stats::CacheStats;
