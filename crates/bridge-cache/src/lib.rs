//! In-memory cache for frequently read token summaries and for the last analysis of each session, on `moka`:
//! entries live for a limited time, and only so many of them.
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

mod analyses;
mod cache;
mod figures;
mod options;

pub use analyses::ANALYSES_RESPONSES_MAX;
pub use cache::{BridgeCache, CacheKey, SummaryQuery};
pub use figures::CacheStats;
pub use options::{CacheGeneration, CacheOptions};
