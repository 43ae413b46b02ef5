//! Reads summaries.

use std::sync::Arc;

use bridge_cache::{BridgeCache, SummaryQuery};
use bridge_core::{BridgeError, TimeRange, TokenSummaryRecord};
use bridge_storage::SummaryFilter;

use crate::ingest::Ingest;

/// Returns summaries from the cache if they are not stale, or else from the store.
pub(crate) async fn summaries(
    ingest: &Ingest,
    cache: &BridgeCache,
    query: SummaryQuery,
) -> Result<Arc<Vec<TokenSummaryRecord>>, BridgeError> {
    let key = cache.key(query);
    if let Some(summaries) = cache.get(&key).await {
        return Ok(summaries);
    }
    let query = key.query();
    let active = TimeRange::last_days(ingest.clock.now(), query.days);
    let mut filter =
        SummaryFilter::active_in(active).with_metadata(query.include_metadata).with_cost(query.include_cost);
    filter.sessions.clone_from(&query.sessions);
    filter.after.clone_from(&query.after);
    filter.limit = query.limit;
    let summaries = ingest.store.summaries(&filter).await?;
    Ok(cache.put(key, summaries).await)
}
