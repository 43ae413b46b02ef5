//! The bridge's operations, as logs, audit and metrics name them.

use std::fmt;

use bridge_core::{Actor, CorrelationId, OperationName, SessionId};
use tracing::Span;

/// An operation of the bridge: the bounded set of names in logs, audit and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Storing one analysis.
    StoreEnhancedAnalysis,
    /// Storing many analyses.
    BatchStoreAnalyses,
    /// Storing all history.
    BackfillHistoricalData,
    /// Analyzing all history and storing nothing.
    AnalyzeHistoricalData,
    /// Bringing the store up to date, for one session.
    SyncSessionTokens,
    /// Bringing the store up to date.
    SyncAllSessions,
    /// Reading summaries.
    GetStoredTokenSummaries,
    /// Reading an analysis from the store, or else from the sources, or else from the cache.
    GetAnalysisWithFallback,
    /// Comparing the store with its sources, and repairing it.
    VerifyDataIntegrity,
    /// Storing what an embedder read.
    OnContentBatchProcessed,
    /// Storing entries of a session that a program pushed.
    Append,
    /// Storing a stream.
    ReadStream,
    /// Reading the position up to which a stream is stored.
    StoredStreamPosition,
    /// Reading a dashboard's statistics.
    GetDashboardTokenMetrics,
    /// Reading when each host was last heard of.
    Hosts,
    /// Putting a price list in use.
    UsePrices,
    /// Reading the blocks by which clients limit usage.
    Blocks,
    /// Reading what is spent of the budgets.
    Budgets,
    /// Reading what is known of a session.
    SessionDetails,
    /// Reading the limits that sessions hit.
    LimitEvents,
    /// Finding the transcripts that the client is going to delete.
    ExpiringTranscripts,
    /// Creating a checkpoint.
    CreateCheckpoint,
    /// Listing checkpoints.
    ListCheckpoints,
    /// Dropping a checkpoint.
    DropCheckpoint,
    /// Rolling back to a checkpoint, or a dry run of it.
    RollbackBridgeIntegration,
    /// Resuming writes after a rollback.
    Resume,
    /// Exporting the whole store.
    ExportStore,
    /// Importing a backup.
    ImportStore,
    /// Reading the audit.
    AuditLog,
    /// An embedder's own, recorded by `log_bridge_operation`.
    Other,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::StoreEnhancedAnalysis,
        Self::BatchStoreAnalyses,
        Self::BackfillHistoricalData,
        Self::AnalyzeHistoricalData,
        Self::SyncSessionTokens,
        Self::SyncAllSessions,
        Self::GetStoredTokenSummaries,
        Self::GetAnalysisWithFallback,
        Self::VerifyDataIntegrity,
        Self::OnContentBatchProcessed,
        Self::Append,
        Self::ReadStream,
        Self::StoredStreamPosition,
        Self::GetDashboardTokenMetrics,
        Self::Hosts,
        Self::UsePrices,
        Self::Blocks,
        Self::Budgets,
        Self::SessionDetails,
        Self::LimitEvents,
        Self::ExpiringTranscripts,
        Self::CreateCheckpoint,
        Self::ListCheckpoints,
        Self::DropCheckpoint,
        Self::RollbackBridgeIntegration,
        Self::Resume,
        Self::ExportStore,
        Self::ImportStore,
        Self::AuditLog,
        Self::Other,
    ];

    /// Returns its name: that of the method.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StoreEnhancedAnalysis => "store_enhanced_analysis",
            Self::BatchStoreAnalyses => "batch_store_analyses",
            Self::BackfillHistoricalData => "backfill_historical_data",
            Self::AnalyzeHistoricalData => "analyze_historical_data",
            Self::SyncSessionTokens => "sync_session_tokens",
            Self::SyncAllSessions => "sync_all_sessions",
            Self::GetStoredTokenSummaries => "get_stored_token_summaries",
            Self::GetAnalysisWithFallback => "get_analysis_with_fallback",
            Self::VerifyDataIntegrity => "verify_data_integrity",
            Self::OnContentBatchProcessed => "on_content_batch_processed",
            Self::Append => "append",
            Self::ReadStream => "read_stream",
            Self::StoredStreamPosition => "stored_stream_position",
            Self::GetDashboardTokenMetrics => "get_dashboard_token_metrics",
            Self::Hosts => "hosts",
            Self::UsePrices => "use_prices",
            Self::Blocks => "blocks",
            Self::Budgets => "budgets",
            Self::SessionDetails => "session_details",
            Self::LimitEvents => "limit_events",
            Self::ExpiringTranscripts => "expiring_transcripts",
            Self::CreateCheckpoint => "create_checkpoint",
            Self::ListCheckpoints => "list_checkpoints",
            Self::DropCheckpoint => "drop_checkpoint",
            Self::RollbackBridgeIntegration => "rollback_bridge_integration",
            Self::Resume => "resume",
            Self::ExportStore => "export_store",
            Self::ImportStore => "import_store",
            Self::AuditLog => "audit_log",
            Self::Other => "other",
        }
    }

    /// Returns its name in the audit.
    #[must_use]
    pub fn audit_name(self) -> OperationName {
        OperationName::new(self.name()).expect("a constant is a name")
    }

    /// Returns the span of a call, which has the operation's name. The name of a span is a constant of its call site,
    /// so each operation has one.
    pub(crate) fn span(self, session: Option<&SessionId>, id: CorrelationId, actor: Option<&Actor>) -> Span {
        macro_rules! span_of {
            ($($operation:ident),+ $(,)?) => {
                match self {
                    $(Self::$operation => tracing::info_span!(
                        Operation::$operation.name(),
                        operation = self.name(),
                        session_id = session.map(SessionId::as_str),
                        correlation_id = %id,
                        actor = actor.map(Actor::as_str),
                    ),)+
                }
            };
        }
        span_of! {
            StoreEnhancedAnalysis, BatchStoreAnalyses, BackfillHistoricalData, AnalyzeHistoricalData,
            SyncSessionTokens, SyncAllSessions, GetStoredTokenSummaries, GetAnalysisWithFallback,
            VerifyDataIntegrity, OnContentBatchProcessed, Append, ReadStream, StoredStreamPosition,
            GetDashboardTokenMetrics, Hosts, UsePrices, Blocks, Budgets, SessionDetails, LimitEvents,
            ExpiringTranscripts, CreateCheckpoint, ListCheckpoints, DropCheckpoint,
            RollbackBridgeIntegration, Resume, ExportStore, ImportStore, AuditLog, Other,
        }
    }

    /// Returns whether it only reads.
    pub(crate) fn reads(self) -> bool {
        matches!(
            self,
            Self::AnalyzeHistoricalData
                | Self::GetStoredTokenSummaries
                | Self::GetAnalysisWithFallback
                | Self::StoredStreamPosition
                | Self::GetDashboardTokenMetrics
                | Self::Hosts
                | Self::Blocks
                | Self::Budgets
                | Self::SessionDetails
                | Self::LimitEvents
                | Self::ExpiringTranscripts
                | Self::ListCheckpoints
                | Self::AuditLog
        )
    }

    /// Returns whether it needs an administrator's rights: its record is written before it returns.
    pub(crate) fn is_administrative(self) -> bool {
        matches!(
            self,
            Self::BackfillHistoricalData
                | Self::VerifyDataIntegrity
                | Self::UsePrices
                | Self::CreateCheckpoint
                | Self::DropCheckpoint
                | Self::RollbackBridgeIntegration
                | Self::Resume
                | Self::ExportStore
                | Self::ImportStore
        )
    }

    /// Returns whether all rows of the store pass through it.
    pub(crate) fn moves_the_store(self) -> bool {
        matches!(self, Self::VerifyDataIntegrity | Self::ExportStore | Self::ImportStore)
    }

    /// Returns whether it brings the store up to date with the sources.
    pub(crate) fn refreshes(self) -> bool {
        matches!(self, Self::BackfillHistoricalData | Self::SyncSessionTokens | Self::SyncAllSessions)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
