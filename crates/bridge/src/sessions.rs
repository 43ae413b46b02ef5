//! Details of sessions besides totals. `docs/sessions.md` states where each fact comes from.

use std::time::Duration;

pub use bridge_core::{ActivityFacts, LIMITS_MAX, LimitEvent, LimitKind, ToolCalls, ToolName};
use bridge_core::{BridgeError, SessionId, TimeRange};

use crate::handle::EnhancedTokenDatabaseBridge;
pub use crate::operations::client_settings::TranscriptRetention;
pub use crate::operations::expiring::{ExpiringTranscript, ExpiringTranscripts};
pub use crate::operations::sessions::{SessionDetails, SessionFile, SessionLimit};
use crate::operations::{expiring, sessions};
use crate::telemetry::operation::Operation;

/// Operations on single sessions. Returned by [`sessions`](EnhancedTokenDatabaseBridge::sessions).
#[derive(Debug, Clone)]
pub struct Sessions {
    bridge: EnhancedTokenDatabaseBridge,
    with_cost: bool,
}

impl Sessions {
    pub(crate) fn new(bridge: EnhancedTokenDatabaseBridge) -> Self {
        Self { bridge, with_cost: false }
    }

    /// Returns the operations with costs: the summary of [`details`](Self::details) has what the session's responses
    /// cost, if the store has a price list.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, SessionId, pricing::Catalog, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let line = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-06-01T00:00:00Z","message":{"id":"m","model":"claude-opus-4-8","usage":{"output_tokens":100}}}"#;
    /// # std::fs::write(folder.path().join("s.jsonl"), line)?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// bridge.dashboard().use_prices(Catalog::shipped()).await?;
    /// # let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// let details = bridge.sessions().with_cost().details(&SessionId::new("s")?).await?.ok_or("it is stored")?;
    /// let cost = details.summary.and_then(|summary| summary.cost).ok_or("there are prices")?;
    /// assert_eq!((cost.amount.exact(), cost.is_complete()), ("0.0025".to_owned(), true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_cost(mut self) -> Self {
        self.with_cost = true;
        self
    }

    /// Returns what is known of a session: its sums in total and by model, its files and subagents, the session that it was
    /// forked from and those forked from it, turns, tool calls, errors, limits, and how long it was active. `None` if
    /// nothing is stored of it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::sync::Arc;
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, SessionId, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let prompt = r#"{"type":"user","sessionId":"s","timestamp":"2026-01-31T12:00:00Z","message":{"content":"…"}}"#;
    /// # let answer = r#"{"type":"assistant","sessionId":"s","timestamp":"2026-01-31T12:02:00Z","message":{"id":"m","content":[{"type":"tool_use","name":"Bash"}],"usage":{"output_tokens":42}}}"#;
    /// # std::fs::write(folder.path().join("s.jsonl"), format!("{prompt}\n{answer}\n"))?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// # let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// let details = bridge.sessions().details(&SessionId::new("s")?).await?.ok_or("it is stored")?;
    /// let activity = details.activity.ok_or("it is known")?;
    /// assert_eq!((activity.turns, activity.tool_calls.total()), (1, 1));
    /// assert_eq!(activity.active_time.as_secs(), 120 + 15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached or does not answer.
    pub async fn details(&self, session: &SessionId) -> Result<Option<SessionDetails>, BridgeError> {
        let pause = self.bridge.parts.activity_pause;
        let work = sessions::details(self.bridge.ingest(), pause, session, self.with_cost);
        self.bridge.runner.run(Operation::SessionDetails, Some(session), work).await
    }

    /// Returns the usage and rate limits that sessions hit in this time range, with the times at which they end, in the
    /// order of time. Of a session that hit very many, the first [`LIMITS_MAX`] of each file.
    ///
    /// # Errors
    ///
    /// The range ends before it begins, or the store cannot be reached or does not answer.
    pub async fn limit_events(&self, range: TimeRange) -> Result<Vec<SessionLimit>, BridgeError> {
        self.bridge
            .runner
            .run(Operation::LimitEvents, None, sessions::limits(self.bridge.ingest(), range))
            .await
    }

    /// Returns the transcripts on this machine that the client will delete within this time, because its settings say
    /// so (`cleanupPeriodDays`, 30 days by default, since they were last modified), and that are not stored to their
    /// end.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # use std::{sync::Arc, time::Duration};
    /// # use bridge::{BackfillOptions, EnhancedTokenDatabaseBridge, storage::InMemoryStore};
    /// # let folder = tempfile::tempdir()?;
    /// # let project = folder.path().join("projects/-p");
    /// # std::fs::create_dir_all(&project)?;
    /// # std::fs::write(project.join("s.jsonl"), "{}")?;
    /// # let bridge = EnhancedTokenDatabaseBridge::builder(Arc::new(InMemoryStore::default()))
    /// #     .sources([folder.path()])
    /// #     .build();
    /// let month = Duration::from_secs(31 * 86_400);
    /// assert_eq!(bridge.sessions().expiring_transcripts(month).await?.unstored.len(), 1);
    /// let _ = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    /// assert_eq!(bridge.sessions().expiring_transcripts(month).await?.unstored.len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be reached, does not answer, or was rolled back and not resumed.
    pub async fn expiring_transcripts(&self, within: Duration) -> Result<ExpiringTranscripts, BridgeError> {
        let work = async {
            let expiring = expiring::expiring(self.bridge.ingest(), within).await?;
            self.bridge.ingest().telemetry.metrics.expiring(expiring.unstored.len());
            Ok(expiring)
        };
        self.bridge.runner.run(Operation::ExpiringTranscripts, None, work).await
    }
}
