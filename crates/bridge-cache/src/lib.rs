//! In-memory cache of token summaries and of the last analysis of each session, on `moka`, limited in time and
//! number of entries. Without the feature `moka`, which is on by default, nothing is cached.
//!
//! ```
//! # #[cfg(feature = "moka")]
//! # fn main() -> Result<(), std::io::Error> {
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
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "moka"))]
//! # fn main() {}
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
#[cfg(feature = "moka")]
mod entries;
#[cfg(not(feature = "moka"))]
#[path = "no_entries.rs"]
mod entries;
mod stats;

pub use cache::{ANALYSES_RESPONSES_MAX, BridgeCache, CacheGeneration, CacheKey, CacheOptions, SummaryQuery};
pub use stats::CacheStats;
