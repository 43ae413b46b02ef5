//! Reading summaries back.

use std::sync::Arc;

use bridge_cache::SummaryQuery;
use bridge_core::{BridgeError, SessionId, TimeRange, TokenSummaryRecord};
use bridge_storage::SummaryFilter;

use crate::EnhancedTokenDatabaseBridge;

impl EnhancedTokenDatabaseBridge {
    /// The stored summaries of the sessions that were active in the last `days` days (7 by the
    /// specification), each with its whole totals, by session id. Narrowed to `sessions` if given.
    ///
    /// Answers come from the cache where it has one that is not stale.
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn get_stored_token_summaries(
        &self,
        sessions: Option<Vec<SessionId>>,
        days: u32,
        include_metadata: bool,
    ) -> Result<Arc<Vec<TokenSummaryRecord>>, BridgeError> {
        let cache = &self.inner.cache;
        let slot = cache.slot(SummaryQuery { sessions: sessions.clone(), days, include_metadata });
        if let Some(summaries) = cache.get(&slot).await {
            return Ok(summaries);
        }
        let active = TimeRange::last_days(self.inner.clock.now(), days);
        let mut filter = SummaryFilter::active_in(active).with_metadata(include_metadata);
        if let Some(sessions) = sessions {
            filter = filter.of_sessions(sessions);
        }
        let summaries = self.inner.store.summaries(&filter).await?;
        Ok(cache.put(slot, summaries).await)
    }
}
