//! Reading summaries, analyses and the audit.

use std::sync::Arc;

use bridge_cache::SummaryQuery;
use bridge_core::{AnalysisWithSource, AuditFilter, AuditRecord, BridgeError, SessionId, TokenSummaryRecord};

use crate::dashboard::DashboardBridgeAdapter;
use crate::operations::{audit, summaries};
use crate::sessions::Sessions;
use crate::telemetry::operation::Operation;

use super::EnhancedTokenDatabaseBridge;

impl EnhancedTokenDatabaseBridge {
    /// Returns the stored summaries of the sessions that were active in the last days, each with the totals of its
    /// whole life, by session id.
    ///
    /// Answers come from the cache if it has one that is not stale.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{SummaryQuery, BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#;
    /// # std::fs::write(folder.path().join("s.jsonl"), line)?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// # let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// let summaries = bridge.get_stored_token_summaries(SummaryQuery::last_days(7).with_metadata()).await?;
    /// assert_eq!((summaries[0].session_id.as_str(), summaries[0].total_tokens), ("s", 42));
    /// assert_eq!(summaries[0].metadata.as_ref().map(|metadata| metadata.lines), Some(1));
    ///
    /// // In pages: the one behind the last session is empty.
    /// let page = SummaryQuery::last_days(7).with_limit(100).after(summaries[0].session_id.clone());
    /// assert!(bridge.get_stored_token_summaries(page).await?.is_empty());
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
        query: SummaryQuery,
    ) -> Result<Arc<Vec<TokenSummaryRecord>>, BridgeError> {
        let work = summaries::summaries(self.ingest(), &self.parts.cache, query);
        self.runner.run(Operation::GetStoredTokenSummaries, None, work).await
    }

    /// Returns the analysis of a session from the store. If the store does not know the session, is unreachable, takes
    /// longer than its deadline, or was rolled back and not resumed, it comes from a live analysis of the sources. If
    /// that fails too, the last answer is returned from the cache. States the source of the answer and its age.
    ///
    /// One live analysis runs at a time, and all calls that arrive while it runs share the next one.
    ///
    /// Rows that their version does not verify are never returned as stored: if another program changed a row of
    /// the session, the store's answer is an error, and the sources are read.
    ///
    /// A cached answer is a last resort, so it may be older than what this program has stored since, but it is never
    /// from before a rollback. All other answers are current.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{fs, sync::Arc};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// use bridge::AnalysisSource;
    /// use bridge::SessionId;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # fs::write(folder.path().join("s.jsonl"), r#"{"type":"assistant","sessionId":"s","message":{"id":"m","usage":{"output_tokens":42}}}"#)?;
    /// let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    ///     .sources([folder.path()])
    ///     .build();
    /// let session = SessionId::new("s")?;
    /// // Nothing is stored yet.
    /// let answer = bridge.get_analysis_with_fallback(&session).await?;
    /// assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Live, 42));
    ///
    /// let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// let answer = bridge.get_analysis_with_fallback(&session).await?;
    /// assert_eq!((answer.source, answer.analysis.calculated_total_tokens), (AnalysisSource::Stored, 42));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BridgeError::UnknownSession`] if both store and sources answer that the session has no responses; otherwise,
    /// if the cache does not know it either, the store's error.
    pub async fn get_analysis_with_fallback(
        &self,
        session: &SessionId,
    ) -> Result<AnalysisWithSource, BridgeError> {
        let work = self.parts.fallback.analysis(session);
        self.runner.run(Operation::GetAnalysisWithFallback, Some(session), work).await
    }

    /// Returns what is known of sessions besides sums: their details, the limits that they hit, and the transcripts
    /// that the client will delete.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.clone())
    }

    /// Returns an adapter that reads the bridge's own store and uses its clock; its calls are operations of the bridge,
    /// with log, metrics and audit. A program that only shows statistics can do with a read-only database user, which
    /// cannot write an audit; it uses [`DashboardBridgeAdapter::new`].
    #[must_use]
    pub fn dashboard(&self) -> DashboardBridgeAdapter {
        self.parts.dashboard.clone().recorded_by(self.runner.clone())
    }

    /// Returns the records of the audit that the filter admits, newest first. Records that are still waiting are
    /// written first, if the store accepts them.
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer; [`BridgeError::InvertedRange`] if the filter's time ends
    /// before it starts.
    pub async fn audit_log(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>, BridgeError> {
        self.runner.run(Operation::AuditLog, None, audit::records(self.ingest(), filter)).await
    }
}
