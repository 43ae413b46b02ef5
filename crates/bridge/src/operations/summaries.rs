//! Reading summaries back.

use std::sync::Arc;

use bridge_cache::SummaryQuery;
use bridge_core::{BridgeError, SessionId, TimeRange, TokenSummaryRecord};
use bridge_storage::SummaryFilter;

use crate::EnhancedTokenDatabaseBridge;
use crate::telemetry::operation::Operation;

impl EnhancedTokenDatabaseBridge {
    /// The stored summaries of the sessions that were active in the last `days` days (7 by the
    /// specification), each with its whole totals, by session id. Narrowed to `sessions` if given.
    ///
    /// Answers come from the cache where it has one that is not stale.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    /// # std::fs::write(folder.path().join("s.jsonl"), line)?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// # let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// let summaries = bridge.get_stored_token_summaries(None, 7, true).await?;
    /// assert_eq!((summaries[0].session_id.as_str(), summaries[0].total_tokens), ("s", 42));
    /// assert_eq!(summaries[0].metadata.as_ref().map(|metadata| metadata.lines), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        self.run(Operation::GetStoredTokenSummaries, None, async {
            self.summaries(sessions, days, include_metadata).await
        })
        .await
    }

    async fn summaries(
        &self,
        sessions: Option<Vec<SessionId>>,
        days: u32,
        include_metadata: bool,
    ) -> Result<Arc<Vec<TokenSummaryRecord>>, BridgeError> {
        let cache = &self.inner.cache;
        let slot = cache.key(SummaryQuery { sessions: sessions.clone(), days, include_metadata });
        if let Some(summaries) = cache.get(&slot).await {
            return Ok(summaries);
        }
        let active = TimeRange::last_days(self.inner.clock.now(), days);
        let mut filter = SummaryFilter::active_in(active).with_metadata(include_metadata);
        if let Some(sessions) = sessions {
            filter = filter.of_sessions(sessions);
        }
        let summaries = self.counted(self.inner.store.summaries(&filter).await)?;
        Ok(cache.put(slot, summaries).await)
    }
}
